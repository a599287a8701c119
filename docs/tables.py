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
"""Writes the tables of the READMEs and the docs from the CSV files in docs/data, each between its two markers.

    python docs/tables.py [--check]

With --check it writes nothing and fails if a table does not match its data.
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


def _table(head, rows, texts=1):
    """A Markdown table: `texts` columns of text, then right-aligned numbers."""
    rules = ['---'] * texts + ['---:'] * (len(head) - texts)
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in (head, rules, *rows))


def _measured(*data):
    """The commands and machines of the figures, without prose, so that it fits both languages."""
    machines = {row['data']: row for row in _read('machines.csv')}
    commands = ', '.join(f"`{machines[name]['command']}`" for name in data)
    where = dict.fromkeys(machines[name]['machine'] for name in data)
    return f"\n\n{commands}: {'; '.join(where)}"


def _number(text):
    """A number with three significant digits, or with one and an exponent."""
    value = float(text)
    if 1e-3 <= abs(value) < 1e4 or value == 0:
        return f'{value:.3g}'
    return re.sub(r'e\+?(-?)0*', r'e\1', f'{value:.0e}')


NAMES = {'native': '**native**', 'torch': 'PyTorch'}
"""Names of contestants in the tables, where they differ from the data."""


def _figures(mode, what):
    """Returns the figures by contestant and case, then the contestants and the cases in the order of the data."""
    rows = [row for row in _read('speed.csv') if row['mode'] == mode and row[what]]
    figures = {(row['contestant'], (row['rows'], row['length'], row['dtype'])): _number(row[what]) for row in rows}
    return figures, *(list(dict.fromkeys(each)) for each in zip(*figures))


def _by_case(mode, what, head=''):
    """A table with a row for each contestant and a column for each case."""
    figures, contestants, cases = _figures(mode, what)
    return _table([head, *(f'{rows} × {length} {dtype}' for rows, length, dtype in cases)],
                  [[NAMES.get(name, name), *(figures.get((name, case), '–') for case in cases)]
                   for name in contestants])


def speed():
    """Milliseconds forward + backward for the README: a row for each case, a column for each contestant."""
    figures, _, _ = _figures('graph', 'both_median_ms')
    contestants = ('native', 'plain', 'mindspore.nn', 'torch', 'torch.compile', 'jax.jit')
    cases = (('16384', '768', 'float32'), ('16384', '768', 'float16'), ('16384', '768', 'bfloat16'),
             ('32', '128', 'float32'))
    return _table(['forward + backward, ms', *(NAMES.get(name, name) for name in contestants)],
                  [['{} × {} {}'.format(*case), *(figures.get((name, case), '–') for name in contestants)]
                   for case in cases])


def speed_forward():
    """Milliseconds forward in graph mode."""
    return _by_case('graph', 'forward_median_ms', head='forward, ms')


def speed_both():
    """Milliseconds forward + backward in graph mode."""
    return _by_case('graph', 'both_median_ms', head='forward + backward, ms') + _measured('speed graph')


def speed_pynative():
    """Milliseconds in PyNative."""
    return '\n\n'.join([_by_case('pynative', 'forward_median_ms', head='PyNative, forward, ms'),
                        _by_case('pynative', 'both_median_ms', head='PyNative, forward + backward, ms')
                        + _measured('speed pynative')])


def speed_error():
    """The worst relative error of a similar pair's loss."""
    return _by_case('graph', 'loss_error', head='relative error')


def speed_in_full():
    """Every figure of the speed benchmark."""
    def times(row, what):
        return '{} ({}–{})'.format(*(_number(row[f'{what}_{which}_ms']) for which in ('median', 'lower', 'upper')))

    return _table(['mode', 'rows', 'length', 'dtype', '', 'forward, ms', 'forward + backward, ms', 'loss error',
                   'gradient error'],
                  [[*(row[name] for name in ('mode', 'rows', 'length', 'dtype', 'contestant')), times(row, 'forward'),
                    times(row, 'both'), *(_number(row[name]) if row[name] else '' for name in
                                          ('loss_error', 'gradient_error'))] for row in _read('speed.csv')], texts=5)


def error():
    """The worst error over a million pairs, a row for each implementation and dtype."""
    rows = _read('error.csv')
    contestants = dict.fromkeys(row['contestant'] for row in rows)

    def cells(row):
        if not row['ulp_of_result']:
            return ['not supported', '', '', '']
        return [_number(row['ulp_of_result']), _number(row['ulp_at_one']), row['negative'], row['not_finite']]

    return _table(['', 'dtype', 'worst error, ulp of the loss', 'worst error, ulp of 1', 'negative losses',
                   'NaN or infinite'],
                  [[NAMES.get(name, name), row['dtype'], *cells(row)]
                   for name in contestants for row in rows if row['contestant'] == name],
                  texts=2) + _measured('error')


