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
"""What a call of plain launches, compared with MindSpore's own losses."""
import csv
import dataclasses
import pathlib
from typing import Optional

import pytest

from tests.dispatch.build import DEVICES
from tests.dispatch.judge import REFUSALS
from tests.dispatch.launches import CASE, FIELDS, PAIRS, PLAIN, cases, count_all
from tests.processes import ROOT

DATA = pathlib.Path(ROOT) / 'docs/data/launches.csv'

LARGE = {'forward': 3, 'gradients': 9, 'both': 9}
"""Results that may be as large as the logits: the three products, and six more for the two gradients."""


@dataclasses.dataclass(frozen=True)
class Allowance:
    """How far plain may exceed a limit, and why; None matches every value."""

    field: str
    more: int
    reason: str
    device: Optional[str] = None
    mode: Optional[str] = None
    layout: Optional[str] = None
    dtype: Optional[str] = None
    reduction: Optional[str] = None
    what: Optional[str] = None

    def holds(self, case):
        """Returns whether the allowance applies to `case`."""
        return all(getattr(self, name) in (None, case[name]) for name in CASE if name != 'loss')


_EPS = 'adds eps to both squared norms; mindspore.nn does not, and returns NaN for a row of zeros'
_HALVES = 'casts to float32 and back, so that no square overflows; the others compute in the dtype'
_IGNORED = 'keeps first and second derivatives of an ignored row 0, whatever its values'
_NOT_NEGATIVE = 'keeps losses non-negative, the loss of equal vectors 0, and NaN as NaN'
_ANCHOR = 'broadcasts the squared norm of the anchor, so that each pair can be ignored separately'
_SHAPES = 'broadcasts both squared norms, because either input may be a single anchor at run time'
_RANKS = 'broadcasts logits of unknown rank with BroadcastTo, whose gradient MindSpore sums at run time'

ALLOWANCES = (
    *(Allowance('launches', more, reason, device, mode, PAIRS, 'float32', what=what)
      for device, mode, what, more, reason in (
          ('Ascend', 'PyNative', 'both', 3, _IGNORED), ('Ascend', 'graph O0', 'forward', 2, _EPS),
          ('Ascend', 'graph O0', 'gradients', 3, _IGNORED), ('Ascend', 'graph O0', 'both', 3, _IGNORED),
          ('GPU', 'PyNative', 'forward', 2, _EPS), ('GPU', 'PyNative', 'both', 6, _IGNORED),
          ('GPU', 'graph', 'forward', 2, _EPS))),
    *(Allowance('launches', more, f'{_HALVES}; {_EPS}; {_IGNORED}', device, mode, PAIRS, dtype, what=what)
      for device, mode, dtype, what, more in (
          ('Ascend', 'PyNative', 'float16', 'forward', 2), ('Ascend', 'PyNative', 'float16', 'both', 9),
          ('Ascend', 'PyNative', 'bfloat16', 'forward', 2), ('Ascend', 'PyNative', 'bfloat16', 'both', 9),
          ('Ascend', 'graph O0', 'float16', 'forward', 5), ('Ascend', 'graph O0', 'float16', 'gradients', 7),
          ('Ascend', 'graph O0', 'float16', 'both', 8), ('Ascend', 'graph O0', 'bfloat16', 'forward', 4),
          ('Ascend', 'graph O0', 'bfloat16', 'gradients', 7), ('Ascend', 'graph O0', 'bfloat16', 'both', 8),
          ('GPU', 'PyNative', 'float16', 'forward', 3), ('GPU', 'PyNative', 'float16', 'both', 8),
          ('GPU', 'graph', 'float16', 'forward', 4))),
    *(Allowance('launches', more, reason, device, mode, layout, what=what)
      for device, mode, layout, what, more, reason in (
          ('Ascend', 'PyNative', '(8, 8, 768)', 'forward', 1, _NOT_NEGATIVE),
          ('Ascend', 'PyNative', 'unbatched', 'forward', 1, _NOT_NEGATIVE),
          ('Ascend', 'PyNative', 'unbatched', 'both', 2, _IGNORED),
          ('Ascend', 'PyNative', '(8, 8, 768)', 'both', 1, _IGNORED),
          ('Ascend', 'PyNative', 'one anchor', 'forward', 3, f'{_ANCHOR}; {_NOT_NEGATIVE}'),
          ('Ascend', 'PyNative', 'one anchor', 'both', 2, f'{_ANCHOR}; {_IGNORED}'),
          ('Ascend', 'graph O0', '(8, 8, 768)', 'forward', 1, _NOT_NEGATIVE),
          ('Ascend', 'graph O0', 'unbatched', 'forward', 1, _NOT_NEGATIVE),
          ('Ascend', 'graph O0', 'one anchor', 'forward', 2, f'{_ANCHOR}; {_NOT_NEGATIVE}'),
          ('GPU', 'graph', '(8, 8, 768)', 'forward', 2, _NOT_NEGATIVE),
          ('GPU', 'graph', 'unbatched', 'forward', 2, _NOT_NEGATIVE),
          ('GPU', 'graph', 'one anchor', 'forward', 3, f'{_ANCHOR}; {_NOT_NEGATIVE}'))),
    Allowance('launches', 2, _IGNORED, 'GPU', 'PyNative', PAIRS, 'float64', what='both'),
    *(Allowance(field, more, {'dynamic shape': _SHAPES, 'dynamic rank': _RANKS}[layout], device, layout=layout)
      for device, layout, field, more in (
          ('Ascend', 'dynamic shape', 'launches', 3), ('Ascend', 'dynamic rank', 'launches', 7),
          ('Ascend', 'dynamic rank', 'old_style', 7), ('Ascend', 'dynamic rank', 'to_host', 4),
          ('GPU', 'dynamic shape', 'launches', 4), ('GPU', 'dynamic shape', 'to_host', 1),
          ('GPU', 'dynamic rank', 'launches', 4), ('GPU', 'dynamic rank', 'to_host', 3))),
    *(Allowance('large', 2, _HALVES, 'Ascend', mode, PAIRS, dtype, what='forward')
      for mode in ('PyNative', 'graph O0') for dtype in ('float16', 'bfloat16')),
    *(Allowance('large', 6, f'{_HALVES}; {_IGNORED}', 'Ascend', mode, PAIRS, dtype, what=what)
      for mode, what in (('PyNative', 'both'), ('graph O0', 'gradients'), ('graph O0', 'both'))
      for dtype in ('float16', 'bfloat16')),
    *(Allowance('large', 2, _IGNORED, 'Ascend', mode, PAIRS, dtype, what=what)
      for mode, what in (('PyNative', 'both'), ('graph O0', 'gradients'), ('graph O0', 'both'),
                         ('graph O1', 'gradients'), ('graph O1', 'both'))
      for dtype in ('float32', 'float64') if (mode, dtype) != ('graph O1', 'float32')),
    *(Allowance('unfused', 1, 'the last cast has nothing to fuse with', 'Ascend', 'graph O1', PAIRS, dtype, reduction,
                what)
      for dtype in ('float16', 'bfloat16') for reduction in ('none', 'sum') for what in ('forward', 'both')),
    *(Allowance('to_host', results, 'MindSpore cannot cast to bfloat16 on GPU, and casts each result on the host',
              'GPU', 'graph', dtype='bfloat16', what=what)
      for what, results in (('forward', 1), ('gradients', 2), ('both', 3))),
)

