#!/usr/bin/env bash
# Copyright 2026 The ms_cosine_loss authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
# http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

# Builds the kernel and its driver with each sanitizer, warnings as errors, and runs every instruction set of this
# machine on random calls and on the fuzzer's corpus: sanitize.sh [cases]
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
    # Standard error lists the files replayed; on failure its last lines name the one that failed.
    "$build/replay" test/corpus/* 2> "$build/log" || { tr '\r' '\n' < "$build/log" | tail -n 40; exit 1; }
  done
done
