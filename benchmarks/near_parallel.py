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
"""The error of the loss of similar pairs as they become parallel, where `1 - cos` cancels.

    python -m benchmarks.near_parallel [--csv docs/data/near_parallel.csv]

prints the median and the worst relative error of both implementations, mindspore.nn and torch against NumPy's long
double, for 200 pairs of 128 float32 elements at each 1 - cos from 1 down to 1e-9.
"""
import mindspore as ms
import numpy as np
import torch
from mindspore import Tensor, nn

from benchmarks import exact, records
from benchmarks.environment import describe
from benchmarks.error import of_mindspore, of_torch
from ms_cosine_loss import CosineEmbeddingLoss

PAIRS, LENGTH = 200, 128
TARGETS = 10.0 ** -np.arange(0, 9.01, 0.25)
FIELDS = ('one_minus_cos', 'contestant', 'median_relative_error', 'worst_relative_error')


def _pairs(rng, target):
    """float32 pairs whose 1 - cos is near `target`."""
    x1, other = rng.standard_normal((2, PAIRS, LENGTH))
    x1 /= np.linalg.norm(x1, axis=1, keepdims=True)
    other -= (other * x1).sum(1, keepdims=True) * x1
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    # Computes sin from 1 - cos without subtracting numbers near 1.
    x2 = (1 - target) * x1 + np.sqrt(target * (2 - target)) * other
    return x1.astype(np.float32), x2.astype(np.float32)


def rows():
    """The rows of the table."""
    contestants = {name: of_mindspore(CosineEmbeddingLoss(reduction='none'), name) for name in ('native', 'plain')}
    contestants['mindspore.nn'] = of_mindspore(nn.CosineEmbeddingLoss(reduction='none'))
    contestants['torch'] = of_torch
    rng = np.random.default_rng(0)
    labels = np.ones(PAIRS, np.int32)
    for target in TARGETS:
        x1, x2 = _pairs(rng, target)
        truth = exact.losses(x1, x2, labels)
        for name, contestant in contestants.items():
            error = np.abs(contestant(Tensor(x1), Tensor(x2), Tensor(labels)) - truth) / truth
            yield dict(zip(FIELDS, (f'{target:.3g}', name, f'{np.median(error):.3g}', f'{np.max(error):.3g}')))


def main():
    """Measures, prints the table and writes it where asked."""
    path = records.argument_parser(__doc__).parse_args().csv
    ms.set_context(mode=ms.PYNATIVE_MODE)
    print(describe(torch))
    found = records.printed(rows())
    if path:
        records.save(path, found, [torch])


if __name__ == '__main__':
    main()
