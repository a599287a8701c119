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

# Counts the instructions that aarch64 executes for each pair of elements, under emulation: instructions.sh
# The count is that of a second call, divided by the length of the row; for gradients, that of backward minus the sums.
# On Debian: apt-get install g++-aarch64-linux-gnu qemu-user
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
machine=aarch64
source test/build.sh

compiler=(aarch64-linux-gnu-g++ -O3)
build_kernel "$build/kernel" "${compiler[@]}"
"${compiler[@]}" "${flags[@]}" -static interface.cc test/instructions.cc "$build"/kernel/*.o -o "$build/instructions"

# Translation blocks of one instruction, so that the log has a line for each.
single=-one-insn-per-tb
qemu-aarch64 -h | grep -q -e $single || single=-singlestep
executed() { qemu-aarch64 $single -d exec,nochain "$build/instructions" "$@" 2>&1 | grep -c '^Trace'; }
of_a_call() { echo $(($(executed "$@" 2) - $(executed "$@" 1))); }
for dtype in float32 float16 bfloat16; do
  sums=$(of_a_call $dtype 0)
  # An upstream gradient this small is out of float32's safe range.
  in_float32=$(of_a_call $dtype 1)
  in_double=$(of_a_call $dtype 1e-30)
  awk -v dtype=$dtype -v sums="$sums" -v in_float32="$in_float32" -v in_double="$in_double" 'BEGIN {
    printf "%s: sums %.1f, gradients in float32 %.1f, in double %.1f\n", dtype, sums / 16384,
      (in_float32 - sums) / 16384, (in_double - sums) / 16384}'
done
