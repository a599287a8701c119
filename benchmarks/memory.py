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
"""How much memory the kernel takes beyond its inputs and outputs.

    python -m benchmarks.memory

prints by how many KiB one call, forward or forward and backward, raised the process's peak. The kernel is called
directly, because MindSpore serves tensors from a pool that it has reserved already. Linux only: the peak is reset
through /proc.
"""
import pathlib

import numpy as np

from benchmarks.environment import describe
from benchmarks.kernel import Kernel

SHAPES = ((32, 128), (1024, 512), (16384, 768))
_PROCESS = pathlib.Path('/proc/self')


def _resident(field):
    """VmRSS, what is resident, or VmHWM, its peak, in KiB."""
    return next(int(line.split()[1]) for line in (_PROCESS / 'status').read_text().splitlines()
                if line.startswith(field))


def _peak_of(call):
    (_PROCESS / 'clear_refs').write_text('5')
    before = _resident('VmRSS')
    call()
    return _resident('VmHWM') - before


def main():
    """Measures and prints the table."""
    print(describe())
    print('peak KiB beyond inputs and outputs\n\n| shape | forward | forward + backward |\n| --- | --- | --- |')
    for rows, length in SHAPES:
        rng = np.random.default_rng(0)
        x1, x2 = (rng.standard_normal((rows, length), np.float32) for _ in range(2))
        kernel = Kernel(x1, x2, rng.choice([-1, 1], rows).astype(np.int32), 0.1)
        print(f'| {(rows, length)} | {_peak_of(kernel.forward)} | {_peak_of(kernel.both)} |', flush=True)


if __name__ == '__main__':
    main()
