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
"""Tests what MindSpore dispatches to Ascend and to GPU, on a machine without either.

MindSpore's wheel for x86-64 contains its Ascend and GPU backends. With a small library in place of CANN or CUDA, both
compile graphs, select operators and launch them:

    python -m tests.dispatch.on Ascend SCRIPT.py        runs Python with the stand-in for a device
    python -m tests.dispatch [--csv docs/data/launches.csv]
                                                        counts what each loss launches, by mode, dtype and reduction
    .ci/gate dispatch                                   runs all tests that use the stand-ins

On Ascend, each operator is computed on the host in double and rounded to its dtype, so the behavioural tests run
unchanged. Operators that MindSpore fuses at jit level O1 are device code and are not computed; nor is anything on GPU.

This verifies the lowering: each call reaches operators that MindSpore has for the device and the dtype, in an order
that gives the right numbers, and how many. It does not show their speed, their memory, the hardware's rounding, or what
CANN itself rejects.

Requires Linux on x86-64, a C++ compiler and nm. `build` makes the libraries from the sources in `stand_in`.
"""
