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

from ms_cosine_loss._graphs import is_known

_PACKAGE = pathlib.Path(__file__).parents[1]
LIBRARY = _PACKAGE / 'libms_cosine_loss.so'
BUILD_FAILURE = _PACKAGE / 'native_build_failure.txt'
INTERFACE_VERSION = 3

MAX_RANK = 32
"""The maximal rank of the kernel's inputs."""

_REDUCTIONS = ('none', 'mean', 'sum')

# The positions of the inputs.
_X1, _X2, _LABELS, _, _MARGIN, _UPSTREAM = range(6)

_Derivative = Callable[..., tuple[Tensor, ...]]

# One instance, because second derivatives in graph mode cannot pass the cache of the functional form.
_zeros = ops.Zeros()


def _elf_problem(path: pathlib.Path) -> str:
    """Why a file cannot be a library for this process; '' if it may be one.

    dlopen reports a foreign library as "no such file", and a truncated one kills the process, so the ELF header is read
    first.
    """
    with open(path, 'rb') as file:
        header = file.read(64)
    if len(header) < 64:
        return 'is cut short'
    if header[:4] != b'\x7fELF':
        return 'is not a library'
    with open('/proc/self/exe', 'rb') as file:
        if file.read(20)[18:] != header[18:20]:
            return 'is for another processor'
    start, = struct.unpack_from('<Q', header, 40)
    size, count = struct.unpack_from('<HH', header, 58)
    return 'is cut short' if os.path.getsize(path) < start + size * count else ''


def _absence() -> str:
    """Why the package's folder has no library."""
    source = _PACKAGE.parent
    if BUILD_FAILURE.exists():
        failure = BUILD_FAILURE.read_text('utf-8').strip()
    elif (source / 'setup.py').exists():
        # Python imports from the working directory first.
        return (f"the source folder {_PACKAGE} was imported, in which no kernel was built; run from another folder to "
                f"import what is installed, or run 'pip install -e .' in {source}")
    else:
        failure = 'no reason is on record'
    return f'the kernel was not built when the package was installed ({failure})'


def _load() -> tuple[Any, str]:
    """The loaded library and '', or None and the reason."""
    if os.environ.get('MS_COSINE_LOSS_PLAIN', '0') not in ('', '0'):
        return None, 'MS_COSINE_LOSS_PLAIN is set'
    if not LIBRARY.exists():
        return None, _absence()
    try:
        problem = _elf_problem(LIBRARY)
        if problem:
            return None, f'the kernel cannot be loaded ({LIBRARY.name} {problem})'
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


# Read before MindSpore overwrites it. The first of the numbers, one for each level of nesting in OpenMP.
_OMP_NUM_THREADS = os.environ.get('OMP_NUM_THREADS', '').split(',')[0].strip()


@functools.cache
def _threads_allowed() -> int:
    """The user's limit; cached, because MindSpore starts its threads once."""
    limits = [context.get_context('runtime_num_threads')]
    if _OMP_NUM_THREADS.isdecimal():
        limits.append(int(_OMP_NUM_THREADS))
    return min((limit for limit in limits if limit > 0), default=0)


def threads() -> int:
    """The number of threads of a large call."""
    return _kernel.ms_cosine_loss_threads(_threads_allowed())


def _no_gradient(x: Tensor) -> Tensor:
    # Cast, because before 2.8 there are no zeros of bfloat16 in PyNative on CPU.
    if x.dtype == ms.bfloat16:
        return ops.cast(_zeros(x.shape, ms.float32), ms.bfloat16)
    return _zeros(x.shape, x.dtype)


def _drop_extra_arguments(count: int) -> Callable[[_Derivative], _Derivative]:
    """Drops arguments between the first `count` - 1 and the last.

    MindSpore 2.7.0 in PyNative passes one more each time it differentiates the same operator. In a graph MindSpore
    reads the source of the wrapped function.
    """
    def decorate(bprop: _Derivative) -> _Derivative:
        @functools.wraps(bprop)
        def tolerant(*arguments: Any) -> tuple[Tensor, ...]:
            return bprop(*arguments[:count - 1], arguments[-1])

        return tolerant

    return decorate


def _scalar_shape(*shapes: Any) -> Any:
    return ()


def _shape_of_labels(*shapes: Any) -> Any:
    return shapes[_LABELS]


def _operator(name: str, like: Sequence[int], shape: Optional[Callable[..., Any]] = None,
              bprop: Optional[_Derivative] = None) -> Any:
    """An operator for known shapes; results have the dtypes, and without `shape` the shapes, of the inputs `like`."""
    def inferred(*inputs: Any) -> Any:
        return tuple(inputs[i] for i in like) if len(like) > 1 else inputs[like[0]]

    return ops.Custom(f'{LIBRARY}:ms_cosine_loss_{name}', shape or inferred, inferred, func_type='aot', bprop=bprop)


