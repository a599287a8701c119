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
"""Counts what one call of each loss launches, by device, mode, layout, dtype and reduction.

Each is called twice and only the second call, which compiles nothing, is counted.
"""
import csv
import ctypes
import re
import subprocess
import sys
import tempfile

import mindspore as ms
import numpy as np
from mindspore import Tensor, mint, nn, ops

from ms_cosine_loss import CosineEmbeddingLoss
from tests.dispatch import build
from tests.processes import ROOT, first_line

MODES = {'Ascend': ('PyNative', 'graph O0', 'graph O1'), 'GPU': ('PyNative', 'graph')}
"""On GPU the jit level changes nothing: the wheel cannot fuse operators there."""

DTYPES = ('float32', 'float16', 'bfloat16', 'float64')
REDUCTIONS = ('none', 'mean', 'sum')
MARGIN, EPS = 0.2, 1e-12

PAIRS = '(64, 768)'
LAYOUTS = {
    PAIRS: ((64, 768), (64, 768), 1),
    '(8, 8, 768)': ((8, 8, 768), (8, 8, 768), -1),
    'one anchor': ((1, 768), (64, 768), 1),
    'unbatched': ((768,), (768,), 0),
    'dynamic shape': ((64, 768), (64, 768), 1),
    'dynamic rank': ((64, 768), (64, 768), 1),
}
"""By layout: the shapes of the logits, and the axis."""

FIELDS = ('launches', 'old_style', 'unfused', 'large', 'to_host')
"""The counts: operators or kernels launched; those of CANN's old style, which a device compiles at run time; those that
are neither fused nor a sum; those known to have a result with as many elements as the larger of the logits; copies from
the device to the host."""


def _as_cell(function):
    class Loss(nn.Cell):
        def __init__(self, margin, reduction, axis):
            super().__init__()
            self.margin, self.reduction, self.axis = margin, reduction, axis

        def construct(self, x1, x2, labels):
            return function(x1, x2, labels, self.margin, self.reduction, self.axis)

    return Loss


def _ops(x1, x2, labels, margin, reduction, axis):
    return ops.cosine_embedding_loss(x1, x2, labels, margin, reduction)


def _mint(x1, x2, labels, margin, reduction, axis):
    return mint.nn.functional.cosine_embedding_loss(x1, x2, labels, margin, reduction)


def _by_hand(x1, x2, labels, margin, reduction, axis):
    """A hand-written loss for the layouts that MindSpore's losses do not support."""
    product, square1, square2 = mint.sum(x1 * x2, axis), mint.sum(x1 * x1, axis), mint.sum(x2 * x2, axis)
    cosine = product / mint.sqrt((square1 + EPS) * (square2 + EPS))
    dissimilar = mint.where(labels == -1, mint.clamp(cosine - margin, 0), mint.zeros_like(cosine))
    return mint.mean(mint.where(labels == 1, 1 - cosine, dissimilar))


PLAIN = 'plain'
LOSSES = {
    PLAIN: lambda margin, reduction, axis: CosineEmbeddingLoss(margin, reduction, axis=axis, eps=EPS),
    'mindspore.nn': lambda margin, reduction, axis: nn.CosineEmbeddingLoss(margin, reduction),
    'ops': _as_cell(_ops),
    'mint': _as_cell(_mint),
    'by hand': _as_cell(_by_hand),
}


class _Gradients(nn.Cell):
    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def construct(self, x1, x2, labels):
        return ms.grad(self.loss, (0, 1))(x1, x2, labels)


class _Both(nn.Cell):
    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def construct(self, x1, x2, labels):
        return ms.value_and_grad(self.loss, (0, 1))(x1, x2, labels)


WHAT = {'forward': lambda loss: loss, 'gradients': _Gradients, 'both': _Both}
"""The calls: the loss, its gradients with respect to the logits, or both; a graph of gradients omits the value."""

CASE = ('device', 'mode', 'layout', 'dtype', 'reduction', 'loss', 'what')
COLUMNS = (*CASE, *FIELDS, 'refused')


def cases(device):
    """Yields the cases of a device, as dicts of `CASE`: all losses on pairs of rows, else plain and 'by hand'."""
    def case(*values):
        return dict(zip(CASE, (device, *values)))

    for mode in MODES[device]:
        whats = [what for what in WHAT if mode != 'PyNative' or what != 'gradients']
        yield from (case(mode, PAIRS, dtype, reduction, loss, what) for dtype in DTYPES for reduction in REDUCTIONS
                    for loss in LOSSES if loss != 'by hand' for what in whats)
        yield from (case(mode, layout, 'float32', 'mean', loss, what) for layout in LAYOUTS
                    if layout != PAIRS and not (layout.startswith('dynamic') and mode == 'PyNative')
                    for loss in (PLAIN, 'by hand') for what in whats)


