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
"""Checks the loss on pairs of vectors whose loss and gradient are simple fractions.

    python -m tests.by_hand.failure_modes.answer

prints which implementation computed them, and why.
"""
import pathlib

import mindspore as ms
import numpy as np
from mindspore import Tensor

import ms_cosine_loss

MODES = {'graph': ms.GRAPH_MODE, 'pynative': ms.PYNATIVE_MODE}

# For a² + b² = c², the cosine of (a, b) and (b, a) is 2ab / c². None is near 1, where plain promises less.
TRIPLES = ((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (11, 60, 61), (12, 35, 37), (9, 40, 41), (28, 45, 53))
# Twice the 4 ulp of 1 allowed for a float32 loss; for a gradient, relative to its largest element.
TOLERANCE = 2 ** -20


class Pairs:
    """`rows` identical similar pairs, whose vectors repeat (a, b) and (b, a) of a triple `copies` times."""

    def __init__(self, triple=TRIPLES[0], rows=1, copies=1):
        a, b, c = triple
        self.x1 = np.tile(np.array([a, b], np.float32), (rows, copies))
        self.x2 = np.tile(np.array([b, a], np.float32), (rows, copies))
        self.labels = np.ones(rows, np.int32)
        cosine = 2 * a * b / c ** 2
        self.loss = 1 - cosine
        scale = -1 / (c ** 2 * copies * rows)
        self.gradients = tuple(scale * (other.astype(np.float64) - cosine * own)
                               for own, other in ((self.x1, self.x2), (self.x2, self.x1)))

    def tensors(self):
        """The arguments of the loss."""
        return Tensor(self.x1), Tensor(self.x2), Tensor(self.labels)

    def check(self, loss, gradients=()):
        """Raises AssertionError if the loss or a gradient is wrong."""
        np.testing.assert_allclose(loss, self.loss, atol=TOLERANCE)
        for found, true in zip(gradients, self.gradients):
            np.testing.assert_allclose(found, true, atol=TOLERANCE * np.abs(true).max())


def value(pairs):
    """Computes the loss of the pairs and checks it."""
    pairs.check(ms_cosine_loss.CosineEmbeddingLoss()(*pairs.tensors()).asnumpy())


def value_and_gradient(pairs):
    """Computes loss and gradient of the pairs and checks them."""
    loss, gradients = ms.value_and_grad(ms_cosine_loss.CosineEmbeddingLoss(), (0, 1))(*pairs.tensors())
    pairs.check(loss.asnumpy(), [each.asnumpy() for each in gradients])


def main():
    """Checks value and gradient in both modes."""
    for mode in MODES.values():
        ms.set_context(mode=mode)
        value(Pairs())
        value_and_gradient(Pairs())
    status = ms_cosine_loss.get_implementation_status()
    folder = pathlib.Path(ms_cosine_loss.__file__).parents[1]
    reason = status.reason.removeprefix("'native' cannot run: ")
    because = f', because {reason}' if reason else f' on {status.instruction_set}'
    print(f'right, with {status.selected}{because}'.replace(f'{folder}/', ''))


if __name__ == '__main__':
    main()