def _operator_for_any_shape(name: str, like: Sequence[int], shape: Optional[Callable[..., Any]] = None,
                            bprop: Optional[_Derivative] = None) -> Any:
    """The same for unknown shapes, which MindSpore infers at run time by infer.cc, without Python."""
    operator = ops.Custom(f'{LIBRARY}:ms_cosine_loss_{name}', func_type='aot', bprop=bprop)
    operator.add_prim_attr('reg_op_name', f'ms_cosine_loss_{name}')
    operator.add_prim_attr('multi_output', len(like) > 1)
    return operator


def _without_axes(x: Tensor) -> Tensor:
    # Graph mode on CPU has no Reshape of bfloat16; both casts are exact.
    if x.dtype == ms.bfloat16:
        return ops.cast(ops.reshape(ops.cast(x, ms.float32), ()), ms.bfloat16)
    return ops.reshape(x, ())


def _operators(operator: Callable[..., Any], scalars_have_an_axis: bool) -> tuple[Any, Any]:
    """The operators of the reduced loss and of the loss of each pair, made by `operator`, with their derivatives."""
    second_order = operator('second_order', (_X1, _X2, _UPSTREAM))

    @_drop_extra_arguments(8)
    def bprop_of_backward(x1: Tensor, x2: Tensor, labels: Tensor, settings: Tensor, margin: Tensor, upstream: Tensor,
                          out: tuple[Tensor, Tensor, Tensor],
                          dout: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
        dx1, dx2, dupstream = second_order(x1, x2, labels, settings, margin, upstream, dout[0], dout[1], dout[2])
        # The gradients change with the margin only where a hinge opens or closes.
        return dx1, dx2, _no_gradient(labels), settings, _no_gradient(margin), dupstream

    backward = operator('backward', (_X1, _X2, _MARGIN), bprop=bprop_of_backward)

    @_drop_extra_arguments(7)
    def bprop(x1: Tensor, x2: Tensor, labels: Tensor, settings: Tensor, margin: Tensor, out: Tensor,
              dout: Tensor) -> tuple[Tensor, ...]:
        dx1, dx2, dmargin = backward(x1, x2, labels, settings, margin, dout)
        if scalars_have_an_axis:
            dmargin = _without_axes(dmargin)
        # Nothing uses the gradient of the settings; it only needs their shape.
        return dx1, dx2, _no_gradient(labels), settings, dmargin

    # One function under two names, because MindSpore infers shapes by operator name.
    return (operator('forward', (_X1,), _scalar_shape, bprop),
            operator('forward_of_each', (_X1,), _shape_of_labels, bprop))


_kernel, UNAVAILABLE = _load()

if not UNAVAILABLE:
    # On Ascend the constructor would start to generate code.
    if context.get_context('device_target') != 'CPU':
        UNAVAILABLE = 'the device target was not CPU when the package was imported'
    else:
        try:
            _forward, _forward_of_each = _operators(_operator, scalars_have_an_axis=False)
            _forward_for_any_shape, _forward_of_each_for_any_shape = _operators(_operator_for_any_shape,
                                                                                scalars_have_an_axis=True)
        except Exception as error:
            UNAVAILABLE = f'MindSpore refuses the kernel ({error})'


def _bits(value: float) -> int:
    return struct.unpack('<q', struct.pack('<d', value))[0]


@functools.lru_cache(maxsize=256)
def _packed(eps: float, reduction: str, axis: int, threads_allowed: int) -> Tensor:
    return Tensor(np.array([_bits(eps), _REDUCTIONS.index(reduction), axis, threads_allowed], np.int64))


@constexpr
def _settings(eps: float, reduction: str, axis: int) -> Tensor:
    """The kernel's fourth input: integers, because mixed precision would cast floats."""
    return _packed(eps, reduction, axis, _threads_allowed())


@functools.lru_cache(maxsize=256)
def _packed_margin(margin: float) -> Tensor:
    return Tensor(np.array(_bits(margin), np.int64))


@constexpr
def _constant_margin(margin: float) -> Tensor:
    """The kernel's fifth input if it is constant: an integer, like the settings."""
    return _packed_margin(margin)


@constexpr(check=False)
def _has_no_axes(shape: Any) -> bool:
    """Whether a shape is known to be (). A constexpr, because a graph would compare at run time."""
    return shape is not None and len(shape) == 0


def loss(logits_x1: Tensor, logits_x2: Tensor, labels: Tensor, margin: Union[float, Tensor], reduction: str, axis: int,
         eps: float) -> Tensor:
    """The loss; nothing is checked here."""
    settings = _settings(eps, reduction, axis)
    if not isinstance(margin, Tensor):
        margin = _constant_margin(margin)
    if is_known(logits_x1.shape, logits_x2.shape, labels.shape, margin.shape):
        if reduction == 'none':
            return _forward_of_each(logits_x1, logits_x2, labels, settings, margin)
        return _forward(logits_x1, logits_x2, labels, settings, margin)
    if reduction == 'none' and not _has_no_axes(labels.shape):
        return _forward_of_each_for_any_shape(logits_x1, logits_x2, labels, settings, margin)
    # MindSpore turns an inferred 0-d result into a Python number.
    return _without_axes(_forward_for_any_shape(logits_x1, logits_x2, labels, settings, margin))
