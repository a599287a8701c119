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

# Builds the kernel for tests; the scripts beside it source this from the kernel's directory. tests/ut/test_kernel.py
# checks that the flags are those of setup.py. `machine` names the target's processor if it is not this machine's.

flags=(-std=c++17 -Wall -Wextra -Werror -Wno-psabi -ffp-contract=off -pthread)
declare -A set_flags=([baseline]='')
if [ "${machine:-$(uname -m)}" = x86_64 ]; then
  set_flags[avx2]='-mavx2 -mfma -mf16c'
  set_flags[avx512]="${set_flags[avx2]} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512"
fi

# Compiles the kernel's objects without its interface: directory, compiler, flags.
build_kernel() {
  local to=$1 compiler=("${@:2}") source set
  mkdir -p "$to"
  for source in *.cc; do
    case $source in arithmetic.cc | interface.cc) continue ;; esac
    "${compiler[@]}" "${flags[@]}" -c "$source" -o "$to/${source%.cc}.o"
  done
  for set in "${!set_flags[@]}"; do
    # shellcheck disable=SC2086
    "${compiler[@]}" "${flags[@]}" "-DMS_COSINE_LOSS_INSTRUCTION_SET=$set" ${set_flags[$set]} -c arithmetic.cc \
      -o "$to/arithmetic_$set.o"
  done
}

# Compiles the interface for fuzz.cc: it uses threads from about a hundred elements, so that small problems have several
# tasks, and takes the cache size from the test. Takes the arguments of build_kernel.
build_small_interface() {
  local to=$1 compiler=("${@:2}") small=$1/interface.cc
  { echo "#line 1 \"$PWD/interface.cc\""
    sed 's/\(kSerialElements = \).*;/\1128;/; s/\(kTaskElements = \).*;/\116;/' interface.cc; } > "$small"
  [ "$(grep -c -E '(kSerialElements = 128|kTaskElements = 16);' "$small")" = 2 ]
  "${compiler[@]}" "${flags[@]}" -I. -Dsysconf=sysconf_of_test -c "$small" -o "$to/interface_of_test.o"
}

# Succeeds if the machine has an instruction set: a program that prints the one it uses, set.
has_set() { MS_COSINE_LOSS_INSTRUCTION_SET=$2 "$1" | grep -q "^$2:"; }
