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
"""The cost of checking arguments and selecting the implementation, per call in PyNative.

    python -m benchmarks.validation

prints microseconds, the best of several repeats.
"""
import timeit

import mindspore as ms

from benchmarks.environment import describe
from ms_cosine_loss import _checks, _select
from ms_cosine_loss.implementations import native

CALLS = 2000


def _microseconds(function):
    return 1e6 * min(timeit.repeat(function, number=CALLS, repeat=7)) / CALLS


def main():
    """Measures and prints the table."""
    shapes = (32, 128), (32, 128), (32,)

    def checks():
        _checks.check_settings(0.1, 'mean', 1, 1e-12)
        _checks.check_tensors(True, True, True, None, None, None)
        _checks.check_inputs(*shapes, ms.float32, ms.float32, ms.int32, 1)

    print(describe())
    print('| part | us |\n| --- | --- |')
    for name, function in (('checks', checks),
                           ('choice of implementation', lambda: _select._selected(*shapes)),
                           ('settings for the kernel', lambda: native._settings(1e-12, 'mean', 1))):
        print(f'| {name} | {_microseconds(function):.1f} |')


if __name__ == '__main__':
    main()
