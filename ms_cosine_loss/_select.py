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
import math
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from typing import Callable, Optional

from mindspore import Tensor, context
from mindspore.multiprocessing import Process
from mindspore.ops import constexpr

from ms_cosine_loss import _native, _plain
from ms_cosine_loss._rules import is_known


@dataclasses.dataclass(frozen=True)
class Implementation:
    """One way to compute the loss.

    Attributes:
        name: what the user calls it.
        devices: the device targets that it runs on.
        is_general: whether it takes shapes that are not known yet, and graphs that MindSpore cuts over devices.
        max_rank: the most axes that the logits may have.
        unavailable: why it cannot run in this installation; empty where it can.
    """

    name: str
    devices: tuple[str, ...]
    is_general: bool = True
    max_rank: float = math.inf
    unavailable: str = ''

    def refusal(self, device: str, parallel_mode: str = 'stand_alone', has_known_shapes: bool = True,
                rank: int = 2) -> str:
        """Why this implementation cannot run there; empty where it can."""
        if self.unavailable:
            return self.unavailable
        if device not in self.devices:
            return f"it runs on {', '.join(self.devices)}, not on {device}"
        if not self.is_general and parallel_mode not in ('stand_alone', 'data_parallel'):
            return f'MindSpore cannot cut it up as parallel mode {parallel_mode} demands'
        if not self.is_general and not has_known_shapes:
            return 'it needs shapes that are known when the graph is compiled'
        if rank > self.max_rank:
            return f'it takes logits of at most {self.max_rank} axes'
        return ''


PLAIN = Implementation('plain', ('Ascend', 'GPU', 'CPU'))
NATIVE = Implementation('native', ('CPU',), is_general=False, max_rank=_native.MAX_RANK,
                        unavailable=_native.UNAVAILABLE)

IMPLEMENTATIONS = (NATIVE, PLAIN)
"""All of them, the preferred one first."""

AUTO = 'auto'

_setting = AUTO
_last: Optional[str] = None


def select(setting: str, device: str, parallel_mode: str = 'stand_alone', has_known_shapes: bool = True,
           rank: int = 2, implementations: Sequence[Implementation] = IMPLEMENTATIONS) -> Implementation:
    """The implementation called `setting`, or with 'auto' the first that can run.

    Raises:
        RuntimeError: If it cannot run, or none can; the message gives the reason of each.
    """
    refusals = []
    for implementation in implementations:
        if setting not in (AUTO, implementation.name):
            continue
        refusal = implementation.refusal(device, parallel_mode, has_known_shapes, rank)
        if not refusal:
            return implementation
        refusals.append(f"'{implementation.name}' cannot run: {refusal}")
    raise RuntimeError(f"For 'CosineEmbeddingLoss', the implementation {'; '.join(refusals)}.")


@functools.cache
def _device() -> str:
    # Asked for once, because it costs as much as the checks, and cannot change once a loss has run.
    return context.get_context('device_target')


def _surroundings() -> tuple[str, str]:
    return _device(), context.get_auto_parallel_context('parallel_mode')


_is_forked = False
"""Whether this process was forked from one that had computed a loss."""


def _note_fork() -> None:
    global _is_forked
    _is_forked = _last is not None


os.register_at_fork(after_in_child=_note_fork)


@constexpr(reuse_result=False, check=False)
def _selected(*shapes: Optional[Sequence[Optional[int]]]) -> str:
    global _last
    # MindSpore starts its threads again in processes of its own; in any other it would wait for them for ever.
    if _is_forked and not isinstance(multiprocessing.current_process(), Process):
        raise RuntimeError("For 'CosineEmbeddingLoss', this process was forked from one that had used it, and lacks "
                           "MindSpore's threads. Start it with mindspore.multiprocessing.Process, or by 'spawn'.")
    _last = select(_setting, *_surroundings(), is_known(*shapes), len(shapes[0] or ())).name
    return _last


# Beside the records and not in them, because a graph can look up a function in a dict but not in an object. It compiles
# all that the dict holds, so that native may be in it only where its operators exist.
_LOSSES: dict[str, Callable[..., Tensor]] = {PLAIN.name: _plain.loss}
if not NATIVE.unavailable:
    _LOSSES[NATIVE.name] = _native.loss


def loss(logits_x1: Tensor, logits_x2: Tensor, labels: Tensor, margin: float, reduction: str, axis: int,
         eps: float) -> Tensor:
    """The loss by the implementation that is selected; nothing else is checked here."""
    return _LOSSES[_selected(logits_x1.shape, logits_x2.shape, labels.shape)](
        logits_x1, logits_x2, labels, margin, reduction, axis, eps)


def set_implementation(implementation: str) -> None:
    r"""
    Sets which implementation computes the loss from now on, in this process.

    A graph that is compiled already keeps the implementation that it was compiled with.

    Args:
        implementation (str): ``'native'`` for the compiled kernel, which runs on CPU; ``'plain'`` for MindSpore's own
            operators, which run everywhere; ``'auto'`` , the setting at the start, for the kernel where it can run and
            the operators elsewhere.

    Raises:
        ValueError: If `implementation` is not one of ``'auto'`` , ``'native'`` , ``'plain'`` .
        RuntimeError: If it is ``'native'`` and the kernel is not there. Where it is there but cannot take an input, the
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
    Returns what `set_implementation` was last given, or ``'auto'`` .

    Examples:
        >>> import ms_cosine_loss
        >>> print(ms_cosine_loss.get_implementation())
        auto
    """
    return _setting


@contextlib.contextmanager
def use_implementation(implementation: str) -> Iterator[None]:
    r"""
    Sets which implementation computes the loss inside a ``with`` block; see :func:`ms_cosine_loss.set_implementation`.

    Args:
        implementation (str): ``'auto'`` , ``'native'`` or ``'plain'`` .

    Raises:
        ValueError: If `implementation` is none of these.
        RuntimeError: If it is ``'native'`` and the kernel is not there.

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
    """What computes the loss.

    Attributes:
        setting (str): What was set: ``'auto'`` , ``'native'`` or ``'plain'`` .
        selected (str): What that means here and now, for inputs of known shapes; empty if nothing can run.
        last (str): What the last call, or the last graph that was compiled, selected; empty before the first.
        why_not_native (str): Why the kernel cannot run; empty where it can.
        instruction_set (str): What the kernel runs on; empty where it cannot run.
        threads (int): How many threads the kernel takes for a large input; 0 where it cannot run.
    """

    setting: str
    selected: str
    last: str
    why_not_native: str
    instruction_set: str
    threads: int


def get_implementation_status() -> ImplementationStatus:
    """
    Returns which implementation computes the loss, and why.

    Returns:
        ImplementationStatus, with the fields setting, selected, last, why_not_native, instruction_set and threads.

    Examples:
        >>> import ms_cosine_loss
        >>> status = ms_cosine_loss.get_implementation_status()
        >>> print(status.setting, status.selected in ('native', 'plain'))
        auto True
    """
    surroundings = context.get_context('device_target'), context.get_auto_parallel_context('parallel_mode')
    why_not_native = NATIVE.refusal(*surroundings)
    try:
        selected = select(_setting, *surroundings).name
    except RuntimeError:
        selected = ''
    return ImplementationStatus(_setting, selected, _last or '', why_not_native,
                                '' if why_not_native else _native.instruction_set(),
                                0 if why_not_native else _native.threads())
