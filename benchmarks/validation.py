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
"""The cost of checking arguments and selecting the implementation, per call in PyNative.

    python -m benchmarks.validation

prints microseconds, the best of 200 repeats.
"""
import timeit
from unittest import mock

import mindspore as ms
import numpy as np
from mindspore import Tensor

from benchmarks.environment import describe
from ms_cosine_loss import CosineEmbeddingLoss, _checks, _loss, _select, cosine_embedding_loss
from ms_cosine_loss.implementations import native

CALLS = 200


def _microseconds(function):
    return 1e6 * min(timeit.repeat(function, number=CALLS, repeat=200)) / CALLS


def main():
    """Measures and prints the table."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    logits, labels = Tensor(np.ones((32, 128)), ms.float32), Tensor([1, -1] * 16, ms.int32)
    shapes = logits.shape, logits.shape, labels.shape
    cell = CosineEmbeddingLoss(margin=0.1)

    def checks():
        _checks.check_settings(0.1, 'mean', 1, 1e-12)
        _checks.check_tensors(True, True, True, logits, logits, labels)
        _checks.check_inputs(*shapes, ms.float32, ms.float32, ms.int32, 1)

    def look():
        _checks._looks_left = 1
        _checks.warn_of_zeros(labels)

    print(describe())
    print('| part | us |\n| --- | --- |')
    # The last three time all of a call except the loss itself; a Mock in its place would take time.
    with mock.patch.object(_loss, 'loss', lambda *arguments: None):  # noqa: PT008
        for name, function in (
                ('checks', checks),
                ('check for labels 0 and 1, in the first 10 calls only', look),
                ('selection of the implementation', lambda: _select._selected(logits.shape)),
                ('settings for the kernel', lambda: native._settings(1e-12, 'mean', 1)),
                ('call of the Cell', lambda: cell(logits, logits, labels)),
                ('call of the function', lambda: cosine_embedding_loss(logits, logits, labels, 0.1)),
                ('call of the function, margin as a keyword',
                 lambda: cosine_embedding_loss(logits, logits, labels, margin=0.1))):
            print(f'| {name} | {_microseconds(function):.1f} |')


if __name__ == '__main__':
    main()
