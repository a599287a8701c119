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
"""What MindSpore dispatches to an Ascend and to a GPU, on a machine that has neither.

MindSpore's wheel for x86-64 holds its Ascend and its GPU backend. With a small library in place of CANN and of CUDA
both compile graphs, select operators and launch them:

    python -m tests.by_hand.dispatch.on Ascend SCRIPT.py    any Python with the stand-in for a device
    python -m tests.by_hand.dispatch [--csv FILE]           what each loss launches, by mode, dtype and reduction
    python -m pytest tests/st -p tests.by_hand.dispatch.judge --device Ascend
                                                            the behavioural suite of plain there

On Ascend each operator is computed, on the host, in double, and rounded to its dtype: the behavioural suite runs there
as it is. Operators that MindSpore fuses, at jit level O1, are code of the device and not computed; nor is anything on
GPU.

That proves the lowering: each call reaches operators that MindSpore has for the device and the dtype, in an order that
gives the right numbers, and so many of them. It does not tell how fast they are, what memory they take, how the
hardware rounds, nor what CANN refuses itself.

It takes Linux on x86-64, a C++ compiler and nm. `build` makes the libraries from the sources in `stand_in`.
"""