def memory():
    """MiB beyond inputs and outputs."""
    names = ('forward_first_mib', 'forward_later_mib', 'both_first_mib', 'both_later_mib')
    # Less than a MiB is noise.
    return _table(['', 'forward, first call', 'forward, later calls', 'forward + backward, first call',
                   'forward + backward, later calls'],
                  [[row['contestant'], *(f'{max(0, round(float(row[name])))}' for name in names)]
                   for row in _read('memory.csv')]) + _measured('memory')


def bandwidth():
    """How many times longer the kernel takes than the memory-bandwidth baseline."""
    rows = _read('bandwidth.csv')
    threads = list(dict.fromkeys(row['threads'] for row in rows))
    found = {(row['layout'], row['dtype'], row['threads']): row for row in rows}
    return _table(['layout', 'dtype', *(f'{what}, threads: {count}' for count in threads
                                        for what in ('forward', 'forward + backward'))],
                  [[*case, *(found[(*case, count)][ratio] for count in threads
                             for ratio in ('forward_ratio', 'both_ratio'))]
                   for case in sorted(dict.fromkeys((row['layout'], row['dtype']) for row in rows), reverse=True)],
                  texts=2) + _measured('bandwidth')


def dynamic():
    """Milliseconds of a call with known and with unknown shapes."""
    rows = _read('dynamic.csv')
    found = {(row['rows'], row['loss'], row['what']): row for row in rows}
    return _table(['pairs', '', *(f'{what}, {shapes} shapes, ms' for what in ('forward', 'forward + backward')
                                  for shapes in ('known', 'unknown'))],
                  [[pairs, NAMES.get(loss, loss), *(found[pairs, loss, what][name] for what in ('forward', 'both')
                                                    for name in ('static_ms', 'dynamic_ms'))]
                   for pairs, loss in dict.fromkeys((row['rows'], row['loss']) for row in rows)],
                  texts=2) + _measured('dynamic')


def training():
    """Milliseconds of a training step."""
    rows = _read('training.csv')
    losses, modes = (list(dict.fromkeys(row[name] for row in rows)) for name in ('loss', 'mode'))
    found = {(row['mode'], row['loss']): f"{row['median_ms']} ({row['lower_ms']}–{row['upper_ms']})" for row in rows}
    return _table(['', *losses], [[mode, *(found[mode, loss] for loss in losses)]
                                  for mode in modes]) + _measured('training')


def margin():
    """Accuracy and AUC of the digits example, by the margin of the training."""
    rows = _read('margin.csv')

    def cell(name, found):
        values = [float(row[name]) for row in found]
        return f'{sum(values) / len(values):.4f} ({min(values):.4f}–{max(values):.4f})'

    by_margin = {each: [row for row in rows if row['margin'] == each]
                 for each in dict.fromkeys(row['margin'] for row in rows)}
    return _table(['margin', 'accuracy', 'AUC'],
                  [[name, cell('accuracy', found), cell('auc', found)] for name, found in by_margin.items()]
                  ) + _measured('margin')


def all_pairs():
    """Milliseconds, errors and memory of all pairs of a batch, by margin."""
    figures = ('forward_median_ms', 'both_median_ms', 'loss_error', 'gradient_error', 'peak_mib')
    return _table(['N', 'margin', '', 'forward, ms', 'forward + backward, ms', 'loss error', 'gradient error',
                   'MiB'],
                  [[row['rows'], row['margin'], NAMES.get(row['contestant'], row['contestant']),
                    *(_number(row[name]) for name in figures)] for row in _read('all_pairs.csv')], texts=3
                  ) + _measured('all_pairs')


def versions():
    """The test results of each MindSpore on the Pythons tested."""
    rows = _read('versions.csv')
    runs = {(row['mindspore'], row['cases']): [] for row in rows}
    for row in rows:
        runs[row['mindspore'], row['cases']].append(row)
    return _table(['MindSpore', 'cases', 'Python', 'tests', 'failed'],
                  [[*run, ', '.join(row['python'] for row in found),
                    ' / '.join(dict.fromkeys(row['passed'] for row in found)),
                    str(sum(int(row['failed']) for row in found))] for run, found in runs.items()], texts=3)


