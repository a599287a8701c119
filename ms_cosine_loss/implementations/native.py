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
"""The loss by the compiled kernel: one operator forward, one backward, one for second derivatives."""
import ctypes
import functools
import os
import pathlib
import struct
from collections.abc import Sequence
from typing import Any, Callable, Optional, Union

import mindspore as ms
import numpy as np
from mindspore import Tensor, context, ops
from mindspore.ops import constexpr

_PACKAGE = pathlib.Path(__file__).parents[1]
LIBRARY = _PACKAGE / 'libms_cosine_loss.so'
BUILD_FAILURE = _PACKAGE / 'native_build_failure.txt'
INTERFACE_VERSION = 2

MAX_RANK = 32
"""The axes that the kernel has room for."""

_REDUCTIONS = ('none', 'mean', 'sum')

_Shape = Sequence[int]
_Derivative = Callable[..., tuple[Tensor, ...]]

# One instance, because second derivatives in graph mode cannot pass the cache of the functional form.
_zeros = ops.Zeros()


def _unfitness(path: pathlib.Path) -> str:
    """Why a file cannot be a library for this process; '' if it may be one.

    The loader says of another processor's library that there is no such file, and one that ends before its table of
    sections, which comes last, would end the process.
    """
    with open(path, 'rb') as file:
        header = file.read(64)
    if len(header) < 64:
        return 'is cut short'
    if header[:4] != b'\x7fELF':
        return 'is no library'
    with open('/proc/self/exe', 'rb') as file:
        if file.read(20)[18:] != header[18:20]:
            return 'is for another processor'
    start, = struct.unpack_from('<Q', header, 40)
    size, count = struct.unpack_from('<HH', header, 58)
    return 'is cut short' if os.path.getsize(path) < start + size * count else ''


def _load() -> tuple[Any, str]:
    """The loaded library, or None; and why there is none, or ''."""
    if os.environ.get('MS_COSINE_LOSS_PLAIN', '0') not in ('', '0'):
        return None, 'MS_COSINE_LOSS_PLAIN is set'
    if not LIBRARY.exists():
        failure = BUILD_FAILURE.read_text('utf-8').strip() if BUILD_FAILURE.exists() else 'no reason is on record'
        return None, f'the kernel was not built when the package was installed ({failure})'
    try:
        unfitness = _unfitness(LIBRARY)
        if unfitness:
            return None, f'the kernel cannot be loaded ({LIBRARY.name} {unfitness})'
        library = ctypes.CDLL(str(LIBRARY))
        version = library.ms_cosine_loss_interface_version()
    except (OSError, AttributeError) as error:
        return None, f'the kernel cannot be loaded ({error})'
    if version != INTERFACE_VERSION:
        return None, f'{LIBRARY.name} has interface {version}, but this package needs {INTERFACE_VERSION}'
    library.ms_cosine_loss_instruction_set.restype = ctypes.c_char_p
    library.ms_cosine_loss_threads.argtypes = [ctypes.c_int64]
    _check_instruction_set(library)
    return library, ''


def _check_instruction_set(library: Any) -> None:
    asked, chosen = os.environ.get('MS_COSINE_LOSS_INSTRUCTION_SET', ''), library.ms_cosine_loss_instruction_set()
    if asked and asked != chosen.decode():
        raise RuntimeError("For 'CosineEmbeddingLoss', the environment variable 'MS_COSINE_LOSS_INSTRUCTION_SET' must "
                           "be 'baseline', or 'avx2' or 'avx512' where the processor has it, "
                           f"but got {asked!r}.")


def instruction_set() -> str:
    """The instruction set that the kernel runs on here."""
    return _kernel.ms_cosine_loss_instruction_set().decode()


# MindSpore overwrites the variable for the libraries in this process; this is what the user set.
# As OpenMP has it, one number for each level of nesting.
_OMP_NUM_THREADS = os.environ.get('OMP_NUM_THREADS', '').split(',')[0].strip()


@functools.cache
def _threads_allowed() -> int:
    """The user's limits; asked for once, because MindSpore's threads are started once."""
    limits = [context.get_context('runtime_num_threads')]
    if _OMP_NUM_THREADS.isdecimal():
        limits.append(int(_OMP_NUM_THREADS))
    return min((limit for limit in limits if limit > 0), default=0)


def threads() -> int:
    """The threads that the kernel takes for a large call."""
    return _kernel.ms_cosine_loss_threads(_threads_allowed())


def _shape_of_labels(x1: _Shape, x2: _Shape, labels: _Shape, settings: _Shape, margin: _Shape) -> _Shape:
    return labels


def _scalar_shape(x1: _Shape, x2: _Shape, labels: _Shape, settings: _Shape, margin: _Shape) -> _Shape:
    return ()


def _dtype_of_logits(x1: Any, x2: Any, labels: Any, settings: Any, margin: Any) -> Any:
    return x1


def _shapes_of_gradients(x1: _Shape, x2: _Shape, labels: _Shape, settings: _Shape, margin: _Shape,
                         upstream: _Shape) -> tuple[_Shape, _Shape, _Shape]:
    return x1, x2, margin


def _dtypes_of_gradients(x1: Any, x2: Any, labels: Any, settings: Any, margin: Any,
                         upstream: Any) -> tuple[Any, Any, Any]:
    return x1, x2, margin


