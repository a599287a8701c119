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
"""Which implementation computes the loss, and why."""
import contextlib
import dataclasses
import functools
import multiprocessing
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional, Union

from mindspore import Tensor, context
from mindspore.multiprocessing import Process
from mindspore.ops import constexpr

from ms_cosine_loss.implementations import IMPLEMENTATIONS, NATIVE, Conditions, Implementation, native

AUTO = 'auto'

_setting = AUTO


class Selection(NamedTuple):
    """The selected implementation, and why a preferred one was not; empty if it is the preferred one."""

    implementation: Implementation
    reason: str


_last: Optional[Selection] = None


def select(setting: str, conditions: Conditions,
           implementations: Sequence[Implementation] = IMPLEMENTATIONS) -> Selection:
    """The implementation called `setting`, or with 'auto' the first that can run.

    Raises:
        RuntimeError: If it cannot run, or none can; the message gives the reason of each.
    """
    refusals: list[str] = []
    for implementation in implementations:
        if setting not in (AUTO, implementation.name):
            continue
        refusal = implementation.refusal(conditions)
        if not refusal:
            return Selection(implementation, '; '.join(refusals) if setting == AUTO else 'asked for by name')
        refusals.append(f"'{implementation.name}' cannot run: {refusal}")
    raise RuntimeError(f"For 'CosineEmbeddingLoss', the implementation {'; '.join(refusals)}.")


@functools.cache
def device() -> str:
    """The device target."""
    # Cached: asking costs as much as all checks, and the device cannot change once a loss has run.
    return context.get_context('device_target')


def _is_onnx_export() -> bool:
    # Only the frames of the export itself tell that a graph is compiled for it. PyNative does not come through
    # `__infer__`, so it skips the search.
    frame = sys._getframe(2)
    if frame.f_code.co_name != '__infer__':
        return False
    return any('export.onnx' in str(caller.f_locals.get('phase')) for caller, _ in traceback.walk_stack(frame))


_is_forked = False
"""Whether this process was forked from one that had already computed a loss."""


def _note_fork() -> None:
    global _is_forked
    _is_forked = _last is not None


os.register_at_fork(after_in_child=_note_fork)


@constexpr(reuse_result=False, check=False)
def _selected(shape: Optional[Sequence[Optional[int]]]) -> str:
    global _last
    # Only mindspore.multiprocessing restarts the runtime threads after a fork; any other child would hang.
    if _is_forked and not isinstance(multiprocessing.current_process(), Process):
        raise RuntimeError("For 'CosineEmbeddingLoss', this process was forked from one that had used it, and lacks "
                           "MindSpore's threads. Start it with mindspore.multiprocessing.Process, or by 'spawn'.")
    conditions = Conditions(device(), context.get_auto_parallel_context('parallel_mode'), len(shape or ()),
                            _is_onnx_export())
    _last = select(_setting, conditions)
    return _last.implementation.name


# A graph can look up a function in a dict but not in a record. It compiles everything in the dict, so the dict must not
# contain what cannot run.
_LOSSES = {each.name: each.loss for each in IMPLEMENTATIONS if not each.unavailable}


def loss(logits_x1: Tensor, logits_x2: Tensor, labels: Tensor, margin: Union[float, Tensor], reduction: str, axis: int,
         eps: float) -> Tensor:
    """The loss by the selected implementation, without further checks."""
    return _LOSSES[_selected(logits_x1.shape)](
        logits_x1, logits_x2, labels, margin, reduction, axis, eps)


