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
"""How the cost of a call grows with the number of pairs and with their length; graph mode, float32.

    python -m benchmarks.growth [--rounds 15] [--seconds 0.5] [--csv docs/data/growth.csv]

prints the milliseconds of a call, forward and forward + backward, from 1 to 65536 pairs of 512 elements and for 1024
pairs of 8 to 16384: the median, and the fastest, which excludes stalls in launching and scheduling.
"""
import mindspore as ms
import numpy as np

from benchmarks import records
from benchmarks.contestants import Problem, makers, others_installed
from benchmarks.environment import describe
from benchmarks.timing import milliseconds

LENGTH, ROWS = 512, 1024
SHAPES = sorted({(4 ** power, LENGTH) for power in range(9)} | {(ROWS, 2 * 4 ** power) for power in range(1, 7)}
                | {(ROWS, 16384)})
NAMES = ('native', 'plain', 'mindspore.nn', 'torch', 'jax.jit', 'kernel alone')


def _rows(shape, rounds, seconds):
    chosen = makers(Problem(*shape))
    contestants = {name: chosen[name]() for name in NAMES if name in chosen}
    forward, both = (milliseconds({name: getattr(each, what) for name, each in contestants.items()}, rounds, seconds)
                     for what in ('forward', 'both'))
    for name in contestants:
        yield {'rows': shape[0], 'length': shape[1], 'contestant': name,
               **{f'{what}_{figure}_ms': f'{function(times[name]):.4g}'
                  for what, times in (('forward', forward), ('both', both))
                  for figure, function in (('median', np.median), ('least', np.min))}}


def main():
    """Measures, prints the table and writes it where asked."""
    parser = records.argument_parser(__doc__)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=float, default=0.5)
    arguments = parser.parse_args()
    ms.set_context(mode=ms.GRAPH_MODE)
    print(describe(*others_installed()))
    rows = records.printed(row for shape in SHAPES for row in _rows(shape, arguments.rounds, arguments.seconds))
    if arguments.csv:
        records.save(arguments.csv, rows, others_installed())


if __name__ == '__main__':
    main()
