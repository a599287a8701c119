#!/usr/bin/env bash
# Builds the kernel and its driver with each sanitizer, warnings as errors, and runs every instruction set that this
# machine has, on random calls and on the corpus of the fuzzer: sanitize.sh [cases]
set -euo pipefail
cd "$(dirname "$0")/.."
cases=${1:-1000}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
source test/build.sh

for sanitizer in address,undefined thread; do
  compiler=(g++ -O1 -g -Wno-maybe-uninitialized "-fsanitize=$sanitizer" -fno-sanitize-recover=all)
  build_kernel "$build/kernel" "${compiler[@]}"
  "${compiler[@]}" "${flags[@]}" interface.cc test/driver.cc "$build"/kernel/*.o -o "$build/driver"
  build_small_interface "$build/kernel" "${compiler[@]}"
  "${compiler[@]}" "${flags[@]}" -DFUZZ_REPLAY test/fuzz.cc "$build"/kernel/*.o -o "$build/replay"
  rm "$build"/kernel/*.o
  for set in "${!set_flags[@]}"; do
    export MS_COSINE_LOSS_INSTRUCTION_SET=$set
    printf '%s, ' "$sanitizer"
    "$build/driver" "$cases"
    printf '%s, ' "$sanitizer"
    # The names on standard error are worth reading only up to a failure.
    "$build/replay" test/corpus/* 2> "$build/log" || { tr '\r' '\n' < "$build/log" | tail -n 40; exit 1; }
  done
done
