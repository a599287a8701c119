#!/usr/bin/env bash
# Builds the kernel and its driver with each sanitizer, warnings as errors, and runs every instruction set that this
# machine has: sanitize.sh [cases]
set -euo pipefail
cd "$(dirname "$0")/.."
cases=${1:-1000}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

flags=(-std=c++17 -O1 -g -Wall -Wextra -Werror -Wno-psabi -Wno-maybe-uninitialized -ffp-contract=off -pthread)
declare -A sets=([baseline]='')
if [ "$(uname -m)" = x86_64 ]; then
  sets[avx2]='-mavx2 -mfma -mf16c'
  sets[avx512]="${sets[avx2]} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512"
fi

for sanitizer in address,undefined thread; do
  objects=()
  compile() {  # object, source, flags
    g++ "${flags[@]}" "-fsanitize=$sanitizer" -fno-sanitize-recover=all ${3:-} -c "$2" -o "$build/$1.o"
    objects+=("$build/$1.o")
  }
  for source in *.cc test/driver.cc; do
    [ "$source" = arithmetic.cc ] || compile "$(basename "$source" .cc)" "$source"
  done
  for set in "${!sets[@]}"; do
    compile "arithmetic_$set" arithmetic.cc "-DMS_COSINE_LOSS_INSTRUCTION_SET=$set ${sets[$set]}"
  done
  g++ "${flags[@]}" "-fsanitize=$sanitizer" "${objects[@]}" -o "$build/driver"
  for set in "${!sets[@]}"; do
    printf '%s, ' "$sanitizer"
    MS_COSINE_LOSS_INSTRUCTION_SET=$set "$build/driver" "$cases"
  done
done
