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
"""What the loss costs inside a training step: a Siamese Dense layer with its optimizer, with the loss and without.

    python -m benchmarks.training [--steps 80] [--losses native plain mindspore.nn none]

prints median milliseconds of a step in both modes with the native and the plain implementation, with mindspore.nn's
loss, and with a mean of the products in place of a loss. To weigh OpenMP against the kernel's own threads, install with
MS_COSINE_LOSS_OPENMP=1 and run it again.
"""
import argparse
import statistics
import time

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from benchmarks.environment import describe
from ms_cosine_loss import CosineEmbeddingLoss, get_implementation_status, use_implementation

ROWS, LENGTH = 4096, 256


class _MeanProduct(nn.Cell):
    """What a step costs without a loss: the cheapest way to get a number out of both embeddings."""

    def construct(self, logits_x1, logits_x2, labels):
        return (logits_x1 * logits_x2).mean()


def _step(loss, in_graph):
    network = nn.Dense(LENGTH, LENGTH)
    optimizer = nn.SGD(network.trainable_params(), 1e-3)

    def forward(x1, x2, labels):
        return loss(network(x1), network(x2), labels)

    gradient = ms.value_and_grad(forward, None, optimizer.parameters)

    def step(x1, x2, labels):
        value, gradients = gradient(x1, x2, labels)
        optimizer(gradients)
        return value

    return ms.jit(step) if in_graph else step


def main():
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--steps', type=int, default=80)
    parser.add_argument('--losses', nargs='+', default=['native', 'plain', 'mindspore.nn', 'none'])
    arguments = parser.parse_args()
    status = get_implementation_status()
    print(describe() + f', kernel on {status.instruction_set} with {status.threads} threads')
    print(f'median ms of a training step, {ROWS} pairs of {LENGTH}\n')
    losses = {'native': CosineEmbeddingLoss(), 'plain': CosineEmbeddingLoss(), 'mindspore.nn': nn.CosineEmbeddingLoss(),
              'none': _MeanProduct()}
    losses = {name: losses[name] for name in arguments.losses}
    print(f'| mode | {" | ".join(losses)} |\n| --- |{" --- |" * len(losses)}')
    rng = np.random.default_rng(0)
    inputs = (*(Tensor(rng.standard_normal((ROWS, LENGTH)), ms.float32) for _ in range(2)),
              Tensor(rng.choice([-1, 1], ROWS), ms.int32))
    for mode_name, mode in (('graph', ms.GRAPH_MODE), ('pynative', ms.PYNATIVE_MODE)):
        ms.set_context(mode=mode)
        steps = {name: _step(loss, mode == ms.GRAPH_MODE) for name, loss in losses.items()}
        times = {name: [] for name in steps}
        for _ in range(arguments.steps):
            for name, step in steps.items():
                with use_implementation(name if name in ('native', 'plain') else 'auto'):
                    started = time.perf_counter()
                    step(*inputs)
                    ms.runtime.synchronize()
                    times[name].append(time.perf_counter() - started)
        cells = [f'{1e3 * statistics.median(each[10:]):.1f}' for each in times.values()]
        print(f'| {mode_name} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()
