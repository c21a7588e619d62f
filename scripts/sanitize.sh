#!/usr/bin/env bash
# Builds tests with a sanitizer preset and runs them: asan, of every floor; tsan, of floors with threads
# of their own and no libtorch, whose threads it does not see.
set -euo pipefail
cd "$(dirname "$0")/.."
preset="${1:?asan or tsan}"
cmake --preset "$preset" >"build/configure-$preset.log" 2>&1 || { cat "build/configure-$preset.log"; exit 1; }
threaded=(attention text)
if [ "$preset" = tsan ]; then
  cmake --build --preset "$preset" --target "${threaded[@]/#/test_}"
  only=(--tests-regex "^($(IFS='|' && echo "${threaded[*]}"))\$")
else
  cmake --build --preset "$preset"
  only=(--exclude-regex '^house$')
fi
# libtorch is not instrumented: what it leaks or shares inside itself is not ours.
export ASAN_OPTIONS=detect_leaks=0:strict_string_checks=1 UBSAN_OPTIONS=halt_on_error=1
export TSAN_OPTIONS=suppressions=$PWD/tests/tsan.supp
ctest --test-dir "build/$preset" --output-on-failure --no-tests=error "${only[@]}"