def _shapes_of_second_order(x1: _Shape, x2: _Shape, labels: _Shape, settings: _Shape, margin: _Shape, upstream: _Shape,
                            direction1: _Shape, direction2: _Shape,
                            margin_direction: _Shape) -> tuple[_Shape, _Shape, _Shape]:
    return x1, x2, upstream


def _dtypes_of_second_order(x1: Any, x2: Any, labels: Any, settings: Any, margin: Any, upstream: Any,
                            direction1: Any, direction2: Any, margin_direction: Any) -> tuple[Any, Any, Any]:
    return x1, x2, upstream


def _no_gradient(labels: Tensor) -> Tensor:
    # Cast, because before 2.8 there are no zeros of bfloat16 in PyNative on CPU.
    if labels.dtype == ms.bfloat16:
        return ops.cast(_zeros(labels.shape, ms.float32), ms.bfloat16)
    return _zeros(labels.shape, labels.dtype)


def _takes_the_last(count: int) -> Callable[[_Derivative], _Derivative]:
    """Lets a derivative be called with more than its `count` arguments, of which only the last is new.

    In PyNative MindSpore 2.7.0 adds one each time that it asks the same operator again. In a graph MindSpore reads the
    source of what is wrapped here.
    """
    def decorate(bprop: _Derivative) -> _Derivative:
        @functools.wraps(bprop)
        def tolerant(*arguments: Any) -> tuple[Tensor, ...]:
            return bprop(*arguments[:count - 1], arguments[-1])

        return tolerant

    return decorate


@_takes_the_last(7)
def _bprop(x1: Tensor, x2: Tensor, labels: Tensor, settings: Tensor, margin: Tensor, out: Tensor,
           dout: Tensor) -> tuple[Tensor, ...]:
    dx1, dx2, dmargin = _backward(x1, x2, labels, settings, margin, dout)
    # Nobody asks for the gradient of the settings, so whatever has their shape will do.
    return dx1, dx2, _no_gradient(labels), settings, dmargin


@_takes_the_last(8)
def _bprop_of_backward(x1: Tensor, x2: Tensor, labels: Tensor, settings: Tensor, margin: Tensor, upstream: Tensor,
                       out: tuple[Tensor, Tensor, Tensor], dout: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    dx1, dx2, dupstream = _second_order(x1, x2, labels, settings, margin, upstream, dout[0], dout[1], dout[2])
    # The gradients change with the margin only where a hinge opens or closes.
    return dx1, dx2, _no_gradient(labels), settings, _no_gradient(margin), dupstream


def _operator(name: str, shape: Callable[..., Any], dtype: Callable[..., Any],
              bprop: Optional[_Derivative] = None) -> Any:
    return ops.Custom(f'{LIBRARY}:ms_cosine_loss_{name}', shape, dtype, func_type='aot', bprop=bprop)


_kernel, UNAVAILABLE = _load()

if not UNAVAILABLE:
    # On Ascend the constructor would start to generate code.
    if context.get_context('device_target') != 'CPU':
        UNAVAILABLE = 'the device target was not CPU when the package was imported'
    else:
        try:
            _second_order = _operator('second_order', _shapes_of_second_order, _dtypes_of_second_order)
            _backward = _operator('backward', _shapes_of_gradients, _dtypes_of_gradients, _bprop_of_backward)
            # Two names for one function, because MindSpore tells operators apart by name when it infers shapes.
            _forward = _operator('forward', _scalar_shape, _dtype_of_logits, _bprop)
            _forward_of_each = _operator('forward_of_each', _shape_of_labels, _dtype_of_logits, _bprop)
        except Exception as error:
            UNAVAILABLE = f'MindSpore refuses the kernel ({error})'


def _bits(value: float) -> int:
    return struct.unpack('<q', struct.pack('<d', value))[0]


@functools.lru_cache(maxsize=256)
def _packed(eps: float, reduction: str, axis: int, threads_allowed: int) -> Tensor:
    return Tensor(np.array([_bits(eps), _REDUCTIONS.index(reduction), axis, threads_allowed], np.int64))


@constexpr
def _settings(eps: float, reduction: str, axis: int) -> Tensor:
    """The kernel's fourth input. As integers, because mixed precision would narrow real numbers."""
    return _packed(eps, reduction, axis, _threads_allowed())


@functools.lru_cache(maxsize=256)
def _packed_margin(margin: float) -> Tensor:
    return Tensor(np.array(_bits(margin), np.int64))


@constexpr
def _constant_margin(margin: float) -> Tensor:
    """The kernel's fifth input where it is constant; as an integer, like the settings."""
    return _packed_margin(margin)


def loss(logits_x1: Tensor, logits_x2: Tensor, labels: Tensor, margin: Union[float, Tensor], reduction: str, axis: int,
         eps: float) -> Tensor:
    """The loss; nothing is checked here."""
    settings = _settings(eps, reduction, axis)
    if not isinstance(margin, Tensor):
        margin = _constant_margin(margin)
    if reduction == 'none':
        return _forward_of_each(logits_x1, logits_x2, labels, settings, margin)
    return _forward(logits_x1, logits_x2, labels, settings, margin)
