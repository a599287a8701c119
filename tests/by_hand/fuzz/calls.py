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
"""Random valid and invalid calls, and the contract's verdict on each; no rule is copied from the code."""
import dataclasses
import decimal
import enum
import fractions
import math
import numbers

import mindspore as ms
import numpy as np
from hypothesis import strategies as st
from mindspore import Parameter, Tensor
from mindspore.common.initializer import Zero

from tests.st.evaluation import DTYPES

DTYPE_NAMES = ('bool_', 'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64', 'float16', 'bfloat16',
               'float32', 'float64', 'complex64', 'complex128', 'float8_e4m3fn', 'float8_e5m2', 'hifloat8', 'qint4x2',
               'string')
# Older versions of MindSpore lack some of them.
ALL_DTYPES = tuple(getattr(ms.common.dtype, name) for name in DTYPE_NAMES if hasattr(ms.common.dtype, name))
LABELS_DTYPES = (ms.int8, ms.int16, ms.int32, ms.int64, *DTYPES)
REDUCTIONS = ('none', 'mean', 'sum')


class _Axis(enum.IntEnum):
    FIRST = 0
    SECOND = 1


class _Reduction(str, enum.Enum):
    SUM = 'sum'
    BATCHMEAN = 'batchmean'


class _Float(float):
    pass


@dataclasses.dataclass(frozen=True)
class Described:
    """A Tensor without data, so that it may have any size."""

    shape: tuple
    dtype: object
    is_parameter: bool = False

    def made(self, with_data=False):
        if with_data or self.is_parameter:
            made = Tensor(np.zeros(self.shape), self.dtype)
            return Parameter(made) if self.is_parameter else made
        return Tensor(shape=self.shape, dtype=self.dtype, init=Zero())


@dataclasses.dataclass(frozen=True)
class Call:
    """The arguments of one call; an input is `Described` or not a Tensor."""

    x1: object
    x2: object
    labels: object
    margin: object = 0.0
    reduction: object = 'mean'
    axis: object = 1
    eps: object = 1e-12

    @property
    def inputs(self):
        return {'logits_x1': self.x1, 'logits_x2': self.x2, 'labels': self.labels}

    @property
    def settings(self):
        return {'margin': self.margin, 'reduction': self.reduction, 'axis': self.axis, 'eps': self.eps}


def _as_numpy_scalars(values):
    """Draws the floats as scalars of some NumPy type, rounded to it."""
    def converted(pair):
        value, kind = pair
        with np.errstate(over='ignore'):
            return kind(value)
    return st.tuples(values, st.sampled_from([np.float16, np.float32, np.float64, np.longdouble])).map(converted)


def _reals(low, high):
    """Draws real numbers of several types from [low, high]."""
    floats = st.floats(low, high)
    return st.one_of(floats, floats.map(_Float), _as_numpy_scalars(floats), st.integers(low, high),
                     st.fractions(low, high),
                     st.tuples(st.sampled_from([np.int8, np.int64, np.uint8, np.uint64]), st.booleans()).map(
                         lambda pair: pair[0](pair[1])))


MARGINS = _reals(-1, 1)
EPSILONS = st.one_of(st.just(1e-12), _reals(0, 3))

BAD_REALS = st.one_of(
    st.floats(), _as_numpy_scalars(st.floats()), st.integers(), st.fractions(),
    st.sampled_from([math.nan, math.inf, -math.inf, 10 ** 400, -10 ** 400, fractions.Fraction(10 ** 400, 3),
                     fractions.Fraction(-1, 10 ** 400), np.longdouble('1e4000'), np.longdouble('-1e-4000'),
                     np.float16('inf'), np.float32('nan'), math.nextafter(1, 2), math.nextafter(-1, -2), -5e-324]))

OTHER_OBJECTS = st.one_of(
    st.none(), st.booleans(), st.booleans().map(np.bool_), st.text(max_size=3), st.binary(max_size=3),
    st.complex_numbers(), st.lists(st.floats(), max_size=2), st.tuples(st.integers()), st.integers(), st.floats(),
    st.sampled_from([np.array(0.5), np.array([1]), np.complex64(1), decimal.Decimal('0.5'), decimal.Decimal('nan'), {},
                     set(), object, ms.float32, Ellipsis, range(2), np.int64(1), np.float32(1), np.str_('mean'),
                     '0.5', 'mean', b'mean']))

A_TENSOR = st.builds(Tensor, st.sampled_from([0.5, 1.0]))

