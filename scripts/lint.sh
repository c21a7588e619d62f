#!/usr/bin/env bash
# clang-tidy over every source file of a configured build folder.
set -euo pipefail
cd "$(dirname "$0")/.."
build="${1:?the build folder}"
# The compiler's own precompiled headers, options and OpenMP mean nothing to clang-tidy.
mkdir -p build/lint
sed -E 's/-include [^ ]*cmake_pch\.hxx//g; s/-fno-semantic-interposition//g; s/-fopenmp//g' \
  "$build/compile_commands.json" >build/lint/compile_commands.json
git ls-files 'src/*.cpp' 'bench/*.cpp' |
  xargs -P "$(nproc)" -n 1 clang-tidy -p build/lint --quiet 2> >(grep -v 'warnings generated' >&2)
