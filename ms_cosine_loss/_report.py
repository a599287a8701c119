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
"""What a bug report needs to know: versions, what computes the loss and why, its numbers, its speed and its error."""
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Iterator
from typing import Any, Callable

import mindspore as ms
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from ms_cosine_loss._loss import CosineEmbeddingLoss
from ms_cosine_loss._select import get_implementation_status

# The example of MindSpore's documentation, with what it prints there and what PyTorch computes.
EXAMPLE = [[0.3, 0.8], [0.4, 0.3]], [[0.4, 1.2], [-0.4, -0.9]], [1, -1]
KNOWN = {'float32': ('MindSpore documents', 0.0003425479), 'float64': ('PyTorch computes', 0.00034258311711488076)}

ROWS, LENGTH = 1024, 512
ROUNDS = 31

# By name; what a part holds is for a person to read.
_Part = dict[str, Any]

VARIABLES = ('MS_COSINE_LOSS_PLAIN', 'MS_COSINE_LOSS_INSTRUCTION_SET', 'MS_CUSTOM_AOT_WHITE_LIST')


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as lines:
            return next(line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _versions() -> _Part:
    return {**{name: importlib.metadata.version(name) for name in ('ms_cosine_loss', 'mindspore', 'numpy')},
            'imported from': os.path.dirname(os.path.abspath(__file__)),
            'Python': platform.python_version(), 'system': platform.platform(),
            'processor': f'{processor()}, {os.cpu_count()} cores'}


def _implementation() -> _Part:
    status = get_implementation_status()
    return {'device target': ms.get_context('device_target'),
            'runs': status.selected or 'nothing',
            'reason': status.reason,
            'instruction set': status.instruction_set,
            'threads': status.threads,
            **{name: os.environ[name] for name in VARIABLES if name in os.environ}}


def _example() -> _Part:
    x1, x2, labels = EXAMPLE
    results = {}
    for dtype, (source, known) in KNOWN.items():
        inputs = Tensor(x1, getattr(ms, dtype)), Tensor(x2, getattr(ms, dtype)), Tensor(labels, ms.int32)
        results[dtype] = {'graph': ms.jit(CosineEmbeddingLoss())(*inputs).asnumpy().item(),
                          'PyNative': CosineEmbeddingLoss()(*inputs).asnumpy().item(),
                          source: known}
    return results


def _nearly_parallel() -> tuple[tuple[Tensor, Tensor, Tensor], npt.NDArray[np.float64]]:
    """Pairs as training leaves them, where `1 - cos` cancels, and their exact losses."""
    rng = np.random.default_rng(0)
    x1 = rng.standard_normal((ROWS, LENGTH)).astype(np.float32)
    x2 = (x1 + 0.05 * rng.standard_normal((ROWS, LENGTH))).astype(np.float32)
    wide1, wide2 = x1.astype(np.float64), x2.astype(np.float64)
    norms = np.linalg.norm(wide1, axis=1) * np.linalg.norm(wide2, axis=1)
    return (Tensor(x1), Tensor(x2), Tensor(np.ones(ROWS, np.int32))), 1 - (wide1 * wide2).sum(1) / norms


def _milliseconds(call: Callable[..., Any], inputs: tuple[Tensor, Tensor, Tensor]) -> float:
    started = time.perf_counter()
    outputs = call(*inputs)
    # Waits for the device, and on CPU copies nothing.
    for output in (outputs[0], *outputs[1]) if isinstance(outputs, tuple) else (outputs,):
        output.asnumpy()
    return 1e3 * (time.perf_counter() - started)


def _comparison() -> _Part:
    inputs, truth = _nearly_parallel()
    losses: dict[str, Any] = {'ms_cosine_loss': CosineEmbeddingLoss, 'mindspore.nn': nn.CosineEmbeddingLoss}
    calls: dict[tuple[str, str], Callable[..., Any]] = {}
    results: dict[str, dict[str, float]] = {}
    for name, loss in losses.items():
        calls[name, 'forward, ms'] = ms.jit(loss())
        calls[name, 'forward and backward, ms'] = ms.jit(ms.value_and_grad(loss(), (0, 1)))
        off = np.abs(loss(reduction='none')(*inputs).asnumpy().astype(np.float64) - truth) / truth
        results[name] = {'worst relative error': off.max().item()}
    times: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for _ in range(ROUNDS):
        for key, call in calls.items():
            times[key].append(_milliseconds(call, inputs))
    for (name, what), each in times.items():
        # The first calls compile.
        results[name][what] = statistics.median(each[3:])
    return results


def _tried(part: Callable[[], _Part]) -> _Part:
    # One part that fails is what the report is for: it must not cost the others.
    try:
        return part()
    except Exception as error:
        return {'error': f'{type(error).__name__}: {" ".join(str(error).split())}'}


def collect() -> dict[str, _Part]:
    """The report as a dict of its four parts; a part that fails holds its error instead."""
    return {'versions': _tried(_versions), 'implementation': _tried(_implementation), 'example': _tried(_example),
            'comparison': _tried(_comparison)}


def as_json(report: dict[str, _Part]) -> str:
    """The report for a program to read."""
    return json.dumps(report, indent=2)


def _lines(part: _Part) -> list[str]:
    shown = {name: value for name, value in part.items() if value not in ('', 0)}
    width = max(map(len, shown), default=0)
    return [f'  {name:<{width}}  {value}' for name, value in shown.items()]


def _table(part: _Part, form: Callable[[float], str]) -> list[str]:
    columns = list(next(iter(part.values())))
    cells = [['', *columns]] + [[name, *(form(row[column]) for column in row)] for name, row in part.items()]
    widths = [max(len(row[index]) for row in cells) for index in range(len(cells[0]))]
    return ['  ' + '  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def _example_lines(part: _Part) -> Iterator[str]:
    for dtype, row in part.items():
        yield f'  {dtype}'
        digits = 9 if dtype == 'float32' else 17
        yield from _lines({f'  {name}': f'{value:.{digits}g}' for name, value in row.items()})


def as_text(report: dict[str, _Part]) -> str:
    """The report for a person to read."""
    parts = (('versions', 'Versions', _lines),
             ('implementation', 'What computes the loss', _lines),
             ('example', 'The published example', _example_lines),
             ('comparison', f'{ROWS} nearly parallel pairs of {LENGTH} in float32, graph mode',
              lambda part: _table(part, '{:.2g}'.format)))
    blocks = []
    for name, title, lines in parts:
        part = report[name]
        blocks.append('\n'.join([title, *(_lines if 'error' in part else lines)(part)]))
    return '\n\n'.join(blocks)