# Objects that a graph can take as a constant or an input.
OBJECTS_OF_GRAPHS = st.one_of(st.none(), st.booleans(), st.text('ab', max_size=3), st.integers(-3, 3), st.floats(-3, 3),
                              st.lists(st.integers(0, 3), max_size=2), st.tuples(st.floats(0, 1)))

WORDS = st.one_of(st.text(max_size=8), st.sampled_from([
    *REDUCTIONS, *map(np.str_, REDUCTIONS), *_Reduction, 'Mean', 'mean ', 'batchmean', 'None']))

LENGTHS = st.integers(0, 4)


@st.composite
def _fitting_shapes(draw):
    """Draws valid shapes of the logits and labels, and the axis counted from the front."""
    rank = draw(st.integers(1, 5))
    axis = draw(st.integers(0, rank - 1))
    shape1, shape2, common = [], [], []
    for current in range(rank):
        length = draw(LENGTHS)
        shape1.append(length)
        shape2.append(length)
        if current != axis:
            common.append(length)
            repeated = draw(st.sampled_from([None, None, shape1, shape2]))
            if repeated is not None:
                repeated[-1] = 1
    return tuple(shape1), tuple(shape2), tuple(common), axis


@st.composite
def _spoilt_shapes(draw, shape):
    """Draws a shape that deviates from `shape` by a typical mistake, or at random."""
    where = draw(st.integers(0, len(shape)))
    ways = [shape[:where] + (1,) + shape[where:], shape[::-1], shape + shape[-1:], (math.prod(shape),),
            tuple(draw(st.lists(LENGTHS, max_size=5)))]
    if shape:
        where = draw(st.integers(0, len(shape) - 1))
        ways += [shape[:where] + shape[where + 1:]]
        ways += [shape[:where] + (draw(LENGTHS),) + shape[where + 1:]] * 4
    return draw(st.sampled_from(ways))


@st.composite
def calls(draw, others=OTHER_OBJECTS, others_in_settings=OTHER_OBJECTS | A_TENSOR):
    """Draws a valid call, or one with one or two arguments drawn anew, which may be valid too."""
    shape1, shape2, common, axis = draw(_fitting_shapes())
    rank = len(shape1)
    dtype = draw(st.sampled_from(DTYPES))
    inputs = {'x1': Described(shape1, dtype), 'x2': Described(shape2, dtype),
              'labels': Described(common, draw(st.sampled_from(LABELS_DTYPES)))}
    spellings = [axis, axis - rank] + [1] * (rank == 1) + list(_Axis)[axis:axis + 1]
    settings = {'axis': draw(st.sampled_from(spellings)), 'reduction': draw(st.sampled_from(REDUCTIONS)),
                'margin': draw(MARGINS), 'eps': draw(EPSILONS)}
    faults = ['margin', 'eps', 'reduction', 'axis', *(f'{kind} {name}' for kind in ('object', 'dtype', 'shape')
                                                      for name in inputs), 'both dtypes', 'parameter']
    # They can be wrong in more ways.
    faults += ['shape x1', 'shape x2', 'shape labels', 'dtype labels'] * 2
    for fault in [draw(st.sampled_from(faults)) for _ in range(draw(st.sampled_from([0, 1, 1, 2])))]:
        kind, _, name = fault.partition(' ')
        if fault == 'margin':
            # The function accepts a Tensor as the margin.
            settings[fault] = draw(BAD_REALS | others)
        elif fault == 'eps':
            settings[fault] = draw(BAD_REALS | others_in_settings)
        elif fault == 'reduction':
            settings[fault] = draw(WORDS | others_in_settings)
        elif fault == 'axis':
            axes = st.integers(-7, 7) | st.sampled_from([10 ** 30, *_Axis])
            settings[fault] = draw(axes | others_in_settings)
        elif fault == 'both dtypes':
            dtype = draw(st.sampled_from(ALL_DTYPES))
            inputs.update({each: dataclasses.replace(inputs[each], dtype=dtype) for each in ('x1', 'x2')
                           if isinstance(inputs[each], Described)})
        elif fault == 'parameter':
            if isinstance(inputs['x1'], Described):
                inputs['x1'] = dataclasses.replace(inputs['x1'], is_parameter=inputs['x1'].dtype in DTYPES)
        elif kind == 'object':
            inputs[name] = draw(others)
        elif isinstance(inputs[name], Described) and not inputs[name].is_parameter:
            change = ({'dtype': draw(st.sampled_from(ALL_DTYPES))} if kind == 'dtype'
                      else {'shape': draw(_spoilt_shapes(inputs[name].shape))})
            inputs[name] = dataclasses.replace(inputs[name], **change)
    return Call(**inputs, **settings)


