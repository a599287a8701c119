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
"""Error messages that suggest the right call: for PyTorch's arguments, for a wrong order, for too few."""
import functools
import inspect
import types
from collections.abc import Sequence
from typing import Any, Callable, TypeVar, cast

from mindspore.ops import constexpr

_INPUTS = ('logits_x1', 'logits_x2', 'labels')
_SETTINGS = ('margin', 'reduction', 'axis', 'eps')
# For each callable: its positional arguments, and its keyword-only ones.
_TAKEN = {'cosine_embedding_loss': (_INPUTS + _SETTINGS[:2], _SETTINGS[2:]),
          'CosineEmbeddingLoss': (_SETTINGS[:2], _SETTINGS[2:]),
          'loss': (_INPUTS, ())}
# PyTorch's names, and the order of its settings.
_MEANT = {'input1': 'logits_x1', 'input2': 'logits_x2', 'target': 'labels', 'dim': 'axis'}
_PYTORCH_SETTINGS = ('margin', 'size_average', 'reduce', 'reduction')

_Function = TypeVar('_Function', bound=Callable[..., Any])


def _quoted(names: Sequence[str]) -> str:
    *first, last = (f"'{name}'" for name in names)
    return f"{', '.join(first)} and {last}" if first else last


# Cached, because a training loop makes the same call at every step.
@functools.cache
def _misfit(called: str, count: int, keywords: tuple[str, ...]) -> str:
    """What is wrong with `count` positional arguments and these keywords; empty if the error is left to Python."""
    by_position, by_keyword = _TAKEN[called]
    unknown = [name for name in keywords if name not in by_position + by_keyword]
    missing = [name for name in by_position[count:] if name in _INPUTS and name not in keywords]
    if unknown:
        return _quoted(unknown)
    if count > len(by_position):
        return f'{count} by position'
    return f'no {_quoted(missing)}' if missing else ''


def _right_settings(given: dict[str, Any]) -> str:
    meant = {_MEANT.get(name, name): value for name, value in given.items()}
    average, reduce = meant.get('size_average'), meant.get('reduce')
    if isinstance(average, bool) or isinstance(reduce, bool):
        meant['reduction'] = 'none' if reduce is False else 'sum' if average is False else 'mean'
    # A non-constant argument of a graph has arrived as None.
    return ', '.join(f'{name}={meant[name]!r}' if isinstance(meant[name], (int, float, str)) else f'{name}={name}'
                     for name in _SETTINGS if name in meant)


def _right_inputs(keywords: Sequence[str]) -> str:
    typed = {_MEANT[name]: name for name in keywords if name in _MEANT}
    first = next((place for place, name in enumerate(_INPUTS) if name in typed), len(_INPUTS))
    # Arguments after a keyword must be keywords.
    return ', '.join([*_INPUTS[:first], *(f'{name}={typed.get(name, name)}' for name in _INPUTS[first:])])


def _right_call(called: str, positional: Sequence[Any], given: dict[str, Any]) -> str:
    settings = positional if called == 'CosineEmbeddingLoss' else positional[len(_INPUTS):]
    order = _PYTORCH_SETTINGS if len(settings) > 2 and not isinstance(settings[1], str) else _SETTINGS
    shown = _right_settings({**dict(zip(order, settings)), **given})
    if called == 'CosineEmbeddingLoss':
        return f'{called}({shown})'
    inputs = _right_inputs(list(given))
    if called == 'loss':
        return f'CosineEmbeddingLoss({shown})({inputs})' if shown else f'{called}({inputs})'
    return f'{called}({inputs}, {shown})' if shown else f'{called}({inputs})'


@constexpr(check=False)
def check_call(called: str, count: int, keywords: Sequence[str], *values: Any) -> None:
    """Checks that `called` takes `values`: the first `count` by position, the others by `keywords`."""
    misfit = _misfit(called, count, tuple(keywords))
    if misfit:
        by_position, by_keyword = _TAKEN[called]
        taken = ', '.join([*by_position, *(['*', *by_keyword] if by_keyword else [])])
        right = _right_call(called, values[:count], dict(zip(keywords, values[count:])))
        raise TypeError(f"For 'CosineEmbeddingLoss', the arguments must be ({taken}), but got {misfit}. Call {right}.")


@constexpr
def refuse_get_loss() -> None:
    """Says what to call instead of `LossBase.get_loss`, which rounds float64 to float32."""
    raise NotImplementedError(
        "For 'CosineEmbeddingLoss', the 'get_loss' of LossBase must not be called, because it rounds to float32. "
        "For weights call (weights * CosineEmbeddingLoss(reduction='none')(logits_x1, logits_x2, labels)).mean().")


def checks_its_call(function: _Function) -> _Function:
    """Lets `cosine_embedding_loss` explain a wrong call, which Python and MindSpore would each report differently."""
    def call(*inputs: Any, **settings: Any) -> Any:
        if len(inputs) != 3 or len(settings) > 0:
            check_call('cosine_embedding_loss', len(inputs), settings.keys(), *inputs, *settings.values())
        return function(*inputs, **settings)

    for name in ('__module__', '__name__', '__qualname__', '__doc__'):
        setattr(call, name, getattr(function, name))
    # MindSpore reads the source of the wrapped function, so that must be `call`; people read its signature.
    shown: Any = types.FunctionType(call.__code__, call.__globals__, closure=call.__closure__)
    shown.__signature__ = inspect.signature(function)
    call.__wrapped__ = shown  # type: ignore[attr-defined]
    return cast(_Function, call)


def checks_its_settings(init: _Function) -> _Function:
    """The same for the constructor, which no graph calls."""
    @functools.wraps(init)
    def call(self: Any, *positional: Any, **keywords: Any) -> None:
        check_call('CosineEmbeddingLoss', len(positional), tuple(keywords), *positional, *keywords.values())
        init(self, *positional, **keywords)

    return cast(_Function, call)
