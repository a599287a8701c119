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
"""Writes the tables of the README and the docs from the CSV files in docs/data, each between its two marks.

    python docs/tables.py [--check]

With --check it writes nothing, and fails if a table is not what its data say.
"""
import argparse
import csv
import math
import pathlib
import re
import sys
import textwrap

DOCS = pathlib.Path(__file__).resolve().parent
DATA = DOCS / 'data'


def _read(name):
    with (DATA / name).open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def _table(head, rows):
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in (head, ['---'] * len(head), *rows))


def _measured(*data):
    """By which commands the figures were measured, and on what; without a word, so that it fits both languages."""
    machines = {row['data']: row for row in _read('machines.csv')}
    commands = ', '.join(f"`{machines[name]['command']}`" for name in data)
    where = dict.fromkeys(machines[name]['machine'] for name in data)
    return f"\n\n{commands}: {'; '.join(where)}"


def _number(text):
    """A number in as few characters as say it: three digits, or a power of ten."""
    value = float(text)
    if 1e-3 <= abs(value) < 1e4 or value == 0:
        return f'{value:.3g}'
    return re.sub(r'e\+?(-?)0*', r'e\1', f'{value:.0e}')


def _by_case(mode):
    rows = [row for row in _read('speed.csv') if row['mode'] == mode]
    cases = list(dict.fromkeys((row['rows'], row['length'], row['dtype']) for row in rows))
    found = {(row['contestant'], row['rows'], row['length'], row['dtype']): row for row in rows}

    def cell(name, case):
        row = found.get((name, *case))
        if row is None:
            return '–'
        times = f"{_number(row['forward_median_ms'])} / {_number(row['both_median_ms'])}"
        return times + (f" / {_number(row['loss_error'])}" if row['loss_error'] else '')

    contestants = dict.fromkeys(row['contestant'] for row in rows)
    return _table([mode, *(f'({rows}, {length}) {dtype}' for rows, length, dtype in cases)],
                  [[name, *(cell(name, case) for case in cases)] for name in contestants])


def speed():
    """Milliseconds forward / forward and backward / the worst relative error of a similar pair's loss."""
    return '\n\n'.join(_by_case(mode) for mode in ('graph', 'pynative')) + _measured('speed graph', 'speed pynative')


def speed_in_full():
    """Every figure of the speed benchmark."""
    def times(row, what):
        return '{} ({}–{})'.format(*(_number(row[f'{what}_{which}_ms']) for which in ('median', 'lower', 'upper')))

    return _table(['mode', 'rows', 'length', 'dtype', '', 'forward, ms', 'forward + backward, ms', 'error of a loss',
                   'of a gradient'],
                  [[*(row[name] for name in ('mode', 'rows', 'length', 'dtype', 'contestant')), times(row, 'forward'),
                    times(row, 'both'), *(_number(row[name]) if row[name] else '' for name in
                                          ('loss_error', 'gradient_error'))] for row in _read('speed.csv')])


def error():
    """The worst error of a million pairs."""
    rows = _read('error.csv')
    contestants, dtypes = (list(dict.fromkeys(row[name] for row in rows)) for name in ('contestant', 'dtype'))
    found = {(row['dtype'], row['contestant']): row for row in rows}

    def cell(row):
        if not row['ulp_of_result']:
            return 'refused'
        return '{} / {} ({}, {})'.format(_number(row['ulp_of_result']), _number(row['ulp_at_one']), row['negative'],
                                         row['not_finite'])

    return _table(['', *contestants], [[dtype, *(cell(found[dtype, name]) for name in contestants)]
                                       for dtype in dtypes]) + _measured('error')


def memory():
    """MiB beyond inputs and outputs."""
    names = ('forward_first_mib', 'forward_later_mib', 'both_first_mib', 'both_later_mib')
    # Below a MiB is the noise of a process.
    return _table(['', 'forward: first call', 'later', 'forward + backward: first call', 'later'],
                  [[row['contestant'], *(f'{max(0, round(float(row[name])))}' for name in names)]
                   for row in _read('memory.csv')]) + _measured('memory')


def training():
    """Milliseconds of a training step."""
    rows = _read('training.csv')
    losses, modes = (list(dict.fromkeys(row[name] for row in rows)) for name in ('loss', 'mode'))
    found = {(row['mode'], row['loss']): f"{row['median_ms']} ({row['lower_ms']}–{row['upper_ms']})" for row in rows}
    return _table(['', *losses], [[mode, *(found[mode, loss] for loss in losses)]
                                  for mode in modes]) + _measured('training')


