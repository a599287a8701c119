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

# Fuzzes the kernel with clang's libFuzzer under the address and undefined-behaviour sanitizers, from the corpus beside
# this script, with the runs split among the instruction sets of this machine: fuzz.sh [runs]
# CLANG names the compiler; FUZZ_OUT is a directory for findings and for the growing corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-1000000}
clang=${CLANG:-$(compgen -c clang++ | grep -E '^clang\+\+(-[0-9]+)?$' | sort -Vu | tail -n 1)}
tools=${clang#*clang++}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
out=${FUZZ_OUT:-$build}
mkdir -p "$out/corpus"
source test/build.sh

# Build once with libFuzzer and the sanitizers, and once for line coverage, of the kernel but not of fuzz.cc.
sanitized=("$clang" -O2 -g -fsanitize=address,undefined -fno-sanitize-recover=all
           -fsanitize-address-use-after-return=never)
guided=(-fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp)
counted=("$clang" -O1 -fprofile-instr-generate)
build_kernel "$build/guided" "${sanitized[@]}" "${guided[@]}"
build_small_interface "$build/guided" "${sanitized[@]}" "${guided[@]}"
"${sanitized[@]}" "${flags[@]}" -fsanitize=fuzzer test/fuzz.cc "$build"/guided/*.o -o "$build/fuzz"
build_kernel "$build/counted" "${counted[@]}" -fcoverage-mapping
build_small_interface "$build/counted" "${counted[@]}" -fcoverage-mapping
"${counted[@]}" "${flags[@]}" -DFUZZ_REPLAY test/fuzz.cc "$build"/counted/*.o -o "$build/count"

export ASAN_OPTIONS=quarantine_size_mb=4:malloc_context_size=1 LLVM_PROFILE_FILE=/dev/null
sets=()
for set in "${!set_flags[@]}"; do
  if has_set "$build/count" "$set"; then sets+=("$set"); fi
done
for i in "${!sets[@]}"; do
  export MS_COSINE_LOSS_INSTRUCTION_SET=${sets[$i]}
  begin=$SECONDS
  if ! "$build/fuzz" -seed=$((i + 1)) -runs=$((runs / ${#sets[@]})) -max_len=400 -len_control=20 -print_final_stats=1 \
      "-artifact_prefix=$out/" "$out/corpus" test/corpus > "$build/log" 2>&1; then
    grep -E -A 12 'FAILED|ERROR|runtime error' "$build/log" || tail -n 40 "$build/log"
    printf '%s: a finding, in base64: %s\n' "${sets[$i]}" "$(sed -n 's/^Base64: //p' "$build/log")"
    exit 1
  fi
  printf '%s: %s executions in %d s, %s edges, no finding\n' "${sets[$i]}" \
    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/log")" $((SECONDS - begin)) \
    "$(sed -n 's/.*DONE *cov: \([0-9]*\).*/\1/p' "$build/log")"
  find test/corpus "$out/corpus" -type f ! -name '.*' -print0 |
    LLVM_PROFILE_FILE="$build/%p.profraw" xargs -0 "$build/count" > /dev/null 2>&1
done
"llvm-profdata$tools" merge "$build"/*.profraw -o "$build/profile"
"llvm-cov$tools" report "$build/count" "-instr-profile=$build/profile" -show-region-summary=false \
  -show-branch-summary=false "$build/counted/interface.cc" "$PWD"/*.cc "$PWD"/*.h
