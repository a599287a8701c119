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
"""What a user can get wrong, and the sentence that says so: every rule of the arguments, in one place.

The checks are `constexpr` functions: in graph mode they run while the graph is compiled and leave nothing in it, and
in PyNative they are ordinary calls, so both modes raise the same exception with the same text.
"""
import functools
import numbers
import sys
import warnings
from collections.abc import Sequence
from typing import Any, Optional

import mindspore as ms
import numpy as np
from mindspore import Tensor
from mindspore.ops import constexpr

from ms_cosine_loss._select import device

REDUCTIONS = ('none', 'mean', 'sum')
LOGITS_DTYPES = (ms.float16, ms.bfloat16, ms.float32, ms.float64)
LABELS_DTYPES = (ms.int8, ms.int16, ms.int32, ms.int64) + LOGITS_DTYPES

# An unknown length is None or -1; a shape of unknown rank is None or contains -2.
_Length = Optional[int]
_Shape = Sequence[_Length]

_FOR = "For 'CosineEmbeddingLoss', the"


def _is_real(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _type_name(value: object) -> str:
    name, library = type(value).__name__, type(value).__module__.split('.')[0]
    return f'{library}.Tensor' if name == 'Tensor' and library != 'mindspore' else name


def _as_tensor(name: str, value: object) -> str:
    """How to make a Tensor of `value`; empty if that is unclear."""
    if value is None:
        return ' Pass all of logits_x1, logits_x2 and labels.'
    if name == 'labels' and _is_real(value):
        return ' Pass one label for each pair, such as mindspore.Tensor([1, -1]).'
    if hasattr(value, 'detach'):
        return f' Pass mindspore.Tensor({name}.detach().numpy()).'
    if isinstance(value, (numbers.Number, Sequence, np.ndarray)) and not isinstance(value, (bool, str, bytes)):
        return f' Pass mindspore.Tensor({name}).'
    return ''


def _listed(dtypes: Sequence[Any]) -> str:
    return ', '.join(str(each) for each in dtypes)


def _in_a_graph(value: object) -> str:
    # A non-constant argument reaches a constexpr as None.
    return ' that is known when a graph is compiled' if value is None else ''


@constexpr(check=False)
def check_margin(shape: Any, dtype: Any) -> None:
    """Checks a margin that is a Tensor; its value is only known when the graph runs."""
    if dtype not in LOGITS_DTYPES:
        raise TypeError(f"{_FOR} 'margin' must have a dtype in [{_listed(LOGITS_DTYPES)}], but got {dtype}.")
    if _rank(shape) not in (None, 0):
        raise ValueError(f"{_FOR} 'margin' must be a number or a Tensor of shape (), but got shape {_shown(shape)}.")


@constexpr(check=False)
def check_settings(margin: Any, reduction: object, axis: Any, eps: Any) -> tuple[float, int, float]:
    """Checks the settings; returns `margin`, `axis` and `eps` as float, int and float."""
    if not _is_real(margin):
        otherwise = ', or a Tensor of shape ()' if margin is None else ''
        hint = ''
        if isinstance(margin, Tensor):
            hint = " Pass a margin that is scheduled or learned to 'cosine_embedding_loss'."
        raise TypeError(f"{_FOR} 'margin' must be a real number{_in_a_graph(margin)}{otherwise}, "
                        f"but got {_type_name(margin)}.{hint}")
    if not isinstance(reduction, str):
        hint = ''
        if reduction is None or isinstance(reduction, bool):
            hint = " PyTorch's 'size_average' and 'reduce' are deprecated; use 'reduction'."
        raise_type = ValueError if hint else TypeError
        raise raise_type(f"{_FOR} 'reduction' must be one of 'none', 'mean' or 'sum', but got {reduction!r}.{hint}")
    if not isinstance(axis, numbers.Integral) or isinstance(axis, bool):
        raise TypeError(f"{_FOR} 'axis' must be an int, but got {_type_name(axis)}.")
    if not _is_real(eps):
        raise TypeError(f"{_FOR} 'eps' must be a real number{_in_a_graph(eps)}, but got {_type_name(eps)}.")
    if not -1 <= margin <= 1:
        raise ValueError(f"{_FOR} 'margin' must be in [-1, 1], but got {margin}.")
    if reduction not in REDUCTIONS:
        raise ValueError(f"{_FOR} 'reduction' must be one of 'none', 'mean' or 'sum', but got {reduction!r}.")
    if not 0 <= eps <= sys.float_info.max:
        raise ValueError(f"{_FOR} 'eps' must be finite and not negative, but got {eps}.")
    return float(margin), int(axis), float(eps)


@constexpr(check=False)
def check_tensors(x1_is_tensor: bool, x2_is_tensor: bool, labels_is_tensor: bool,
                  logits_x1: object, logits_x2: object, labels: object) -> None:
    """Checks that the three inputs are Tensors, before anything else of them is read."""
    for name, is_tensor, value in (('logits_x1', x1_is_tensor, logits_x1),
                                   ('logits_x2', x2_is_tensor, logits_x2),
                                   ('labels', labels_is_tensor, labels)):
        if not is_tensor:
            raise TypeError(f"{_FOR} '{name}' must be a Tensor, but got {_type_name(value)}.{_as_tensor(name, value)}")


_MOST_LABELS = 65536
_looks_left = 10
"""How many more calls have their labels checked for 0 and 1."""


# A constexpr only so that MindSpore does not read its source: no graph calls it.
@constexpr
def warn_of_zeros(labels: Tensor) -> None:
    """Warns once if labels are all 0 or 1, where -1 and 1 may be meant.

    Only the first few calls are checked, and only on CPU, because elsewhere the labels would be copied from the device.
    Labels with several axes are skipped: they are usually a mask.
    """
    global _looks_left
    if _looks_left == 0:
        return
    # Count every call, so that later ones pay nothing.
    _looks_left -= 1
    # NumPy has no bfloat16.
    if len(labels.shape) != 1 or labels.dtype == ms.bfloat16 or labels.size > _MOST_LABELS or device() != 'CPU':
        return
    values = labels.asnumpy()
    is_zero = values == 0
    if is_zero.any() and np.logical_or(is_zero, values == 1).all():
        _looks_left = 0
        level, frame = 1, sys._getframe()
        while frame.f_back and frame.f_globals['__name__'].split('.')[0] in ('ms_cosine_loss', 'mindspore'):
            level, frame = level + 1, frame.f_back
        warnings.warn(f"{_FOR} 'labels' must be 1 for similar and -1 for dissimilar pairs, but got only 0 and 1. Pass "
                      "2 * labels - 1, or if 0 is for pairs to be ignored call "
                      "warnings.filterwarnings('ignore', \"For 'CosineEmbeddingLoss'\").", stacklevel=level)


def _check_dtypes(x1_dtype: Any, x2_dtype: Any, labels_dtype: Any) -> None:
    for name, dtype, allowed in (('logits_x1', x1_dtype, LOGITS_DTYPES),
                                 ('logits_x2', x2_dtype, LOGITS_DTYPES),
                                 ('labels', labels_dtype, LABELS_DTYPES)):
        if dtype not in allowed:
            raise TypeError(f"{_FOR} '{name}' must have a dtype in [{_listed(allowed)}], but got {dtype}.")
    if x1_dtype != x2_dtype:
        raise TypeError(f"{_FOR} 'logits_x1' and 'logits_x2' must have the same dtype, "
                        f"but got {x1_dtype} and {x2_dtype}.")


def _rank(shape: Optional[_Shape]) -> Optional[int]:
    """The rank, or None if it is dynamic."""
    if shape is None or -2 in shape:
        return None
    return len(shape)


def _length(shape: _Shape, axis: int) -> _Length:
    """The length along `axis`, or None if it is dynamic."""
    length = shape[axis]
    return None if length is None or length < 0 else length


def _resolve_axis(rank: int, axis: int) -> int:
    """`axis` counted from the front."""
    if rank == 0:
        raise ValueError(f"{_FOR} 'logits_x1' and 'logits_x2' must have at least 1 dimension, but got shape ().")
    # Two 1-D vectors are one pair: the default axis means their only one.
    if rank == 1 and axis == 1:
        return 0
    if not -rank <= axis < rank:
        raise ValueError(f"{_FOR} 'axis' must be in [{-rank}, {rank - 1}] for logits of rank {rank}, but got {axis}.")
    return axis % rank


def _shown(shape: _Shape) -> tuple[int, ...]:
    """`shape` for a message, with MindSpore's -1 for an unknown length."""
    return tuple(-1 if length is None or length < 0 else length for length in shape)


def _fits(labels_shape: _Shape, expected: _Shape) -> bool:
    """Whether labels may have the expected shape, as far as lengths are known."""
    return len(labels_shape) == len(expected) and all(
        length is None or _length(labels_shape, i) in (None, length) for i, length in enumerate(expected))


def _another_axis(x1_shape: _Shape, x2_shape: _Shape, labels_shape: _Shape, axis: int) -> str:
    """A hint if the labels fit vectors along another axis; empty otherwise.

    Not for matrices, where the number of labels is more likely to be wrong.
    """
    last = len(x1_shape) - 1
    if last < 2:
        return ''
    # The last axis is the most likely one.
    for other in (last, *range(last)):
        if other != axis and x1_shape[other] == x2_shape[other] and _fits(
                labels_shape, _common_shape(x1_shape, x2_shape, other)):
            if other == last:
                return ' For vectors along the last axis pass axis=-1.'
            return f' For vectors along axis {other} pass axis={other}.'
    return ''


def _common_shape(x1_shape: _Shape, x2_shape: _Shape, axis: int) -> tuple[_Length, ...]:
    """The shape that `labels` must have, with None for an unknown length."""
    common: list[_Length] = []
    for current, _ in enumerate(x1_shape):
        length1, length2 = _length(x1_shape, current), _length(x2_shape, current)
        if current == axis:
            if length1 is not None and length2 is not None and length1 != length2:
                raise ValueError(f"{_FOR} 'logits_x1' and 'logits_x2' must have the same length along axis {axis}, "
                                 f"but got shapes {_shown(x1_shape)} and {_shown(x2_shape)}.")
        elif length1 == 1:
            common.append(length2)
        elif length2 == 1 or length1 == length2 or length2 is None:
            common.append(length1)
        elif length1 is None:
            common.append(length2)
        else:
            raise ValueError(f"{_FOR} 'logits_x1' and 'logits_x2' must have shapes that broadcast outside axis {axis}, "
                             f"but got {_shown(x1_shape)} and {_shown(x2_shape)}.")
    return tuple(common)


# Cached, because a training loop asks the same at every step.
@constexpr(check=False)
@functools.lru_cache(maxsize=1024)
def check_inputs(x1_shape: Any, x2_shape: Any, labels_shape: Any, x1_dtype: Any, x2_dtype: Any, labels_dtype: Any,
                 axis: int) -> int:
    """Checks the dtypes and shapes of the three inputs; returns `axis` counted from the front.

    Unknown lengths are accepted here; the kernel checks them when the graph runs and raises the same message
    (shapes.cc). With unknown rank `axis` is returned unchanged.
    """
    _check_dtypes(x1_dtype, x2_dtype, labels_dtype)
    rank1, rank2 = _rank(x1_shape), _rank(x2_shape)
    if rank1 is None or rank2 is None:
        rank = rank2 if rank1 is None else rank1
        return axis if rank is None else _resolve_axis(rank, axis)
    if rank1 != rank2:
        raise ValueError(f"{_FOR} 'logits_x1' and 'logits_x2' must have the same rank, "
                         f"but got shapes {_shown(x1_shape)} and {_shown(x2_shape)}.")
    axis = _resolve_axis(rank1, axis)
    expected = _common_shape(x1_shape, x2_shape, axis)
    if _rank(labels_shape) is not None and not _fits(labels_shape, expected):
        raise ValueError(f"{_FOR} 'labels' must have shape {_shown(expected)}, but got {_shown(labels_shape)}."
                         f"{_another_axis(x1_shape, x2_shape, labels_shape, axis)}")
    return axis
