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
"""The cost of the loss inside a training step of a Siamese Dense layer.

    python -m benchmarks.training [--steps 80] [--losses native plain mindspore.nn none] [--csv docs/data/training.csv]

prints the median milliseconds of a step in both modes with native, plain, mindspore.nn's loss, and, as 'none', the mean
of the products instead of a loss. To compare OpenMP with the kernel's own threads, install with MS_COSINE_LOSS_OPENMP=1
and run it again.
"""
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from benchmarks import records
from benchmarks.contestants import MODES
from benchmarks.environment import describe
from benchmarks.timing import milliseconds, quartiles
from ms_cosine_loss import CosineEmbeddingLoss, use_implementation

ROWS, LENGTH = 4096, 256
LOSSES = ('native', 'plain', 'mindspore.nn', 'none')


class _MeanProduct(nn.Cell):
    """A stand-in for no loss: a cheap scalar of both embeddings."""

    def construct(self, logits_x1, logits_x2, labels):
        return (logits_x1 * logits_x2).mean()


def _loss(name):
    return {'mindspore.nn': nn.CosineEmbeddingLoss, 'none': _MeanProduct}.get(name, CosineEmbeddingLoss)()


def _step(name, in_graph, inputs):
    network = nn.Dense(LENGTH, LENGTH)
    optimizer = nn.SGD(network.trainable_params(), 1e-3)
    loss = _loss(name)

    def forward(x1, x2, labels):
        return loss(network(x1), network(x2), labels)

    gradient = ms.value_and_grad(forward, None, optimizer.parameters)

    def step(x1, x2, labels):
        value, gradients = gradient(x1, x2, labels)
        optimizer(gradients)
        return value

    called = ms.jit(step) if in_graph else step

    def call():
        with use_implementation(name if name in ('native', 'plain') else 'auto'):
            called(*inputs).asnumpy()
        for parameter in optimizer.parameters:
            parameter.asnumpy()

    return call


def _rows(losses, steps, inputs):
    for mode, value in MODES.items():
        ms.set_context(mode=value)
        times = milliseconds({name: _step(name, mode == 'graph', inputs) for name in losses}, steps)
        for name, each in times.items():
            figures = (f'{figure:.3g}' for figure in quartiles(each))
            yield dict(zip(('mode', 'loss', 'lower_ms', 'median_ms', 'upper_ms'), (mode, name, *figures)))


def main():
    """Measures, prints the table and writes it where asked."""
    parser = records.argument_parser(__doc__)
    parser.add_argument('--steps', type=int, default=80)
    parser.add_argument('--losses', nargs='+', choices=LOSSES, default=LOSSES)
    arguments = parser.parse_args()
    print(describe())
    print(f'one training step, {ROWS} pairs of {LENGTH} elements')
    rng = np.random.default_rng(0)
    inputs = (*(Tensor(rng.standard_normal((ROWS, LENGTH)), ms.float32) for _ in range(2)),
              Tensor(rng.choice([-1, 1], ROWS), ms.int32))
    rows = records.printed(_rows(arguments.losses, arguments.steps, inputs))
    if arguments.csv:
        records.save(arguments.csv, rows)


if __name__ == '__main__':
    main()
