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
"""Plants faults in copies of the checkout and counts how many the tests find.

    python -m tests.by_hand.mutation                 # the package, then the kernel
    python -m tests.by_hand.mutation --part kernel --sample 100 --seed 1
    python -m tests.by_hand.mutation --minutes 4     # part of it; repeat the command to continue

The faults are those of planted.py and a sample of --sample generated ones in each part. Results are kept in --results
and not run again; delete the file after changing the package, the kernel or the tests.
"""
import argparse
import collections
import csv
import functools
import os
import pathlib
import random
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest.mock

from tests.by_hand.mutation import planted
from tests.by_hand.mutation.equivalent import EQUIVALENT
from tests.by_hand.mutation.generated import Mutant, of_kernel, of_python

HERE = pathlib.Path(__file__).parents[3]
WORKERS = 2
PACKAGE = tuple(sorted(str(path.relative_to(HERE / 'ms_cosine_loss')) for path in HERE.glob('ms_cosine_loss/**/*.py')
                       if path.name not in ('__main__.py', '_report.py')))
KERNEL = tuple(sorted(path.name for path in HERE.glob('kernel/*') if path.suffix in ('.cc', '.h')))
FIELDS = ('part', 'mutant', 'outcome', 'killer', 'seconds')
UNCHANGED = 'nothing'

# The tests of each file, cheapest first.
ARITHMETIC = [
    ['-k', 'pynative and plain', 'tests/st/test_value.py::test_reductions', 'tests/st/test_gradient.py::test_layouts',
     'tests/st/test_value.py::test_zero_rows_have_cosine_zero', 'tests/st/test_value.py::test_empty_batch',
     'tests/st/test_gradient.py::test_hinge_is_open_where_cosine_is_exactly_the_margin'],
    ['-k', 'pynative and plain', 'tests/st/test_value.py', 'tests/st/test_gradient.py', 'tests/st/test_accuracy.py'],
    ['-k', 'graph and plain', 'tests/st/test_value.py', 'tests/st/test_gradient.py', 'tests/st/test_accuracy.py'],
    ['-k', 'plain', 'tests/st/test_dynamic_shape.py', 'tests/st/test_second_order.py', 'tests/st/test_properties.py']]
ON_KERNEL = [
    ['-k', 'pynative and not plain', 'tests/st/test_value.py::test_reductions',
     'tests/st/test_value.py::test_every_labels_dtype_and_other_labels_cost_nothing',
     'tests/st/test_gradient.py::test_layouts', 'tests/st/test_native.py::test_float64_far_from_one',
     'tests/st/test_native.py::test_the_gradient_of_halves_is_rounded_to_nearest_in_whole_rows_and_their_rest'],
    ['-k', 'not plain', 'tests/st/test_native.py', 'tests/st/test_accuracy.py', 'tests/ut/test_kernel.py'],
    ['-k', 'not plain', 'tests/st/test_value.py', 'tests/st/test_gradient.py', 'tests/st/test_hinge.py',
     'tests/st/test_second_order.py']]
