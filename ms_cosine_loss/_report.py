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
"""What a bug report needs to know: whether the loss is right here, what computes it and why, and how fast."""
import decimal
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Iterator
from typing import Any, Callable, Optional

import mindspore as ms
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from ms_cosine_loss import CosineEmbeddingLoss, __version__, get_implementation_status

SCHEMA_VERSION = 1
"""Version of the JSON report; increased when a key is removed or changes its meaning."""

# The example of MindSpore's documentation, with the value printed there and the one that PyTorch computes.
EXAMPLE = [[0.3, 0.8], [0.4, 0.3]], [[0.4, 1.2], [-0.4, -0.9]], [1, -1]
KNOWN = {'float32': ('mindspore_documents', 0.0003425479), 'float64': ('pytorch_computes', 0.00034258311711488076)}

ROWS, LENGTH = 1024, 512
ROUNDS = 31

# Relative errors. Native is within 2 ulp in float32 and within 4 ulp of 1 in float64, where the example is 3e-4; plain
# depends on the sums of the device.
TOLERANCES = {('native', 'float32'): 2.0 ** -22, ('native', 'float64'): 3e-12,
              ('plain', 'float32'): 1e-2, ('plain', 'float64'): 1e-11}

# Values by name, for a person to read.
_Part = dict[str, Any]

VARIABLES = ('MS_COSINE_LOSS_PLAIN', 'MS_COSINE_LOSS_INSTRUCTION_SET', 'MS_CUSTOM_AOT_WHITE_LIST')