CASES = [case for device in DEVICES for case in cases(device) if case['loss'] == PLAIN]


def _id(case):
    return '-'.join(case[name] for name in CASE if name != 'loss')


def _told():
    with DATA.open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def counted():
    """The rows of all cases by the values of `CASE`; those of plain are counted anew."""
    # What the others launch depends only on the version of MindSpore, and this runs with one (`build.TRIED`).
    rows = [*_told(), *count_all(PLAIN)]
    return {tuple(row[name] for name in CASE): row for row in rows}


def _row(counted, case, loss=PLAIN):
    return counted[tuple({**case, 'loss': loss}[name] for name in CASE)]


def _best(counted, case):
    """Returns the fewest operators that another loss launches; None if MindSpore rejects the case in all of them."""
    others = ['mindspore.nn', 'ops', 'mint'] if case['layout'] == PAIRS else ['by hand']
    if case['device'] == 'Ascend' and case['dtype'] == 'float64':
        # Ascend's cores do not compute float64, so mint's fewer launches do not matter.
        others = ['mindspore.nn']
    rows = [_row(counted, case, other) for other in others]
    return min((int(row['launches']) for row in rows if not row['refused']), default=None)


def _excess(counted, case):
    """Returns by how much plain exceeds each limit; empty if MindSpore rejects the case in every loss."""
    row, best = _row(counted, case), _best(counted, case)
    if row['refused']:
        assert best is None, row['refused']
        return {}
    limits = {'old_style': 0, 'to_host': 0}
    if best is not None:
        limits['launches'] = best
    if case['layout'] == PAIRS:
        limits['large'] = LARGE[case['what']]
        if case['mode'] == 'graph O1' and case['dtype'] != 'float64':
            limits['unfused'] = 0
    return {field: int(row[field]) - limit for field, limit in limits.items() if int(row[field]) > limit}


@pytest.mark.parametrize('case', CASES, ids=_id)
def test_plain_launches_no_more_than_the_best(case, counted):
    allowed = {field: sum(each.more for each in ALLOWANCES if each.field == field and each.holds(case))
               for field in FIELDS}
    too_much = {field: more for field, more in _excess(counted, case).items() if more > allowed[field]}
    assert not too_much, f'{too_much} over the limit in {_row(counted, case)}'


@pytest.mark.parametrize('allowance', ALLOWANCES, ids=str)
def test_each_allowance_is_needed(allowance, counted):
    excess = [_excess(counted, case).get(allowance.field, 0) for case in CASES if allowance.holds(case)]
    assert allowance.more == max(excess)


@pytest.mark.parametrize('refusal', REFUSALS, ids=str)
def test_what_is_refused_to_plain_is_refused_to_mindspore_too(refusal, counted):
    rows = [row for row in counted.values() if row['loss'] != 'by hand' and
            all(row[name] == getattr(refusal, name) for name in ('device', 'mode', 'dtype'))]
    assert rows
    assert all(row['refused'] for row in rows)


def test_the_docs_say_what_is_counted(counted):
    assert _told() == list(counted.values()), (
        'run python -m tests.dispatch --loss plain --csv docs/data/launches.csv, then python docs/tables.py')