DYNAMIC = ['-k', 'not plain', 'tests/st/test_dynamic_native.py', 'tests/st/test_dynamic_shape.py']
STAGES = {
    '_checks.py': [['tests/ut/test_checks.py'], ['tests/st/test_dynamic_shape.py', 'tests/st/test_wrong_inputs.py']],
    '_calls.py': [['tests/ut/test_calls.py'], ['tests/st/test_wrong_inputs.py']],
    '_loss.py': [['tests/st/test_value.py::test_function_equals_cell', 'tests/st/test_value.py::test_defaults',
                  'tests/ut/test_package.py'], ['tests/st/test_cell.py', 'tests/st/test_wrong_inputs.py']],
    'native.py': [['-k', 'pynative and native', 'tests/st/test_value.py::test_reductions',
                    'tests/st/test_second_order.py::test_products'],
                   ['tests/ut/test_select.py', 'tests/ut/test_library.py', 'tests/st/test_native.py'],
                   ['-k', 'not plain', 'tests/st/test_gradient.py', 'tests/st/test_second_order.py'], DYNAMIC],
    'plain.py': ARITHMETIC,
    'infer.cc': [DYNAMIC],
    'shapes.cc': [*ON_KERNEL[:1], DYNAMIC],
    '_graphs.py': ARITHMETIC,
    '_select.py': [['tests/ut/test_select.py'], ['tests/st/test_native.py', 'tests/st/test_report.py']],
    'second_order.cc': [['-k', 'pynative and not plain', 'tests/st/test_second_order.py'],
                        ['-k', 'pynative and not plain and second', 'tests/st/test_hinge.py'], *ON_KERNEL[1:]],
    **dict.fromkeys(('hinge.cc', 'hinge.h'), [['-k', 'pynative and not plain', 'tests/st/test_hinge.py'],
                                              ['tests/by_hand/fuzz/test_hinge.py'], *ON_KERNEL[1:]]),
    'thread_pool.cc': [['tests/ut/test_kernel.py', 'tests/st/test_native.py::test_large_broadcasts'], *ON_KERNEL[1:]],
    'interface.cc': [*ON_KERNEL, ['tests/ut/test_select.py', '-k', 'instruction_set']],
    **dict.fromkeys(('all_pairs.cc', 'tiles.h'), [['tests/st/test_all_pairs_native.py'], *ON_KERNEL]),
    **dict.fromkeys(('broadcast.cc', 'gather.h'),
                    [['-k', 'pynative and not plain and (broadcast or layouts)', 'tests/st/test_gradient.py'],
                     *ON_KERNEL[1:]]),
}
# With --rest, for mutants that survive those.
REST = [[str(path.relative_to(HERE))] for path in sorted(HERE.glob('tests/[us]t/test_*.py'))] + [['ms_cosine_loss']]
# What sanitize.sh runs for each instruction set: the driver, and the fuzzer's corpus, on an interface that splits even
# small work among threads.
DRIVER, CASES = 'kernel/test/driver.cc', '200'
REPLAY, CORPUS = 'kernel/test/fuzz.cc', 'kernel/test/corpus'


def stages_of(file):
    """Returns the tests of a file of the checkout, in stages."""
    return STAGES.get(file.partition('/')[2], ON_KERNEL if file.startswith('kernel/') else ARITHMETIC)


def _planted(folder, table):
    for name, old, new, breaks in table:
        file = f'{folder}/{name}'
        source = (HERE / file).read_bytes()
        if source.count(old.encode()) != 1:
            raise SystemExit(f'{file} does not contain this text exactly once: {old}')
        start = source.index(old.encode())
        yield Mutant(file, source, start, start + len(old.encode()), new, breaks)


def mutants_of(part, seed, sample):
    """Returns the planted mutants of a part, and a sample of the generated ones."""
    folder, names, table, made = (('ms_cosine_loss', PACKAGE, planted.PACKAGE, of_python) if part == 'package' else
                                  ('kernel', KERNEL, planted.KERNEL, of_kernel))
    files = [f'{folder}/{name}' for name in names]
    every = [mutant for file in files for mutant in made(file, (HERE / file).read_bytes())]
    unknown = {key for key in EQUIVALENT if key[0] in files} - {(each.file, *each.change()) for each in every}
    if unknown:
        raise SystemExit(f'equivalent.py lists mutants that do not exist: {unknown}')
    random.Random(seed).shuffle(every)
    return [*_planted(folder, table), *(every if sample is None else every[:sample])]


