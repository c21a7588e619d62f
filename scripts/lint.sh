#!/usr/bin/env bash
# clang-tidy over every source file of a configured build folder, several at once where they are
# compiled so.
set -euo pipefail
cd "$(dirname "$0")/.."
build="${1:?the build folder}"
# The compiler's own precompiled headers, options and OpenMP mean nothing to clang-tidy.
mkdir -p build/lint
sed -E 's/-include [^ ]*cmake_pch\.hxx//g; s/-Winvalid-pch//g; s/-fno-semantic-interposition//g; s/-fopenmp//g; s/-fno-tree-loop-distribute-patterns//g' \
  "$build/compile_commands.json" >build/lint/compile_commands.json
sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' build/lint/compile_commands.json |
  grep -v -e /tests/ -e /cmake_pch -e "\.S$" | sort -u |
  xargs -P "$(nproc)" -n 1 build/lint-venv/bin/clang-tidy -p build/lint --quiet 2> >(grep -v -e 'warnings generated' -e 'treated as errors' >&2)