def processor() -> str:
    """The processor's name, if the system reports one."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as lines:
            return next(line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _versions() -> _Part:
    return {'ms_cosine_loss': __version__, 'mindspore': ms.__version__, 'numpy': np.__version__,
            'imported_from': os.path.dirname(os.path.abspath(__file__)),
            'python': platform.python_version(), 'system': platform.platform(),
            'processor': processor(), 'cores': os.cpu_count()}


def _implementation() -> _Part:
    status = get_implementation_status()
    return {'device_target': ms.get_context('device_target'),
            'selected': status.selected or None,
            'reason': status.reason or None,
            'instruction_set': status.instruction_set or None,
            'threads': status.threads or None,
            'environment': {name: os.environ[name] for name in VARIABLES if name in os.environ}}


def _exact(x1: Any, x2: Any, labels: Any) -> float:
    """The loss of the example, by its definition, in 50 digits."""
    with decimal.localcontext() as context:
        context.prec = 50
        losses = []
        for row1, row2, label in zip(x1.tolist(), x2.tolist(), labels.tolist()):
            a, b = [decimal.Decimal(each) for each in row1], [decimal.Decimal(each) for each in row2]
            square1, square2 = (sum(each * each for each in row) + decimal.Decimal(1e-12) for row in (a, b))
            cosine = sum(one * other for one, other in zip(a, b)) / (square1 * square2).sqrt()
            losses.append(1 - cosine if label == 1 else max(decimal.Decimal(0), cosine))
        return float(sum(losses) / len(losses))


def _judged(value: float, exact: float) -> _Part:
    """A number and its relative error; both None if it is not finite, which JSON cannot express."""
    if not math.isfinite(value):
        return {'value': None, 'relative_error': None}
    return {'value': value, 'relative_error': abs(value - exact) / exact}


def _example() -> _Part:
    x1, x2, labels = EXAMPLE
    results: _Part = {}
    for dtype, (source, known) in KNOWN.items():
        inputs = Tensor(x1, getattr(ms, dtype)), Tensor(x2, getattr(ms, dtype)), Tensor(labels, ms.int32)
        exact = _exact(*(each.asnumpy() for each in inputs))
        results[dtype] = {'exact': exact,
                          'graph': _judged(ms.jit(CosineEmbeddingLoss())(*inputs).asnumpy().item(), exact),
                          'pynative': _judged(CosineEmbeddingLoss()(*inputs).asnumpy().item(), exact),
                          source: _judged(known, exact)}
    return results


def _nearly_parallel() -> tuple[tuple[Tensor, Tensor, Tensor], npt.NDArray[np.float64]]:
    """Nearly parallel pairs, as training makes them, and their exact losses."""
    rng = np.random.default_rng(0)
    x1 = rng.standard_normal((ROWS, LENGTH)).astype(np.float32)
    x2 = (x1 + 0.05 * rng.standard_normal((ROWS, LENGTH))).astype(np.float32)
    wide1, wide2 = x1.astype(np.float64), x2.astype(np.float64)
    norms = np.linalg.norm(wide1, axis=1) * np.linalg.norm(wide2, axis=1)
    return (Tensor(x1), Tensor(x2), Tensor(np.ones(ROWS, np.int32))), 1 - (wide1 * wide2).sum(1) / norms


def _milliseconds(call: Callable[..., Any], inputs: tuple[Tensor, Tensor, Tensor]) -> float:
    started = time.perf_counter()
    outputs = call(*inputs)
    # Waits for the device; on CPU nothing is copied.
    for output in (outputs[0], *outputs[1]) if isinstance(outputs, tuple) else (outputs,):
        output.asnumpy()
    return 1e3 * (time.perf_counter() - started)


def _comparison() -> _Part:
    inputs, truth = _nearly_parallel()
    losses: dict[str, Any] = {'ms_cosine_loss': CosineEmbeddingLoss, 'mindspore_nn': nn.CosineEmbeddingLoss}
    calls: dict[tuple[str, str], Callable[..., Any]] = {}
    results: dict[str, dict[str, Optional[float]]] = {}
    for name, loss in losses.items():
        calls[name, 'forward_ms'] = ms.jit(loss())
        calls[name, 'forward_and_backward_ms'] = ms.jit(ms.value_and_grad(loss(), (0, 1)))
        off = np.abs(loss(reduction='none')(*inputs).asnumpy().astype(np.float64) - truth) / truth
        worst = off.max().item()
        results[name] = {'worst_relative_error': worst if math.isfinite(worst) else None}
    times: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for _ in range(ROUNDS):
        for key, call in calls.items():
            times[key].append(_milliseconds(call, inputs))
    for (name, what), each in times.items():
        # The first calls compile.
        results[name][what] = statistics.median(each[3:])
    return results


def _tried(part: Callable[[], _Part]) -> _Part:
    # A part that fails is what the report is for, and must not stop the others.
    try:
        return part()
    except Exception as error:
        return {'error': f'{type(error).__name__}: {" ".join(str(error).split())}'}


def _wrong(selected: str, example: _Part, comparison: _Part) -> Iterator[str]:
    """Each number that is off by more than its tolerance."""
    for dtype, row in example.items():
        for mode in ('graph', 'pynative'):
            value, error = row[mode].values()
            if error is None or error > TOLERANCES[selected, dtype]:
                yield f"the published example in {dtype} gives {value} in {mode}, where {row['exact']} is exact"
    error = comparison['ms_cosine_loss']['worst_relative_error']
    if error is None or error > TOLERANCES[selected, 'float32']:
        yield f'the loss of a nearly parallel pair has a relative error of {error}'


def _verdict(parts: dict[str, _Part]) -> _Part:
    """Whether the numbers are right, None if one is missing, and a sentence that says so."""
    errors = [f"{name}: {part['error']}" for name, part in parts.items() if 'error' in part]
    if errors:
        return {'is_right': None, 'verdict': f"Cannot tell whether the loss is right here. {'; '.join(errors)}"}
    status = parts['implementation']
    wrong = list(_wrong(status['selected'], parts['example'], parts['comparison']))
    if wrong:
        return {'is_right': False, 'verdict': f"The loss is wrong here, by {status['selected']}: {'; '.join(wrong)}."}
    how = status['reason'] or f"{status['instruction_set']}, at most {status['threads']} threads"
    return {'is_right': True, 'verdict': f"The loss is right here, by {status['selected']} ({how})."}


def collect() -> dict[str, Any]:
    """The report: schema version, verdict and four parts; a failed part contains its error instead."""
    parts = {'versions': _tried(_versions), 'implementation': _tried(_implementation), 'example': _tried(_example),
             'comparison': _tried(_comparison)}
    return {'schema_version': SCHEMA_VERSION, **_verdict(parts), **parts}


def as_json(report: dict[str, Any]) -> str:
    """The report for a program to read."""
    return json.dumps(report, indent=2, allow_nan=False)


def _lines(part: _Part) -> list[str]:
    shown = {name: value for name, value in part.items() if value is not None}
    width = max(map(len, shown), default=0)
    return [f'  {name:<{width}}  {value}' for name, value in shown.items()]


_WORDS = {'ms_cosine_loss': 'ms_cosine_loss', 'mindspore_nn': 'mindspore.nn', 'pynative': 'PyNative',
          'mindspore_documents': 'MindSpore documents', 'pytorch_computes': 'PyTorch computes'}


def _words(part: _Part) -> _Part:
    """The same with readable names."""
    return {_WORDS.get(name, name.replace('_', ' ')): value for name, value in part.items()}


def _implementation_lines(part: _Part) -> list[str]:
    environment = part['environment']
    return _lines({**_words({name: part[name] for name in part if name != 'environment'}), **environment})


def _example_lines(part: _Part) -> Iterator[str]:
    for dtype, row in part.items():
        yield f'  {dtype}'
        digits = 9 if dtype == 'float32' else 17
        shown = {'exact': f"{row['exact']:.{digits}g}"}
        for name, judged in row.items():
            if name != 'exact':
                value, error = judged.values()
                shown[name] = 'not finite' if value is None else f'{value:.{digits}g}, relative error {error:.0e}'
        yield from _lines({f'  {name}': value for name, value in _words(shown).items()})


def _table(part: _Part) -> list[str]:
    columns = list(next(iter(part.values())))
    cells = [['', *_words(dict.fromkeys(columns))]]
    for name, row in _words(part).items():
        cells.append([name, *('not finite' if row[column] is None else f'{row[column]:.2g}' for column in columns)])
    widths = [max(len(row[index]) for row in cells) for index in range(len(cells[0]))]
    return ['  ' + '  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def as_text(report: dict[str, Any]) -> str:
    """The report for a person to read."""
    parts: tuple[tuple[str, str, Callable[[_Part], Any]], ...] = (
        ('versions', 'Versions', lambda part: _lines(_words(part))),
        ('implementation', 'What computes the loss', _implementation_lines),
        ('example', 'The published example', _example_lines),
        ('comparison', f'{ROWS} nearly parallel pairs of {LENGTH} in float32, graph mode', _table))
    blocks = [report['verdict']]
    for name, title, lines in parts:
        part = report[name]
        blocks.append('\n'.join([title, *(_lines if 'error' in part else lines)(part)]))
    return '\n\n'.join(blocks)
