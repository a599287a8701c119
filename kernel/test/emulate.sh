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

# Builds the kernel for aarch64 at -O3, as it is installed, and runs the driver and the fuzzer's corpus on an emulated
# processor: emulate.sh [cases]
# On Debian: apt-get install g++-aarch64-linux-gnu qemu-user
set -euo pipefail
cd "$(dirname "$0")/.."
cases=${1:-300}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
machine=aarch64
source test/build.sh

compiler=(aarch64-linux-gnu-g++ -O3)
emulator=(qemu-aarch64 -L /usr/aarch64-linux-gnu)
build_kernel "$build/kernel" "${compiler[@]}"
"${compiler[@]}" "${flags[@]}" -O1 interface.cc test/driver.cc "$build"/kernel/*.o -o "$build/driver"
build_small_interface "$build/kernel" "${compiler[@]}"
"${compiler[@]}" "${flags[@]}" -O1 -DFUZZ_REPLAY test/fuzz.cc "$build"/kernel/*.o -o "$build/replay"
printf 'aarch64, '
"${emulator[@]}" "$build/driver" "$cases"
printf 'aarch64, '
# Standard error lists the files replayed; on failure its last lines name the one that failed.
"${emulator[@]}" "$build/replay" test/corpus/* 2> "$build/log" || { tr '\r' '\n' < "$build/log" | tail -n 40; exit 1; }
