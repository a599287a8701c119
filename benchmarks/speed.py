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
"""Speed and error of the loss against other implementations, measured in one process, interleaved.

    python -m benchmarks.speed [--rounds 15] [--seconds 3] [--modes graph pynative] [--csv docs/data/speed.csv]

prints the median milliseconds of a call, forward and forward + backward, the worst relative error of a similar pair's
loss, and the worst error of a gradient relative to its norm. torch and jax are measured if installed. The CSV also has
the quartiles.

OpenMP's threads spin after their work and slow down the others; OMP_WAIT_POLICY=passive makes them sleep. Measure
PyNative without it, as users run it, in a separate process.
"""
import mindspore as ms

from benchmarks import records
from benchmarks.contestants import MODES, Problem, makers, others_installed
from benchmarks.environment import describe
from benchmarks.timing import milliseconds, quartiles

SHAPES = ((32, 128), (1024, 512), (16384, 768))
CASES = {'graph': [(shape, 'float32') for shape in SHAPES] + [(SHAPES[-1], 'bfloat16'), (SHAPES[-1], 'float16')],
         'pynative': [(shape, 'float32') for shape in SHAPES]}
ONLY_GRAPH = ('torch', 'torch.compile', 'jax.jit', 'kernel alone', 'memory')


def _rows(mode, shape, dtype, rounds, seconds):
    problem = Problem(*shape, dtype)
    contestants = {name: make() for name, make in makers(problem).items() if mode == 'graph' or name not in ONLY_GRAPH}
    times = {what: milliseconds({name: getattr(each, what) for name, each in contestants.items()}, rounds, seconds)
             for what in ('forward', 'both')}
    for name, contestant in contestants.items():
        row = {'mode': mode, 'rows': shape[0], 'length': shape[1], 'dtype': dtype, 'contestant': name}
        for what, each in times.items():
            for which, value in zip(('lower', 'median', 'upper'), quartiles(each[name])):
                row[f'{what}_{which}_ms'] = f'{value:.4g}'
        errors = problem.error_of(contestant) if contestant.losses else (None, None)
        row.update({key: '' if error is None else f'{error:.2g}'
                    for key, error in zip(('loss_error', 'gradient_error'), errors)})
        yield row


def main():
    """Measures, prints the table and writes it where asked."""
    parser = records.argument_parser(__doc__)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=float, default=3.0)
    parser.add_argument('--modes', nargs='+', choices=list(MODES), default=list(MODES))
    arguments = parser.parse_args()
    print(describe(*others_installed()))
    for mode in arguments.modes:
        ms.set_context(mode=MODES[mode])
        rows = records.printed(row for shape, dtype in CASES[mode]
                               for row in _rows(mode, shape, dtype, arguments.rounds, arguments.seconds))
        if arguments.csv:
            records.save(arguments.csv, rows, others_installed(), mode)


if __name__ == '__main__':
    main()
