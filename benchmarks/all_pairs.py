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
"""All pairs of a batch, (N, 1, D) against (1, N, D), axis -1, compared with normalise + matmul; graph mode, float32.

    python -m benchmarks.all_pairs [--rounds 15] [--seconds 2] [--csv docs/data/all_pairs.csv]

prints, for N of 512 and 1024, D = 512 and two margins, the median milliseconds of the mean loss, without and with both
gradients, interleaved in random order; the worst relative error of a similar pair's loss and of a gradient against
float64; and the MiB by which the first value with gradients raises the peak of a fresh process, outputs included.
Plain is left out: it allocates N × N × D arrays, 14 GiB at N = 512.
"""
import functools
import importlib
import json
import os
import pathlib
import subprocess
import sys

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from benchmarks import records
from benchmarks.environment import describe
from benchmarks.exact import EPS
from benchmarks.timing import milliseconds
from ms_cosine_loss import CosineEmbeddingLoss, use_implementation

LENGTH, ROWS = 512, (512, 1024)
# At margin 0, half of the random pairs have gradients; at 0.1, one in a hundred.
MARGINS = 0.0, 0.1
NAMES = ('native', 'MindSpore matmul', 'PyTorch matmul')
_PROCESS = pathlib.Path('/proc/self')


class _Problem:
    """A batch whose pairs are similar on the diagonal, with 1 - cos near 0.005, and random elsewhere."""

    def __init__(self, rows):
        rng = np.random.default_rng(0)
        self.x1, x2 = rng.standard_normal((2, rows, LENGTH), np.float32)
        self.x2 = self.x1 + np.float32(0.1) * x2
        self.labels = (2 * np.eye(rows) - 1).astype(np.int32)

    def truth(self, margin):
        """The losses of the diagonal, and the gradients of the sum of all losses, in float64."""
        x1, x2 = self.x1.astype(np.float64), self.x2.astype(np.float64)
        norm1, norm2 = (np.sqrt((x * x).sum(1, keepdims=True) + EPS) for x in (x1, x2))
        cosine = x1 @ x2.T / norm1 / norm2.T
        slope = np.where(self.labels == 1, -1.0, cosine >= margin)
        gradients = ((slope @ (x2 / norm2) - (slope * cosine).sum(1, keepdims=True) * x1 / norm1) / norm1,
                     (slope.T @ (x1 / norm1) - (slope * cosine).sum(0)[:, None] * x2 / norm2) / norm2)
        return 1 - np.diag(cosine), gradients


class _Matmul(nn.Cell):
    """The same loss written by hand with a matrix product."""

    def __init__(self, margin, reduction='mean'):
        super().__init__()
        self._margin, self._reduction = margin, reduction

    def construct(self, x1, x2, labels):
        unit1 = x1 / ops.sqrt((x1 * x1).sum(-1, keepdims=True) + EPS)
        unit2 = x2 / ops.sqrt((x2 * x2).sum(-1, keepdims=True) + EPS)
        cosine = ops.matmul(unit1, unit2.T)
        losses = ops.select(labels == 1, 1 - cosine, ops.relu(cosine - self._margin))
        if self._reduction == 'none':
            return losses
        return losses.mean() if self._reduction == 'mean' else losses.sum()


class _Loss(nn.Cell):
    """`CosineEmbeddingLoss` of all pairs."""

    def __init__(self, margin, reduction='mean'):
        super().__init__()
        self._loss = CosineEmbeddingLoss(margin, reduction, axis=-1)

    def construct(self, x1, x2, labels):
        return self._loss(x1.expand_dims(1), x2.expand_dims(0), labels)


def _mindspore(problem, make):
    """Returns a function of the reduction that returns two calls: the loss alone, and with its gradients."""
    inputs = Tensor(problem.x1), Tensor(problem.x2), Tensor(problem.labels)

    def called(function):
        def call():
            with use_implementation('native'):
                outputs = function(*inputs)
            value, gradients = outputs if isinstance(outputs, tuple) else (outputs, ())
            return value.asnumpy(), [each.asnumpy() for each in gradients]
        return call

    return lambda reduction: (called(make(reduction=reduction)),
                              called(ms.value_and_grad(make(reduction=reduction), (0, 1))))


