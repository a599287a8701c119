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
"""The reference for tests of values and gradients: the loss to 50 digits, computed from its definition.

Gradients are central differences of the definition, not the closed form, so that they cannot share its mistakes.
"""
import fractions
import operator

import mpmath
import numpy as np

DIGITS = 50


def _signed(number):
    mantissa, exponent = number.man_exp
    return -abs(mantissa) if number < 0 else abs(mantissa), exponent


def _vectors(x, axis):
    """Yields each vector of x as a list of integers and the exponent of their common power of 2."""
    x = np.asarray(x)
    x = np.moveaxis(x if x.dtype == object else x.astype(np.float64), axis, -1)
    # NumPy cannot infer the number of rows of an empty array.
    rows = x.reshape(int(np.prod(x.shape[:-1], dtype=int)), x.shape[-1])
    for row in rows:
        if x.dtype == object:
            pairs = [_signed(mpmath.mpf(element)) for element in row]
        else:
            mantissas, exponents = np.frexp(row)
            pairs = list(zip((mantissas * 2.0 ** 53).astype(np.int64).tolist(), (exponents - 53).tolist()))
        lowest = min((exponent for _, exponent in pairs), default=0)
        yield [mantissa << exponent - lowest for mantissa, exponent in pairs], lowest


def _number(integer, exponent):
    return mpmath.ldexp(mpmath.mpf(integer), exponent)


def _sums(row1, row2):
    """The dot product of two vectors and their squared norms, all exact."""
    (integers1, exponent1), (integers2, exponent2) = row1, row2
    return (_number(sum(map(operator.mul, integers1, integers2)), exponent1 + exponent2),
            _number(sum(map(operator.mul, integers1, integers1)), 2 * exponent1),
            _number(sum(map(operator.mul, integers2, integers2)), 2 * exponent2))


def _pair_loss(product, square1, square2, label, margin, eps):
    if label not in (1, -1):
        return mpmath.mpf(0)
    square1, square2 = square1 + eps, square2 + eps
    cosine = product / mpmath.sqrt(square1 * square2) if square1 and square2 else mpmath.mpf(0)
    if label == 1:
        return 1 - cosine
    return max(mpmath.mpf(0), cosine - margin)


def pair_losses(x1, x2, labels, margin=0.0, axis=1, eps=1e-12):
    """The loss of each pair, as an array of `mpmath.mpf` in the shape of `labels`.

    The logits must be finite and of equal shapes. Pass bfloat16 logits as a float64 array of the same values, and for
    logits of one dimension ``axis=0``.
    """
    labels = np.asarray(labels)
    with mpmath.workdps(DIGITS):
        losses = [_pair_loss(*_sums(row1, row2), label, mpmath.mpf(margin), mpmath.mpf(eps)) for row1, row2, label
                  in zip(_vectors(x1, axis), _vectors(x2, axis), labels.reshape(-1).tolist())]
    return np.array(losses, dtype=object).reshape(labels.shape)


def reduced(losses, reduction):
    """`losses` under 'none', 'sum' or 'mean'."""
    if reduction == 'none':
        return losses
    with mpmath.workdps(DIGITS):
        total = mpmath.fsum(losses.reshape(-1).tolist())
        return total / losses.size if reduction == 'mean' else total


def gradients(x1, x2, labels, upstream=None, margin=0.0, axis=1, eps=1e-12):
    """The gradients of sum(upstream * losses) with respect to x1 and x2, as float64 arrays; None is an upstream of 1.

    Not for pairs at the kink of the hinge, nor for rows of zeros with ``eps=0``.
    """
    labels = np.asarray(labels)
    weights = np.ones(labels.shape) if upstream is None else np.asarray(upstream, dtype=np.float64)
    shape = np.moveaxis(np.asarray(x1), axis, -1).shape
    result1, result2 = np.zeros(shape), np.zeros(shape)
    with mpmath.workdps(DIGITS):
        margin, eps = mpmath.mpf(margin), mpmath.mpf(eps)
        rows = zip(_vectors(x1, axis), _vectors(x2, axis), labels.reshape(-1).tolist(), weights.reshape(-1).tolist())
        for index, (row1, row2, label, weight) in enumerate(rows):
            product, square1, square2 = _sums(row1, row2)
            for result, varied, other, square, rest in ((result1, row1, row2, square1, square2),
                                                        (result2, row2, row1, square2, square1)):
                elements, others = ([_number(integer, exponent) for integer in integers]
                                    for integers, exponent in (varied, other))
                largest = max(abs(element) for element in elements)
                step = (largest if largest > 0 else mpmath.sqrt(eps)) * mpmath.mpf(10) ** -15
                flat = result.reshape(-1, shape[-1])
                for position, (element, beside) in enumerate(zip(elements, others)):
                    # Only one term of each sum changes.
                    above, below = (_pair_loss(product + change * beside, square + change * (2 * element + change),
                                               rest, label, margin, eps) for change in (step, -step))
                    flat[index, position] = float(weight * (above - below) / (2 * step))
    return np.moveaxis(result1, -1, axis), np.moveaxis(result2, -1, axis)


def hessian_vector_products(function, x1, x2, vector1, vector2):
    """The Hessian of function(x1, x2) times (vector1, vector2), as float64 arrays in the shapes of x1 and x2.

    `function` gets two arrays of `mpmath.mpf` and returns a number; it may call `pair_losses` and `reduced`. Like the
    gradients, these are differences of values.
    """
    points = [np.array(x, dtype=np.float64) for x in (x1, x2)]
    with mpmath.workdps(DIGITS):
        step = max(float(np.abs(x).max()) for x in points) * mpmath.mpf(10) ** -15
        ahead, behind = [[np.vectorize(mpmath.mpf, otypes=[object])(x) + sign * step * np.asarray(vector, np.float64)
                          for x, vector in zip(points, (vector1, vector2))] for sign in (1, -1)]
        results = tuple(np.zeros(x.shape) for x in points)
        for which, result in enumerate(results):
            for index in np.ndindex(result.shape):
                total = mpmath.mpf(0)
                for sign, around in ((1, ahead), (-1, behind)):
                    element = around[which][index]
                    around[which][index] = element + step
                    total += sign * function(*around)
                    around[which][index] = element - step
                    total -= sign * function(*around)
                    around[which][index] = element
                result[index] = float(total / (4 * step * step))
    return results


def hinge_sign(x1, x2, margin, eps):
    """The sign of cos - margin for two vectors, in exact arithmetic; at 0 the hinge is open."""
    rows = [[fractions.Fraction(float(element)) for element in x] for x in (x1, x2)]
    product = sum(a * b for a, b in zip(*rows))
    squares = [sum(a * a for a in row) + fractions.Fraction(eps) for row in rows]
    margin = fractions.Fraction(margin)
    # x|x| is monotonic in x. The cosine of a vector without a norm is 0.
    difference = product * abs(product) - margin * abs(margin) * (squares[0] * squares[1] or 1)
    return (difference > 0) - (difference < 0)
