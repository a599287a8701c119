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
"""The loss and its gradients in NumPy's long double, accurate to 1e-19."""
import numpy as np

EPS = 1e-12
_ELEMENTS_AT_ONCE = 2 ** 20


def _sums(x1, x2):
    x1, x2 = (np.asarray(x, np.longdouble) for x in (x1, x2))
    norms = [np.sqrt((x * x).sum(1, keepdims=True) + np.longdouble(EPS)) for x in (x1, x2)]
    return x1, x2, *norms, (x1 * x2).sum(1, keepdims=True) / norms[0] / norms[1]


def losses(x1, x2, labels, margin=0.0):
    """The loss of each pair of rows."""
    cosine = _sums(x1, x2)[-1][:, 0]
    return np.where(labels == 1, 1 - cosine, np.maximum(0, cosine - np.longdouble(margin)))


def _gradients(x1, x2, labels, margin):
    x1, x2, norm1, norm2, cosine = _sums(x1, x2)
    slope = np.where(labels[:, None] == 1, -1, (cosine > margin).astype(np.longdouble))
    return [slope * (other / norm2 / norm1 - cosine * own / own_norm / own_norm)
            for own, own_norm, other in ((x1, norm1, x2), (x2, norm2, x1))]


def gradients(x1, x2, labels, margin=0.0):
    """The gradients of the sum of the losses with respect to x1 and x2, as float64 arrays."""
    step = max(1, _ELEMENTS_AT_ONCE // x1.shape[1])
    parts = [_gradients(x1[start:start + step], x2[start:start + step], labels[start:start + step], margin)
             for start in range(0, len(x1), step)]
    return [np.concatenate(each).astype(np.float64) for each in zip(*parts)]