def versions():
    """Which MindSpore was tested on which Python, and with how many tests."""
    rows = _read('versions.csv')
    return _table(['MindSpore', 'Python', 'passed', 'failed', 'skipped (no torch)', 'seconds'],
                  [[row[name] for name in ('mindspore', 'python', 'passed', 'failed', 'skipped', 'seconds')]
                   for row in rows])


def _brief(outcome, reasons):
    """An outcome in a few words; a refusal points to its number in `reasons`."""
    off = re.match(r'wrong: AssertionError: ([\d.e+]+) times the error', outcome)
    if off:
        return f'wrong, {float(off[1]):.0e} times the error granted'
    if outcome == 'right' or outcome.startswith('wrong'):
        return outcome.split(':')[0]
    reason = outcome.split(': ', 1)[1].strip('- :').replace('`', '')
    return f'refused ({reasons.setdefault(reason, len(reasons) + 1)})'


def _both_modes(row, loss, reasons):
    graph, pynative = (_brief(row[f'{loss}, {mode}'], reasons) for mode in ('graph', 'pynative'))
    return graph if graph == pynative else f'graph: {graph}; PyNative: {pynative}'


def ways_in():
    """What came of each way to use a loss, then the reasons of what was refused."""
    losses, reasons = ('auto', 'native', 'plain', 'mindspore.nn'), {}
    table = _table(['', 'way', *losses],
                   [[row['topic'], row['way'], *(_both_modes(row, loss, reasons) for loss in losses)]
                    for row in _read('ways_in.csv')])
    return '\n'.join([table, '', 'Refused, in the words of what refused:', '',
                      *(f'{number}. {reason}' for reason, number in reasons.items())])


def _cases(cases):
    """The cases of a fault, told by what they combine where they are all its combinations."""
    columns = [list(dict.fromkeys(column)) for column in zip(*(case.split('-') for case in cases))]
    if math.prod(map(len, columns)) != len(cases):
        return ', '.join(cases)
    return '; '.join(' or '.join(column) for column in columns)


def faults():
    """What came of each fault; one row for the cases of a fault that ended alike."""
    ends = {}
    for row in _read('faults.csv'):
        fault, case = re.fullmatch(r'(.*?)(?: \(([^()]*)\))?', row['fault']).groups()
        ends.setdefault((fault, row['outcome']), []).append(case or '')
    return _table(['fault', 'case', 'what happened'],
                  [[fault, _cases(cases), textwrap.shorten(outcome, 420, placeholder=' …')]
                   for (fault, outcome), cases in ends.items()])


def _launches(row):
    """How many operators, those of the old style in brackets."""
    if row['refused']:
        return 'refused'
    return row['launches'] + (f" ({row['old_style']})" if row['old_style'] != '0' else '')


def _launches_by(head, losses, **wanted):
    rows = [row for row in _read('launches.csv') if row['reduction'] == 'mean' and
            all(test(row[name]) for name, test in wanted.items())]
    found = {(*(row[name] for name in head), row['loss'], row['what']): _launches(row) for row in rows}

    def cell(case, loss):
        both = [found[(*case, loss, what)] for what in ('forward', 'both')]
        return both[0] if both[0] == both[1] == 'refused' else ' / '.join(both)

    return _table([*head, *losses], [[*case, *(cell(case, loss) for loss in losses)]
                                     for case in dict.fromkeys(tuple(row[name] for name in head) for row in rows)])


def launches():
    """Operators launched forward / with value and gradients, for pairs of rows."""
    return _launches_by(('device', 'mode', 'dtype'), ('plain', 'mindspore.nn', 'mint'), layout='(64, 768)'.__eq__)


def launches_of_layouts():
    """The same for the layouts that MindSpore's losses lack."""
    return _launches_by(('device', 'mode', 'layout'), ('plain', 'by hand'), layout='(64, 768)'.__ne__)


TABLES = {make.__name__: make for make in (speed, speed_in_full, error, memory, training, versions, ways_in, faults,
                                           launches, launches_of_layouts)}
PAGES = (*DOCS.parent.glob('README*.md'), *DOCS.glob('*.md'))


def _filled(text):
    return re.sub(r'(<!-- table: (\w+) -->\n).*?(<!-- end of table: \2 -->)',
                  lambda found: found[1] + TABLES[found[2]]() + '\n' + found[3], text, flags=re.DOTALL)


def main():
    """Writes or checks them all."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--check', action='store_true')
    arguments = parser.parse_args()
    stale = []
    for page in PAGES:
        text = page.read_text('utf-8')
        filled = _filled(text)
        if filled != text:
            stale.append(page.name)
            if not arguments.check:
                page.write_text(filled, 'utf-8')
    if arguments.check and stale:
        sys.exit(f'not what docs/data says: {", ".join(stale)}')


if __name__ == '__main__':
    main()
