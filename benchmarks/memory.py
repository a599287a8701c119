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
"""The memory of a loss beyond its inputs and outputs; graph mode, float32.

    python -m benchmarks.memory [--csv docs/data/memory.csv]

prints, for 16384 pairs of 768 elements, the MiB by which a call raises the peak of a fresh process that holds the
inputs, minus the outputs and minus the rise of the same call on a few pairs: for the first call, which compiles, and
for a later one. Memory that MindSpore's pool retains counts in both. Linux only: the peak is reset through /proc.
"""
import json
import pathlib
import subprocess
import sys

import mindspore as ms
import numpy as np

from benchmarks import records
from benchmarks.contestants import Problem, makers, others_installed
from benchmarks.environment import describe

ROWS, LENGTH, FEW = 16384, 768, 16
NAMES = ('native', 'plain', 'mindspore.nn', 'mindspore.ops', 'torch', 'torch.compile', 'jax.jit', 'kernel alone')
REPEATS = 3
_PROCESS = pathlib.Path('/proc/self')


def _resident(field):
    """VmRSS (resident) or VmHWM (its peak) in KiB."""
    return next(int(line.split()[1]) for line in (_PROCESS / 'status').read_text().splitlines()
                if line.startswith(field))


def _peaks_of(name, what, rows):
    """The KiB by which the first and the second call of a contestant raise this process's peak."""
    ms.set_context(mode=ms.GRAPH_MODE)
    call = getattr(makers(Problem(rows, LENGTH))[name](), what)
    before = _resident('VmRSS')
    peaks = []
    for _ in range(2):
        (_PROCESS / 'clear_refs').write_text('5')
        outputs = call()
        peaks.append(_resident('VmHWM') - before)
        del outputs
    return peaks


def _peaks_in_a_process(name, what, rows):
    command = [sys.executable, '-m', 'benchmarks.memory', '--child', name, what, str(rows)]
    found = [json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
             for _ in range(REPEATS)]
    return np.median(found, axis=0)


def _rows():
    few = makers(Problem(FEW, LENGTH))
    for name in NAMES:
        if name not in few:
            continue
        row = {'contestant': name}
        for what in ('forward', 'both'):
            # The kernel's outputs are allocated before the call.
            outputs = 2 * ROWS * LENGTH * 4 / 1024 if what == 'both' and name != 'kernel alone' else 0
            beyond = _peaks_in_a_process(name, what, ROWS) - _peaks_in_a_process(name, what, FEW) - outputs
            for which, value in zip(('first', 'later'), beyond):
                row[f'{what}_{which}_mib'] = f'{value / 1024:.1f}'
        yield row


def main():
    """Measures, prints the table and writes it where asked."""
    parser = records.argument_parser(__doc__)
    parser.add_argument('--child', nargs=3, metavar=('CONTESTANT', 'WHAT', 'ROWS'),
                        help='only print the peak memory of the first and the second call; WHAT is forward or both')
    arguments = parser.parse_args()
    if arguments.child:
        name, what, rows = arguments.child
        print(_peaks_of(name, what, int(rows)))
        return
    print(describe(*others_installed()))
    inputs = 2 * ROWS * LENGTH * 4 / 2 ** 20
    print(f'peak memory in MiB beyond inputs and outputs; inputs and gradients take {inputs:.0f} MiB each')
    rows = records.printed(_rows())
    if arguments.csv:
        records.save(arguments.csv, rows, others_installed())


if __name__ == '__main__':
    main()