def _inputs(layout, dtype):
    """Returns the logits and labels, and their placeholders with unknown shapes, or None."""
    shape1, shape2, axis = LAYOUTS[layout]
    random = np.random.default_rng(0)
    x1, x2 = (Tensor(random.standard_normal(shape), getattr(ms, dtype)) for shape in (shape1, shape2))
    shape = list(np.broadcast_shapes(shape1, shape2))
    del shape[axis]
    labels = Tensor(np.where(np.arange(np.prod(shape, dtype=int)) % 2, -1, 1).reshape(shape), ms.int32)
    unknown = None
    if layout == 'dynamic shape':
        unknown = [Tensor(shape=[None, *x.shape[1:]], dtype=x.dtype) for x in (x1, x2, labels)]
    elif layout == 'dynamic rank':
        unknown = [Tensor(shape=None, dtype=x.dtype) for x in (x1, x2, labels)]
    return (x1, x2, labels), unknown


def _notes(call):
    """Runs a call; returns the lines that the stand-in noted, split into words."""
    stand_in = ctypes.CDLL(None)
    stand_in.stand_in_notes.restype = ctypes.c_char_p
    ms.runtime.synchronize()
    stand_in.stand_in_start()
    call()
    ms.runtime.synchronize()
    return [line.split() for line in stand_in.stand_in_notes().decode().splitlines()]


def _numbers(notes, large):
    launches = [(name, int(elements)) for kind, name, elements, *_ in notes if kind == 'launch']
    return {
        'launches': len(launches),
        'old_style': sum(name.startswith('aclop:') for name, _ in launches),
        'unfused': sum(not re.match('fused:|.*(Sum|Mean|Reduce)', name) for name, _ in launches),
        'large': sum(elements >= large for _, elements in launches),
        'to_host': sum(kind == 'copy' and way == '2' for kind, way, *_ in notes),
    }


def _counted(case):
    """Returns the row of a case: its counts, or the error with which MindSpore rejects it."""
    name, _, level = case['mode'].partition(' ')
    ms.set_context(mode=ms.GRAPH_MODE if name == 'graph' else ms.PYNATIVE_MODE)
    if level:
        ms.set_context(jit_config={'jit_level': level})
    inputs, unknown = _inputs(case['layout'], case['dtype'])
    function = WHAT[case['what']](LOSSES[case['loss']](MARGIN, case['reduction'], LAYOUTS[case['layout']][2]))
    if unknown:
        function.set_inputs(*unknown)
    try:
        function(*inputs)
        notes = _notes(lambda: function(*inputs))
    except Exception as error:
        return {**case, 'refused': first_line(error)}
    print(*(' '.join(note) for note in notes), sep='\n', file=sys.stderr)
    return {**case, **_numbers(notes, max(x.size for x in inputs)), 'refused': ''}


def count_all(*wanted):
    """Returns both devices' rows that contain all of `wanted`, as dicts of strings; each device has its own process."""
    with tempfile.TemporaryDirectory() as folder:
        started = {}
        for device in build.DEVICES:
            environment = {**build.environment(device), 'PYTHONPATH': str(ROOT)}
            with open(f'{folder}/{device}', 'w', encoding='utf-8') as file:
                started[device] = subprocess.Popen([sys.executable, '-m', __name__, device, *wanted], stdout=file,
                                                   stderr=subprocess.DEVNULL, cwd=folder, env=environment)
        rows = []
        for device, process in started.items():
            if process.wait() != 0:
                raise RuntimeError(f'counting on {device} failed with status {process.returncode}')
            with open(f'{folder}/{device}', newline='', encoding='utf-8') as file:
                rows += csv.DictReader(file)
    return rows


def main():
    """Writes the rows of a device that contain all further arguments, and the notes to standard error."""
    device, *wanted = sys.argv[1:]
    ms.set_device(device)
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator='\n')
    writer.writeheader()
    for case in cases(device):
        if set(wanted) <= set(case.values()):
            writer.writerow(_counted(case))
            sys.stdout.flush()


if __name__ == '__main__':
    main()
