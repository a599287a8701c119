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
"""The cost of dynamic shapes: the same calls with known and with unknown shapes.

    python -m benchmarks.dynamic [--rounds 15] [--seconds 3] [--losses native mindspore.nn] [--csv dynamic.csv]

prints the median milliseconds of a call in graph mode, forward and forward + backward, measured in one process,
interleaved, and how many times longer the dynamic graph takes.
"""
import mindspore as ms
from mindspore import Tensor, nn

from benchmarks import records
from benchmarks.contestants import MARGIN, Problem
from benchmarks.environment import describe
from benchmarks.timing import milliseconds, quartiles
from ms_cosine_loss import CosineEmbeddingLoss, use_implementation

LOSSES = ('native', 'plain', 'mindspore.nn')
SHAPES = ((32, 768), (16384, 768))


class _Both(nn.Cell):
    """The loss and both gradients as a Cell, because only a Cell has set_inputs."""

    def __init__(self, loss):
        super().__init__()
        self.differentiated = ms.value_and_grad(loss, (0, 1))

    def construct(self, logits_x1, logits_x2, labels):
        return self.differentiated(logits_x1, logits_x2, labels)


def _cell(name, what, is_dynamic, length):
    loss = (nn.CosineEmbeddingLoss if name == 'mindspore.nn' else CosineEmbeddingLoss)(MARGIN)
    cell = _Both(loss) if what == 'both' else loss
    if is_dynamic:
        cell.set_inputs(Tensor(shape=[None, length], dtype=ms.float32), Tensor(shape=[None, length], dtype=ms.float32),
                        Tensor(shape=[None], dtype=ms.int32))
    return cell


def _call(cell, implementation, inputs):
    def call():
        with use_implementation(implementation):
            outputs = cell(*inputs)
        # A graph may still run when its call returns. On CPU this copies nothing.
        for output in (outputs[0], *outputs[1]) if isinstance(outputs, tuple) else (outputs,):
            output.asnumpy()
    return call


def _rows(shape, losses, rounds, seconds):
    problem = Problem(*shape)
    inputs = Tensor(problem.x1), Tensor(problem.x2), Tensor(problem.labels)
    for what in ('forward', 'both'):
        times = milliseconds({(name, is_dynamic): _call(_cell(name, what, is_dynamic, shape[1]),
                                                        'auto' if name == 'mindspore.nn' else name, inputs)
                              for name in losses for is_dynamic in (False, True)}, rounds, seconds)
        for name in losses:
            static, dynamic = (quartiles(times[name, is_dynamic])[1] for is_dynamic in (False, True))
            yield {'rows': shape[0], 'length': shape[1], 'what': what, 'loss': name, 'static_ms': f'{static:.3g}',
                   'dynamic_ms': f'{dynamic:.3g}', 'ratio': f'{dynamic / static:.2f}'}


def main():
    """Measures, prints the table and writes it where asked."""
    parser = records.argument_parser(__doc__)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=float, default=3.0)
    parser.add_argument('--losses', nargs='+', choices=LOSSES, default=list(LOSSES))
    arguments = parser.parse_args()
    ms.set_context(mode=ms.GRAPH_MODE)
    print(describe())
    rows = records.printed(row for shape in SHAPES
                           for row in _rows(shape, arguments.losses, arguments.rounds, arguments.seconds))
    if arguments.csv:
        records.save(arguments.csv, rows)


if __name__ == '__main__':
    main()
