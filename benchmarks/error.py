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
"""The worst error of a pair's loss against the exact value: ours, mindspore.nn and torch, for each dtype.

    python -m benchmarks.error [--pairs 20000] [--seed 0]

The pairs are random, nearly parallel, constant, of mixed signs and scales, and 1 to 1009 elements long. An error is
counted in ulp at 1 of the arithmetic (float32 for half input, whose own rounding to the result is taken off first), so
that 1 ulp is 1.2e-7 for float32 and 2.2e-16 for float64. A loss that is negative or not finite is counted apart.
torch is optional.
"""
import argparse
import importlib

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from benchmarks.environment import describe
from ms_cosine_loss import CosineEmbeddingLoss
from tests.truth import pair_losses

LENGTHS = (1, 2, 3, 17, 64, 128, 333, 768, 1009)
DTYPES = {'float16': (2.0 ** -10, 6.0e4), 'bfloat16': (2.0 ** -7, 1e9), 'float32': (2.0 ** -23, 1e9),
          'float64': (2.0 ** -52, 1e30)}
"""Of each dtype its spacing at 1, and a scale whose squares stay inside the range of the arithmetic."""


def _pairs(rng, count, length, scale):
    """`count` pairs of each kind."""
    x1, x2 = rng.standard_normal((2, count, length))
    mixed = 10.0 ** rng.uniform(-3, 3, (count, length))
    one, two = rng.uniform(0.1, 1, (2, count, 1)) * np.ones((1, length))
    kinds = [(x1, x2),
             (x1, x1 * (1 + 1e-3 * x2)),
             (x1, 3 * x1),
             (one, two),
             (x1 * mixed, x2 * mixed),
             (x1 * np.sqrt(scale / length) / 10, x2 / np.sqrt(scale))]
    return tuple(np.concatenate(rows) for rows in zip(*kinds))


def _rounded(x, dtype):
    """`x` as a Tensor of that dtype, and as the float64 array of the same values."""
    tensor = Tensor(x, ms.float64).astype(getattr(ms, dtype))
    return tensor, tensor.astype(ms.float64).asnumpy()


def _ours(x1, x2, labels):
    return CosineEmbeddingLoss(reduction='none')(x1, x2, labels).astype(ms.float64).asnumpy()


def _mindspore(x1, x2, labels):
    return nn.CosineEmbeddingLoss(reduction='none')(x1, x2, labels).astype(ms.float64).asnumpy()


def _torch(x1, x2, labels):
    torch = importlib.import_module('torch')
    dtype = getattr(torch, str(x1.dtype).lower())
    x1, x2 = (torch.tensor(x.astype(ms.float64).asnumpy()).to(dtype) for x in (x1, x2))
    loss = torch.nn.functional.cosine_embedding_loss(x1, x2, torch.tensor(labels.asnumpy()), reduction='none')
    return loss.double().numpy()


def _spacing(truth, dtype):
    """The spacing of `dtype` at each value, at least that of its smallest normal number."""
    at_one = DTYPES[dtype][0]
    smallest = 2.0 ** -14 if dtype == 'float16' else 2.0 ** -126
    return at_one * 2.0 ** np.floor(np.log2(np.maximum(np.abs(truth), smallest)))


def measure(dtype, implementations, pairs, seed):
    """For each implementation: worst error in ulp, count of negative losses, count of losses that are not finite."""
    rng = np.random.default_rng(seed)
    half = dtype in ('float16', 'bfloat16')
    unit = 2.0 ** -52 if dtype == 'float64' else 2.0 ** -23
    results = {name: [0.0, 0, 0] for name in implementations}
    total = 0
    for length in LENGTHS:
        x1, x2 = _pairs(rng, max(1, pairs // (6 * len(LENGTHS))), length, DTYPES[dtype][1])
        (x1, exact1), (x2, exact2) = _rounded(x1, dtype), _rounded(x2, dtype)
        labels = rng.choice([1, -1], len(exact1))
        truth = pair_losses(exact1, exact2, labels).astype(np.float64)
        total += len(truth)
        for name, implementation in implementations.items():
            try:
                losses = implementation(x1, x2, Tensor(labels, ms.int32))
            except (TypeError, RuntimeError):
                results[name] = None
                continue
            finite = np.isfinite(losses)
            error = np.abs(losses - truth)[finite]
            if half:
                error = np.maximum(0, error - 2 * _spacing(truth, dtype)[finite])
            result = results[name]
            result[0] = max(result[0], float(error.max(initial=0) / unit))
            result[1] += int(np.sum(losses[finite] < 0))
            result[2] += int(np.sum(~finite))
    return total, results


def main():
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--pairs', type=int, default=20000)
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    ms.set_context(mode=ms.PYNATIVE_MODE)
    implementations = {'ours (plain)': _ours, 'mindspore.nn': _mindspore}
    modules = []
    try:
        modules.append(importlib.import_module('torch'))
        implementations['torch'] = _torch
    except ImportError:
        print('torch is not installed: its column is left out')
    print(describe(*modules))
    print('worst error in ulp at 1 of the arithmetic (negative losses, losses that are not finite)\n')
    print(f'| dtype | pairs | {" | ".join(implementations)} |\n| --- | --- |{" --- |" * len(implementations)}')
    for dtype in DTYPES:
        total, results = measure(dtype, implementations, arguments.pairs, arguments.seed)
        cells = ['refused' if result is None else f'{result[0]:.2f} ({result[1]}, {result[2]})'
                 for result in results.values()]
        print(f'| {dtype} | {total} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()
