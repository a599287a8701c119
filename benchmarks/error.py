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
"""The worst error of a pair's loss against the exact value: both implementations, mindspore.nn and torch.

    python -m benchmarks.error [--pairs 1000000] [--seed 0] [--csv docs/data/error.csv]

The pairs are random, nearly parallel (1 - cos down to 1e-9), parallel, constant, of mixed scales within a row, huge
and tiny (down to subnormal numbers), of 1 to 100003 elements; most are short. The exact value is computed in NumPy's
long double, accurate to 1e-19. Two errors are reported: in ulp of the result, where it is at least 1e-9, and in ulp of
1 in the arithmetic's precision (1.2e-7 for float32 and half-precision input, 2.2e-16 for float64). Negative and
non-finite losses are counted separately. torch is optional.
"""
import importlib

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from benchmarks import exact, records
from benchmarks.environment import describe
from ms_cosine_loss import CosineEmbeddingLoss, use_implementation

LENGTHS = (1, 2, 3, 17, 64, 128, 333, 768, 1009, 10007, 100003)
LARGEST = {'float16': 6.0e4, 'bfloat16': 1e38, 'float32': 1e38, 'float64': 1e300}
SMALLEST = {'float16': 1e-7, 'bfloat16': 1e-39, 'float32': 1e-44, 'float64': 1e-310}
SPACING = {'float16': 2.0 ** -10, 'bfloat16': 2.0 ** -7, 'float32': 2.0 ** -23, 'float64': 2.0 ** -52}
SMALLEST_NORMAL = {'float16': 2.0 ** -14, 'bfloat16': 2.0 ** -126, 'float32': 2.0 ** -126, 'float64': 2.0 ** -1022}


def _pairs(rng, count, length, dtype):
    """Returns `count` pairs of each kind, in float64."""
    x1, x2 = rng.standard_normal((2, count, length))
    mixed = 10.0 ** rng.uniform(-3, 3, (count, length))
    angle = 10.0 ** rng.uniform(-4.4, -0.5, (count, 1))
    one, two = rng.uniform(0.1, 1, (2, count, 1)) * np.ones((1, length))
    largest = LARGEST[dtype] / np.maximum(np.abs(x1).max(1, keepdims=True), np.abs(x2).max(1, keepdims=True))
    kinds = [(x1, x2),
             (x1, x1 + angle * x2),
             (x1, 3 * x1),
             (one, two),
             (x1 * mixed, x2 * mixed),
             (x1 * largest, x2 * largest),
             (x1 * largest, x2),
             (x1 * 10 * SMALLEST[dtype], x2)]
    return tuple(np.concatenate(rows) for rows in zip(*kinds))


def of_mindspore(loss, implementation='auto'):
    def losses(x1, x2, labels):
        with use_implementation(implementation):
            return loss(x1, x2, labels).astype(ms.float64).asnumpy()
    return losses


def of_torch(x1, x2, labels):
    torch = importlib.import_module('torch')
    dtype = getattr(torch, str(x1.dtype).lower())
    x1, x2 = (torch.tensor(x.astype(ms.float64).asnumpy()).to(dtype) for x in (x1, x2))
    loss = torch.nn.functional.cosine_embedding_loss(x1, x2, torch.tensor(labels.asnumpy()), reduction='none')
    return loss.double().numpy()


class _Worst:
    """The worst errors of one contestant."""

    def __init__(self, dtype):
        self._spacing, self._smallest = SPACING[dtype], SMALLEST_NORMAL[dtype]
        self._at_one = SPACING['float64' if dtype == 'float64' else 'float32']
        self._is_half = dtype in ('float16', 'bfloat16')
        self.of_result = self.at_one = 0.0
        self.negative = self.not_finite = 0

    def take(self, losses, truth):
        """Updates the worst errors with some losses."""
        finite = np.isfinite(losses)
        losses, truth = losses[finite], truth[finite]
        self.not_finite += int(np.sum(~finite))
        self.negative += int(np.sum(losses < 0))
        error = np.abs(losses - truth).astype(np.float64)
        ulp = self._spacing * 2.0 ** np.floor(np.log2(np.maximum(truth.astype(np.float64), self._smallest)))
        counted = truth >= 1e-9
        self.of_result = max(self.of_result, float(np.max(error[counted] / ulp[counted], initial=0)))
        # Rounding the result to half precision adds its own error.
        own = 2 * ulp if self._is_half else 0
        self.at_one = max(self.at_one, float(np.max(np.maximum(0, error - own) / self._at_one, initial=0)))

    def figures(self):
        """The figures of a row of the table."""
        return {'ulp_of_result': f'{self.of_result:.3g}', 'ulp_at_one': f'{self.at_one:.3g}',
                'negative': self.negative, 'not_finite': self.not_finite}


def measure(dtype, contestants, pairs, seed):
    """Returns the number of pairs, and the worst errors of each contestant, None where it lacks the dtype."""
    rng = np.random.default_rng(seed)
    results = {name: _Worst(dtype) for name in contestants}
    # As many pairs of each length, but fewer of those above 1000, which would take all the time.
    shares = [min(1.0, 1000 / length) for length in LENGTHS]
    total = 0
    for length, share in zip(LENGTHS, shares):
        count = max(1, round(pairs * share / sum(shares) / 8))
        most = max(1, 2_000_000 // length)
        for start in range(0, count, most):
            x1, x2 = (Tensor(x, ms.float64).astype(getattr(ms, dtype))
                      for x in _pairs(rng, min(most, count - start), length, dtype))
            labels = rng.choice([1, -1], x1.shape[0])
            truth = exact.losses(x1.astype(ms.float64).asnumpy(), x2.astype(ms.float64).asnumpy(), labels)
            total += len(truth)
            for name, contestant in contestants.items():
                if results[name] is None:
                    continue
                try:
                    results[name].take(contestant(x1, x2, Tensor(labels, ms.int32)), truth)
                except (TypeError, RuntimeError):
                    results[name] = None
    return total, results


def _rows(contestants, pairs, seed):
    for dtype in SPACING:
        total, results = measure(dtype, contestants, pairs, seed)
        for name, result in results.items():
            # A row without figures: not supported.
            figures = result.figures() if result else dict.fromkeys(_Worst(dtype).figures(), '')
            yield {'dtype': dtype, 'pairs': total, 'contestant': name, **figures}


def main():
    """Measures, prints the table and writes it where asked."""
    parser = records.argument_parser(__doc__)
    parser.add_argument('--pairs', type=int, default=1_000_000)
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    ms.set_context(mode=ms.PYNATIVE_MODE)
    contestants = {name: of_mindspore(CosineEmbeddingLoss(reduction='none'), name) for name in ('native', 'plain')}
    contestants['mindspore.nn'] = of_mindspore(nn.CosineEmbeddingLoss(reduction='none'))
    modules = []
    try:
        modules.append(importlib.import_module('torch'))
        contestants['torch'] = of_torch
    except ImportError:
        print('torch is not installed; skipping it')
    print(describe(*modules))
    rows = records.printed(_rows(contestants, arguments.pairs, arguments.seed))
    if arguments.csv:
        records.save(arguments.csv, rows, modules)


if __name__ == '__main__':
    main()
