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
"""How close the kernel, called without MindSpore, comes to memory bandwidth.

    python -m benchmarks.bandwidth [--rounds 15] [--dtypes float32] [--threads 1 2] [--layouts rows] [--libraries O.so]

prints the median milliseconds of the memory-bandwidth baseline and of the kernel, forward and forward + backward, with
half of the pairs similar, and the ratio of the two: on rows, on lanes (the vectors' axis is not the last) and with one
vector against all. All are interleaved, in random order. The variants of the writing baseline are printed first; the
fastest one counts. They differ in whether stores bypass the caches, and in how many bytes go to one output before the
other gets as many. --libraries adds builds with the same interface to the installed one.
MS_COSINE_LOSS_INSTRUCTION_SET selects the instruction set.
"""
import os

import numpy as np

from benchmarks import records
from benchmarks.contestants import MARGIN, Problem
from benchmarks.environment import describe
from benchmarks.kernel import Kernel, Memory, bfloat16
from benchmarks.timing import milliseconds
from ms_cosine_loss.implementations import native

ROWS, LENGTH, LANES = 16384, 768, 256
LAYOUTS = ('rows', 'lanes', 'broadcast')


def _inputs(problem, layout):
    """Both inputs and the labels, in the given layout."""
    exactly = bfloat16 if problem.dtype == 'bfloat16' else np.dtype(problem.dtype).type
    x1, x2 = exactly(problem.x1), exactly(problem.x2)
    if layout == 'lanes':
        x1, x2 = (np.ascontiguousarray(x.reshape(-1, LANES, LENGTH).swapaxes(1, 2)) for x in (x1, x2))
        return x1, x2, problem.labels.reshape(-1, LANES)
    return x1[:1] if layout == 'broadcast' else x1, x2, problem.labels


def _memory(dtype, threads, rounds):
    memory = Memory((ROWS, LENGTH if dtype == 'float32' else LENGTH // 2), threads)
    for loop, times in milliseconds(memory.loops, rounds).items():
        print(dtype, f'threads {threads}', 'streams' if loop[0] else 'stores', loop[1], f'{np.median(times):.3g} ms')
    return memory


def _rows(dtype, threads, layouts, libraries, rounds):
    memory = _memory(dtype, threads, rounds)
    problem = Problem(ROWS, LENGTH, dtype)
    for layout in layouts:
        kernels = {'memory': memory, **{library: Kernel(*_inputs(problem, layout), MARGIN, threads=threads,
                                                        library=library) for library in libraries}}
        forward, both = ({library: np.median(each) for library, each in milliseconds(
            {library: getattr(kernel, what) for library, kernel in kernels.items()}, rounds).items()}
            for what in ('forward', 'both'))
        for library in libraries:
            yield {'dtype': dtype, 'layout': layout, 'threads': threads, 'library': os.path.relpath(library),
                   'memory_forward_ms': f'{forward["memory"]:.3g}', 'forward_ms': f'{forward[library]:.3g}',
                   'forward_ratio': f'{forward[library] / forward["memory"]:.2f}',
                   'memory_both_ms': f'{both["memory"]:.3g}', 'both_ms': f'{both[library]:.3g}',
                   'both_ratio': f'{both[library] / both["memory"]:.2f}'}


def main():
    """Measures, prints the table and writes it where asked."""
    parser = records.argument_parser(__doc__)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--dtypes', nargs='+', default=['float32', 'bfloat16', 'float16'])
    parser.add_argument('--threads', type=int, nargs='+', default=[1, os.cpu_count()])
    parser.add_argument('--layouts', nargs='+', choices=LAYOUTS, default=LAYOUTS)
    parser.add_argument('--libraries', nargs='*', default=[])
    arguments = parser.parse_args()
    print(describe(), native.instruction_set())
    libraries = [*arguments.libraries, str(native.LIBRARY)]
    rows = records.printed(row for dtype in arguments.dtypes for threads in arguments.threads
                           for row in _rows(dtype, threads, arguments.layouts, libraries, arguments.rounds))
    if arguments.csv:
        records.save(arguments.csv, rows)


if __name__ == '__main__':
    main()