class Kernel:
    """The objects of the unchanged kernel, and methods to rebuild them."""

    def __init__(self, folder):
        # Builds as setup.py does, but at -O1, because it is built often and runs briefly.
        with unittest.mock.patch('setuptools.setup'):
            self.setup = runpy.run_path(str(HERE / 'setup.py'))
        self.flags = ['-O1' if flag == '-O3' else flag for flag in self.setup['FLAGS']]
        self.sets = list(reversed(self.setup['INSTRUCTION_SETS']))
        self.sources = {pathlib.Path(source).stem: source for source in self.setup['KERNEL']}
        self.sources.update(dict.fromkeys(self.sets, self.setup['ARITHMETIC']), driver=DRIVER, replay=REPLAY)
        self.objects = {name: self.compile(HERE, name, folder) for name in self.sources}
        self.small_interface = self.compile_small_interface(HERE, folder)

    def compile(self, checkout, name, folder):
        """Compiles an object; returns its path, or None if that fails."""
        target = folder / f'{name}.o'
        # Relative paths, so that equal code makes equal objects.
        command = ['g++', *self.flags, f'-DMS_COSINE_LOSS_INSTRUCTION_SET={name}', '-DFUZZ_REPLAY',
                   *self.setup['INSTRUCTION_SETS'].get(name, []), '-c', self.sources[name], '-o', str(target)]
        finished = subprocess.run(command, check=False, cwd=checkout, capture_output=True)
        return target if finished.returncode == 0 else None

    def compile_small_interface(self, checkout, folder):
        """Compiles the interface for the replay; returns its object, or None if the fault is in a line it replaces."""
        finished = subprocess.run(['bash', '-c', 'source test/build.sh && build_small_interface "$0" g++ -O1 -w',
                                   str(folder)], check=False, cwd=checkout / 'kernel')
        return None if finished.returncode else folder / 'interface_of_test.o'

    def includes(self, source, header):
        """Returns whether a source includes a header, directly or not."""
        text = (HERE / source).read_text('utf-8')
        names = [pathlib.Path(source).parent / name for name in re.findall(r'#include "(.+)"', text)]
        return any(name.name == header or self.includes(name, header) for name in names)

    def rebuilt(self, checkout, file, folder):
        """Rebuilds and returns the objects that `file` changes, by name; None if one does not compile.

        Skips an instruction set if a better one has changed, because one is enough.
        """
        changed = {}
        for name, source in self.sources.items():
            if source != file and not self.includes(source, pathlib.Path(file).name):
                continue
            if name in self.sets and any(each in changed for each in self.sets[:self.sets.index(name)]):
                continue
            built = self.compile(checkout, name, folder)
            if built is None:
                return None
            if built.read_bytes() != self.objects[name].read_bytes():
                changed[name] = built
        return changed

    def link(self, checkout, changed, folder):
        """Links the library into the checkout; returns the replay and the driver."""
        objects = {**self.objects, **changed}
        driver, replay = objects.pop('driver'), objects.pop('replay')
        small = self.compile_small_interface(checkout, folder) if 'interface' in changed else None
        replayed = {**objects, 'interface': small or self.small_interface}
        library = checkout / 'ms_cosine_loss' / self.setup['LIBRARY']
        programs = folder / 'replay', folder / 'driver'
        for target, parts in ((library, ['-shared', *objects.values()]), (programs[1], [driver, *objects.values()]),
                              (programs[0], [replay, *replayed.values()])):
            subprocess.run(['g++', *map(str, parts), '-o', str(target), *self.setup['LINK_FLAGS']], check=True)
        return programs