def _torch(problem, margin):
    torch = importlib.import_module('torch')
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    x1, x2 = (torch.tensor(x).requires_grad_() for x in (problem.x1, problem.x2))
    is_similar = torch.tensor(problem.labels) == 1

    def loss(reduction):
        unit1, unit2 = (x / torch.sqrt((x * x).sum(-1, keepdim=True) + EPS) for x in (x1, x2))
        cosine = unit1 @ unit2.T
        losses = torch.where(is_similar, 1 - cosine, torch.relu(cosine - margin))
        return losses if reduction == 'none' else getattr(losses, reduction)()

    def forward(reduction):
        with torch.no_grad():
            return loss(reduction).numpy(), []

    def both(reduction):
        value = loss(reduction)
        return value.detach().numpy(), [each.numpy() for each in torch.autograd.grad(value, (x1, x2))]

    return lambda reduction: (functools.partial(forward, reduction), functools.partial(both, reduction))


def _contestant(name, problem, margin):
    """Returns a function of the reduction that returns two calls: the loss alone, and with its gradients."""
    if name == 'PyTorch matmul':
        return _torch(problem, margin)
    if name == 'MindSpore matmul':
        return _mindspore(problem, functools.partial(_Matmul, margin))
    return _mindspore(problem, functools.partial(_Loss, margin))


def _peak(name, rows):
    """The MiB by which the first value with gradients raises the peak of this process."""
    call = _contestant(name, _Problem(rows), MARGINS[0])('mean')[1]
    # Excludes the memory of the compiler and of the threads' start.
    _contestant(name, _Problem(16), MARGINS[0])('mean')[1]()

    def status(field):
        return next(int(line.split()[1]) for line in (_PROCESS / 'status').read_text().splitlines()
                    if line.startswith(field))

    before = status('VmRSS')
    (_PROCESS / 'clear_refs').write_text('5')
    call()
    return (status('VmHWM') - before) / 1024


def _peak_in_a_process(name, rows):
    command = [sys.executable, '-m', 'benchmarks.all_pairs', '--peak', name, str(rows)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def _errors(contestant, truth):
    losses, gradients = truth
    of_loss = np.max(np.abs(np.diag(contestant('none')[0]()[0]) - losses) / losses)
    of_gradient = max(np.max(np.linalg.norm(found - true, axis=1) / np.linalg.norm(true, axis=1))
                      for found, true in zip(contestant('sum')[1]()[1], gradients))
    return {'loss_error': f'{of_loss:.2g}', 'gradient_error': f'{of_gradient:.2g}'}


def _rows(rows, margin, rounds, seconds, peaks):
    problem = _Problem(rows)
    truth = problem.truth(margin)
    contestants = {name: _contestant(name, problem, margin) for name in NAMES}
    calls = {name: contestant('mean') for name, contestant in contestants.items()}
    times = [milliseconds({name: each[which] for name, each in calls.items()}, rounds, seconds) for which in (0, 1)]
    for name, contestant in contestants.items():
        yield {'rows': rows, 'length': LENGTH, 'margin': margin, 'contestant': name,
               **{f'{what}_median_ms': f'{np.median(found[name]):.4g}'
                  for what, found in zip(('forward', 'both'), times)},
               **_errors(contestant, truth), 'peak_mib': f'{peaks[name, rows]:.0f}'}


def main():
    """Measures, prints the table and writes it where asked."""
    parser = records.argument_parser(__doc__)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=float, default=2)
    parser.add_argument('--peak', nargs=2, metavar=('CONTESTANT', 'ROWS'), help='only print the peak memory in MiB')
    arguments = parser.parse_args()
    ms.set_context(mode=ms.GRAPH_MODE)
    if arguments.peak:
        name, rows = arguments.peak
        print(_peak(name, int(rows)))
        return
    modules = [importlib.import_module('torch')]
    print(describe(*modules))
    peaks = {(name, rows): _peak_in_a_process(name, rows) for name in NAMES for rows in ROWS}
    rows = records.printed(row for rows in ROWS for margin in MARGINS
                           for row in _rows(rows, margin, arguments.rounds, arguments.seconds, peaks))
    if arguments.csv:
        records.save(arguments.csv, rows, modules)


if __name__ == '__main__':
    main()