def set_implementation(implementation: str) -> None:
    r"""
    Selects the implementation that computes the loss in this process.

    A graph that is already compiled keeps its implementation.

    Args:
        implementation (str): ``'native'`` for the compiled kernel, on CPU only; ``'plain'`` for MindSpore operators, on
            Ascend, GPU and CPU; ``'auto'`` , the default, for native where it can run and plain elsewhere.

    Raises:
        ValueError: If `implementation` is not one of ``'auto'`` , ``'native'`` , ``'plain'`` .
        RuntimeError: If it is ``'native'`` and there is no kernel. If there is one but it cannot take an input, the
            loss raises when it is called or compiled.

    Examples:
        >>> import ms_cosine_loss
        >>> ms_cosine_loss.set_implementation('plain')
        >>> print(ms_cosine_loss.get_implementation())
        plain
        >>> ms_cosine_loss.set_implementation('auto')
    """
    global _setting
    names = (AUTO, *(each.name for each in IMPLEMENTATIONS))
    if implementation not in names:
        raise ValueError(f"For 'set_implementation', the 'implementation' must be one of {names}, "
                         f"but got {implementation!r}.")
    for each in IMPLEMENTATIONS:
        if each.name == implementation and each.unavailable:
            raise RuntimeError(f"For 'set_implementation', the implementation '{implementation}' cannot run: "
                               f"{each.unavailable}.")
    _setting = implementation


def get_implementation() -> str:
    """
    Returns the implementation set by :func:`ms_cosine_loss.set_implementation`; ``'auto'`` by default.

    Examples:
        >>> import ms_cosine_loss
        >>> print(ms_cosine_loss.get_implementation())
        auto
    """
    return _setting


@contextlib.contextmanager
def use_implementation(implementation: str) -> Iterator[None]:
    r"""
    Selects the implementation inside a ``with`` block; see :func:`ms_cosine_loss.set_implementation`.

    It affects graphs compiled in this block; compiled graphs do not change.

    Args:
        implementation (str): ``'auto'`` , ``'native'`` or ``'plain'`` .

    Raises:
        ValueError: If `implementation` is none of these.
        RuntimeError: If it is ``'native'`` and there is no kernel.

    Examples:
        >>> import mindspore as ms
        >>> from mindspore import Tensor
        >>> import ms_cosine_loss
        >>> x = Tensor([[3.0, 4.0]], ms.float32)
        >>> y = Tensor([[4.0, 3.0]], ms.float32)
        >>> with ms_cosine_loss.use_implementation('plain'):
        ...     print(ms_cosine_loss.cosine_embedding_loss(x, y, Tensor([-1], ms.int32)))
        0.96
    """
    before = get_implementation()
    set_implementation(implementation)
    try:
        yield
    finally:
        set_implementation(before)


@dataclasses.dataclass(frozen=True)
class ImplementationStatus:
    """Which implementation computes the loss, and why.

    Attributes:
        setting (str): The setting: ``'auto'`` , ``'native'`` or ``'plain'`` .
        selected (str): The implementation that it selects here; empty if none can run.
        reason (str): Why that is not native; empty if it is.
        last (str): The implementation of the last call or compiled graph; empty before the first.
        last_reason (str): Why that was not native; empty if it was.
        instruction_set (str): The kernel's instruction set; empty if the kernel cannot run.
        threads (int): The kernel's threads for a large input; 0 if it cannot run.
    """

    setting: str
    selected: str
    reason: str
    last: str
    last_reason: str
    instruction_set: str
    threads: int


def get_implementation_status() -> ImplementationStatus:
    """
    Returns which implementation computes the loss, and why.

    Returns:
        ImplementationStatus, with the fields setting, selected, reason, last, last_reason, instruction_set and threads.

    Examples:
        >>> import ms_cosine_loss
        >>> status = ms_cosine_loss.get_implementation_status()
        >>> print(status.setting, status.selected in ('native', 'plain'))
        auto True
    """
    conditions = Conditions(context.get_context('device_target'), context.get_auto_parallel_context('parallel_mode'))
    try:
        selected, reason = select(_setting, conditions)
        name = selected.name
    except RuntimeError as error:
        name, reason = '', str(error)
    last, last_reason = (_last.implementation.name, _last.reason) if _last else ('', '')
    has_kernel = not NATIVE.refusal(conditions)
    return ImplementationStatus(_setting, name, reason, last, last_reason,
                                native.instruction_set() if has_kernel else '', native.threads() if has_kernel else 0)