class Worker:
    """A copy of the checkout in which mutants are tried, one at a time."""

    def __init__(self, folder, kernel, limits):
        self.checkout = folder / 'checkout'
        shutil.copytree(HERE, self.checkout, ignore=shutil.ignore_patterns(
            '.git', '.nox', '.hypothesis', '.venv', '__pycache__', 'build', 'dist'))
        self.folder, self.kernel, self.limits = folder, kernel, limits

    def run(self, command, limit, **environment):
        """Returns whether a command succeeds in time, and the first test that it reports as failed."""
        # No bytecode: its timestamps have a resolution of a second, and mutants follow faster.
        process = subprocess.Popen(command, cwd=self.checkout, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True, env={
                                       **os.environ, 'PYTHONPATH': str(self.checkout), 'PYTHONDONTWRITEBYTECODE': '1',
                                       **environment})
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return False, 'timeout'
        failed = re.findall(r'^(?:FAILED|ERROR) (\S+)', output, re.M)
        return process.returncode == 0, failed[0] if failed else f'exit {process.returncode}: {output[-200:]}'

    def stage(self, arguments):
        """Returns whether the tests of a stage pass, and the first that fails."""
        command = [sys.executable, '-m', 'pytest', '-x', '-q', '-p', 'no:cacheprovider', '--cases', 'all', *arguments]
        return self.run(command, self.limits.get(' '.join(arguments), 900))

    def judge(self, program, instruction_set):
        """Returns whether the driver or the replay passes, and how it fails."""
        arguments = [CASES] if program.name == 'driver' else sorted(map(str, (HERE / CORPUS).iterdir()))
        passed, failed = self.run([str(program), *arguments], 120, MS_COSINE_LOSS_INSTRUCTION_SET=instruction_set)
        return passed, f'{program.name}, {instruction_set}: {failed}'

    def killer(self, stages, changed):
        """Returns what fails in the checkout in its current state; None if nothing does."""
        checks = [functools.partial(self.stage, arguments) for arguments in stages]
        if changed is not None:
            programs = self.kernel.link(self.checkout, changed, self.folder)
            sets = [each for each in self.kernel.sets if each in changed] or self.kernel.sets[:1]
            judges = [functools.partial(self.judge, program, each) for program in programs for each in sets]
            # Run them after the first tests, because most others take longer. Tests run only on the best instruction
            # set.
            checks = [*checks[:1], *judges, *checks[1:]] if set(changed) - set(self.kernel.sets[1:]) else judges
        for check in checks:
            passed, failed = check()
            if not passed:
                return failed
        return None

    def outcome(self, mutant, stages):
        """Tries a mutant; returns its outcome and its killer."""
        if (mutant.file, *mutant.change()) in EQUIVALENT:
            return 'equivalent', EQUIVALENT[(mutant.file, *mutant.change())]
        target = self.checkout / mutant.file
        target.write_bytes(mutant.text())
        try:
            changed = None
            if mutant.file.startswith('kernel/'):
                changed = self.kernel.rebuilt(self.checkout, mutant.file, self.folder)
                if changed is None:
                    return 'does not compile', ''
                if not changed:
                    return 'same code', ''
            killer = self.killer(stages, changed)
            return ('survived', '') if killer is None else ('killed', killer)
        finally:
            target.write_bytes(mutant.source)


class Results:
    """The results so far, kept in a file."""

    def __init__(self, path):
        self.path, self.lock = path, threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open('a+', newline='', encoding='utf-8') as file:
            file.seek(0)
            self.rows = list(csv.DictReader(file))
            if not self.rows:
                csv.writer(file).writerow(FIELDS)
        self.done = {(row['part'], row['mutant']): row for row in self.rows}

    def outcome(self, part, mutant):
        """Returns the outcome of a mutant, '' if it has none yet."""
        return self.done.get((part, mutant.name()), {'outcome': ''})['outcome']

    def add(self, *values):
        """Appends and prints a row."""
        with self.lock, self.path.open('a', newline='', encoding='utf-8') as file:
            csv.writer(file).writerow(values)
            row = dict(zip(FIELDS, map(str, values)))
            self.done[row['part'], row['mutant']] = row
            print(f"{row['outcome']:16} {row['seconds']:>5} s  {row['mutant']}  {row['killer'][:90]!r}", flush=True)


def _check_the_unchanged(part, stages, worker, results, stop):
    """Checks that every stage passes without a fault, and sets its time limit to a multiple of the time it takes."""
    for name, arguments in {' '.join(stage): stage for stage in stages}.items():
        key = f'{UNCHANGED}: {name}'
        if (part, key) not in results.done:
            if time.monotonic() > stop:
                return False
            started = time.monotonic()
            passed, failed = worker.stage(arguments)
            if not passed:
                raise SystemExit(f'the unchanged code fails: {failed}')
            results.add(part, key, 'passed', '', round(time.monotonic() - started))
        # A busy machine may take twice as long.
        worker.limits[name] = max(90, 4 * float(results.done[part, key]['seconds']))
    return True