def _brief(outcome, reasons):
    """An outcome in a few words; an error refers to its number in `reasons`."""
    off = re.match(r'wrong: AssertionError: ([\d.e+]+) times the tolerance', outcome)
    if off:
        return f'wrong, {float(off[1]):.0e} times the tolerance'
    if outcome == 'right' or outcome.startswith('wrong'):
        return outcome.split(':')[0]
    reason = outcome.split(': ', 1)[1].strip('- :').replace('`', '')
    return f'error ({reasons.setdefault(reason, len(reasons) + 1)})'


def _both_modes(row, loss, reasons):
    graph, pynative = (_brief(row[f'{loss}, {mode}'], reasons) for mode in ('graph', 'pynative'))
    return graph if graph == pynative else f'graph: {graph}; PyNative: {pynative}'


def compatibility():
    """The outcome of each use of a loss, then the messages of the errors."""
    losses, reasons = ('auto', 'native', 'plain', 'mindspore.nn'), {}
    rows = _read('compatibility.csv')
    parts = []
    for topic in dict.fromkeys(row['topic'] for row in rows):
        table = _table(['', *losses], [[row['case'], *(_both_modes(row, loss, reasons) for loss in losses)]
                                          for row in rows if row['topic'] == topic], texts=5)
        parts += [f'## {topic.capitalize()}', '', table, '']
    return '\n'.join([*parts, '## Errors', '', 'Messages of MindSpore and Python:', '',
                      *(f'{number}. {reason}'.replace('__', r'\_\_') for reason, number in reasons.items())])


def _cases(cases):
    """The cases of a fault, as 'a or b; c or d' where all combinations are present."""
    columns = [list(dict.fromkeys(column)) for column in zip(*(case.split('-') for case in cases))]
    if math.prod(map(len, columns)) != len(cases):
        return ', '.join(cases)
    return '; '.join(' or '.join(column) for column in columns)


def failure_modes():
    """The outcomes of each fault, with one line for all cases with the same outcome."""
    ends = {}
    for row in _read('failure_modes.csv'):
        fault, case = re.fullmatch(r'(.*?)(?: \(([^()]*)\))?', row['fault']).groups()
        ends.setdefault(fault, {}).setdefault(row['outcome'], []).append(case or '')
    lines = []
    for fault, outcomes in ends.items():
        lines += ['', f'**{fault}**', '']
        for outcome, cases in outcomes.items():
            case = f'*{_cases(cases)}*: ' if any(cases) else ''
            lines.append(f'* {case}{textwrap.shorten(outcome, 420, placeholder=" …")}')
    return '\n'.join(lines[1:])


def _launches(row):
    """The number of operators launched, with those of the old style in brackets."""
    if row['refused']:
        return 'not supported'
    return row['launches'] + (f" ({row['old_style']})" if row['old_style'] != '0' else '')


def _launches_by(head, losses, **wanted):
    rows = [row for row in _read('launches.csv') if row['reduction'] == 'mean' and
            all(test(row[name]) for name, test in wanted.items())]
    found = {(*(row[name] for name in head), row['loss'], row['what']): _launches(row) for row in rows}

    def cell(case, loss):
        both = [found[(*case, loss, what)] for what in ('forward', 'both')]
        return both[0] if both[0] == both[1] == 'not supported' else ' / '.join(both)

    return _table([*head, *losses], [[*case, *(cell(case, loss) for loss in losses)]
                                     for case in dict.fromkeys(tuple(row[name] for name in head) for row in rows)],
                  texts=len(head))


def launches():
    """Operators launched forward / with value and gradients, for pairs of rows."""
    return _launches_by(('device', 'mode', 'dtype'), ('plain', 'mindspore.nn', 'mint'), layout='(64, 768)'.__eq__)


def launches_of_layouts():
    """The same for the layouts that MindSpore's losses lack."""
    return _launches_by(('device', 'mode', 'layout'), ('plain', 'by hand'), layout='(64, 768)'.__ne__)


TABLES = {make.__name__: make for make in (speed, speed_forward, speed_both, speed_pynative, speed_error, speed_in_full,
                                           error, memory, bandwidth, dynamic, training, margin, all_pairs, versions,
                                           compatibility, failure_modes, launches, launches_of_layouts)}
PAGES = (*DOCS.parent.glob('README*.md'), *DOCS.glob('**/*.md'))


def _filled(text):
    return re.sub(r'(<!-- table: (\w+) -->\n).*?(<!-- end of table: \2 -->)',
                  lambda found: found[1] + TABLES[found[2]]() + '\n' + found[3], text, flags=re.DOTALL)


def main():
    """Writes or checks all tables."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--check', action='store_true', help='only check that the tables match the data')
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
        sys.exit(f'out of date with docs/data: {", ".join(stale)}')


if __name__ == '__main__':
    main()
