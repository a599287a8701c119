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
"""Plain compared with `mindspore.nn` on CPU: speed with static and dynamic shapes, and error by length.

    python -m benchmarks.plain [--rounds 31] [--seconds 3]

prints the median milliseconds of a call of each, interleaved in random order, and the ratio of the medians; then the
worst error of a loss, in ulp of 1.
"""
import argparse

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from benchmarks.contestants import MARGIN, MODES, Problem
from benchmarks.environment import describe
from benchmarks.speed import SHAPES
from benchmarks.timing import milliseconds
from ms_cosine_loss import CosineEmbeddingLoss, use_implementation
from tests import truth

LOSSES = {'plain': CosineEmbeddingLoss, 'mindspore.nn': nn.CosineEmbeddingLoss}


class _Both(nn.Cell):
    """The loss and its gradients."""

    def __init__(self, loss):
        super().__init__()
        self._loss, self._gradient = loss, ops.GradOperation(get_all=True)

    def construct(self, x1, x2, labels):
        return self._loss(x1, x2, labels), self._gradient(self._loss)(x1, x2, labels)


def _calls(loss, inputs, mode, is_dynamic):
    """Returns two calls: the loss alone, and with its gradients."""
    forward, both = loss, ms.value_and_grad(loss, (0, 1))
    if mode == 'graph':
        both = _Both(loss)
    if is_dynamic:
        for cell in (forward, both):
            cell.set_inputs(*(Tensor(shape=[None] * x.ndim, dtype=x.dtype) for x in inputs))

    def called(function):
        def call():
            outputs = function(*inputs)
            while isinstance(outputs, tuple):
                outputs = outputs[-1]
            outputs.asnumpy()
        return call

    return {'forward': called(forward), 'both': called(both)}


def _speed(rounds, seconds):
    print('mode', 'shapes', 'rows', 'length', 'what', *LOSSES, 'ratio', sep='\t')
    for mode, is_dynamic in (('graph', False), ('graph', True), ('pynative', False)):
        ms.set_context(mode=MODES[mode])
        for shape in SHAPES:
            problem = Problem(*shape)
            inputs = Tensor(problem.x1), Tensor(problem.x2), Tensor(problem.labels)
            calls = {name: _calls(loss(MARGIN), inputs, mode, is_dynamic) for name, loss in LOSSES.items()}
            for what in ('forward', 'both'):
                times = milliseconds({name: each[what] for name, each in calls.items()}, rounds, seconds)
                medians = [np.median(times[name]) for name in LOSSES]
                print(mode, 'unknown' if is_dynamic else 'known', *shape, what, *(f'{each:.3g}' for each in medians),
                      f'{medians[0] / medians[1]:.2f}', sep='\t', flush=True)


def _error():
    print('dtype', 'rows', 'length', *LOSSES, sep='\t')
    for dtype in ('float32', 'float64'):
        for rows, length in ((200, 768), (4, 100_003)):
            rng = np.random.default_rng(0)
            x1, x2 = np.abs(rng.standard_normal((2, rows, length))).astype(dtype)
            labels = np.ones(rows, np.int32)
            true = truth.pair_losses(x1, x2, labels).astype(np.float64)
            worst = [np.abs(loss(reduction='none')(Tensor(x1), Tensor(x2), Tensor(labels)).asnumpy() - true).max()
                     / np.finfo(dtype).eps for loss in LOSSES.values()]
            print(dtype, rows, length, *(f'{each:.3g}' for each in worst), sep='\t', flush=True)


def main():
    """Measures and prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=31)
    parser.add_argument('--seconds', type=float, default=3.0)
    arguments = parser.parse_args()
    print(describe())
    with use_implementation('plain'):
        _speed(arguments.rounds, arguments.seconds)
        _error()


if __name__ == '__main__':
    main()