def _run(part, mutants, is_rest, results, stop):
    if is_rest:
        todo = [mutant for mutant in mutants if results.outcome(part, mutant) == 'survived']
    else:
        todo = [mutant for mutant in mutants if not results.outcome(part, mutant)]
    if not todo:
        return
    stages = {mutant.file: REST if is_rest else stages_of(mutant.file) for mutant in todo}
    with tempfile.TemporaryDirectory() as scratch:
        folders = [pathlib.Path(scratch) / str(number) for number in range(WORKERS + 1)]
        for folder in folders:
            folder.mkdir()
        kernel = Kernel(folders[-1]) if part == 'kernel' else None
        limits = {}
        workers = [Worker(folder, kernel, limits) for folder in folders[:-1]]
        if kernel:
            programs = kernel.link(workers[0].checkout, {}, workers[0].folder)
            # Keep the instruction sets that this machine can run.
            kernel.sets = [each for each in kernel.sets
                           if all(workers[0].judge(program, each)[0] for program in programs)]
        if not _check_the_unchanged(part, sum(stages.values(), []), workers[0], results, stop):
            return
        waiting = collections.deque(todo)

        def work(worker):
            while waiting and time.monotonic() < stop:
                try:
                    mutant = waiting.popleft()
                except IndexError:
                    return
                started = time.monotonic()
                outcome, killer = worker.outcome(mutant, stages[mutant.file])
                if is_rest and outcome == 'survived':
                    outcome = 'survived all'
                results.add(part, mutant.name(), outcome, killer, round(time.monotonic() - started))

        threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _report(part, mutants, results):
    rows = [results.done[part, mutant.name()] for mutant in mutants if (part, mutant.name()) in results.done]
    counts = {outcome: sum(row['outcome'] == outcome for row in rows)
              for outcome in ('killed', 'survived', 'survived all', 'equivalent', 'same code', 'does not compile')}
    by_kernel = sum(row['killer'].startswith(('driver', 'replay')) for row in rows)
    told = counts['killed'] + counts['survived'] + counts['survived all']
    print(f"\n{part}: {', '.join(f'{count} {outcome}' for outcome, count in counts.items())}"
          f'{f", {by_kernel} by driver or corpus" if by_kernel else ""}; {len(mutants) - len(rows)} not run yet')
    print(f"{part}: {counts['killed']} of {told} killed, {100 * counts['killed'] / max(1, told):.1f} %")
    for row in rows:
        if row['outcome'].startswith('survived'):
            print(f"  {row['outcome']}: {row['mutant']}")
    return counts['killed'] >= 0.95 * told and len(rows) == len(mutants)


def main():
    """Runs the mutants; exits with 1 if fewer than 95 % are killed or some have not run."""
    parser = argparse.ArgumentParser(prog='python -m tests.by_hand.mutation', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--part', choices=['package', 'kernel'])
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--sample', type=int, default=100, help='number of generated mutants in each part; -1 for all')
    parser.add_argument('--minutes', type=float, default=float('inf'), help='start no mutant after this time')
    parser.add_argument('--rest', action='store_true', help='run the rest of the suite on the mutants that survived')
    parser.add_argument('--results', type=pathlib.Path, default=HERE / 'build' / 'mutation.csv')
    parser.add_argument('--list', action='store_true', help='list the mutants without running them')
    arguments = parser.parse_args()
    stop = time.monotonic() + 60 * arguments.minutes
    results = Results(arguments.results)
    is_enough = True
    for part in [arguments.part] if arguments.part else ['package', 'kernel']:
        mutants = mutants_of(part, arguments.seed, None if arguments.sample < 0 else arguments.sample)
        if arguments.list:
            print('\n'.join(mutant.name() for mutant in mutants))
            continue
        _run(part, mutants, arguments.rest, results, stop)
        is_enough &= _report(part, mutants, results)
    raise SystemExit(0 if is_enough else 1)


if __name__ == '__main__':
    main()