def is_real(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _exact(value):
    """Returns a real number as a fraction, or None for NaN and infinities."""
    if isinstance(value, numbers.Rational):
        return fractions.Fraction(int(value.numerator), int(value.denominator))
    if not np.isfinite(value):
        return None
    return fractions.Fraction(*value.as_integer_ratio())


def _type_name(value):
    return type(value).__name__


@dataclasses.dataclass(frozen=True)
class Fault:
    """The error that the contract requires for one invalid argument."""

    error: type
    argument: str
    came: str
    demanded: str = ''

    def is_told_by(self, error):
        text = str(error)
        return (type(error) is self.error and text.startswith(f"For 'CosineEmbeddingLoss', the '{self.argument}' ")
                and self.demanded in text and any(f'but got {noun}{self.came}' in text
                                                  for noun in ('', 'shape ', 'shapes ')))


def wrong_settings(call):
    """Returns the faults of the settings."""
    faults = []
    for name in ('margin', 'eps'):
        value = call.settings[name]
        if not is_real(value):
            faults.append(Fault(TypeError, name, _type_name(value), 'a real number'))
            continue
        exact = _exact(value)
        # eps must also be finite as a float.
        low, high = (-1, 1) if name == 'margin' else (0, fractions.Fraction(np.finfo(np.float64).max))
        if exact is None or not low <= exact <= high:
            faults.append(Fault(ValueError, name, f'{value}', 'in [-1, 1]' if name == 'margin' else 'not negative'))
    if call.reduction is None or isinstance(call.reduction, bool):
        faults.append(Fault(ValueError, 'reduction', f"{call.reduction}. PyTorch's 'size_average' and 'reduce'"))
    elif not isinstance(call.reduction, str):
        faults.append(Fault(TypeError, 'reduction', repr(call.reduction), "'none', 'mean' or 'sum'"))
    elif call.reduction not in REDUCTIONS:
        faults.append(Fault(ValueError, 'reduction', repr(call.reduction), "'none', 'mean' or 'sum'"))
    if not isinstance(call.axis, numbers.Integral) or isinstance(call.axis, bool):
        faults.append(Fault(TypeError, 'axis', _type_name(call.axis), 'an int'))
    return faults


def _wrong_shapes(shape1, shape2, labels_shape, axis):
    shapes = f'{shape1} and {shape2}'
    if len(shape1) != len(shape2):
        return [Fault(ValueError, 'logits_x1', shapes, 'same rank')]
    rank = len(shape1)
    if rank == 0:
        return [Fault(ValueError, 'logits_x1', '()', 'at least 1 dimension')]
    if rank == 1 and axis == 1:
        axis = 0
    if axis not in range(-rank, rank):
        return [Fault(ValueError, 'axis', f'{axis}', f'[{-rank}, {rank - 1}]')]
    faults = []
    if shape1[axis] != shape2[axis]:
        faults.append(Fault(ValueError, 'logits_x1', shapes, f'same length along axis {axis % rank}'))
    lengths1, lengths2 = ([shape[i] for i in range(rank) if i != axis % rank] for shape in (shape1, shape2))
    try:
        expected = np.broadcast_shapes(lengths1, lengths2)
    except ValueError:
        faults.append(Fault(ValueError, 'logits_x1', shapes, f'broadcast outside axis {axis % rank}'))
    # The shape of the labels is defined only if the logits fit.
    if not faults and labels_shape != expected:
        faults.append(Fault(ValueError, 'labels', f'{labels_shape}', f'must have shape {expected},'))
    return faults


def wrong_inputs(call):
    """Returns the faults of the inputs, given valid settings."""
    faults = [Fault(TypeError, name, _type_name(value), 'a Tensor') for name, value in call.inputs.items()
              if not isinstance(value, Described)]
    if faults:
        return faults
    faults = [Fault(TypeError, name, f'{value.dtype}', 'dtype') for name, value in call.inputs.items()
              if value.dtype not in (LABELS_DTYPES if name == 'labels' else DTYPES)]
    if call.x1.dtype != call.x2.dtype:
        faults.append(Fault(TypeError, 'logits_x1', f'{call.x1.dtype} and {call.x2.dtype}', 'same dtype'))
    return faults + _wrong_shapes(call.x1.shape, call.x2.shape, call.labels.shape, call.axis)


def faults_of(call):
    """Returns the faults for which a call may be rejected; settings are checked before inputs."""
    return wrong_settings(call) or wrong_inputs(call)
