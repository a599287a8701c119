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
"""Interrupted and concurrent installs: what they leave loads, or is not mistaken for a library."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import venv

import pytest

from ms_cosine_loss.implementations import native
from tests.processes import ROOT, end, run, start

# A wrapper of the compiler. It does not optimize, to save minutes, and at the link step it can leave part of a library,
# as a killed linker does.
_COMPILER = """#!/bin/sh
step=compile
for argument in "$@"; do
  [ "$last" = -o ] && output=$argument
  [ "$argument" = -shared ] && step=link
  last=$argument
done
case "$step $output" in
*"$MS_FAULT_AT"*)
  if [ "$step" = link ] && [ -n "$MS_FAULT_AT" ]; then
    c++ "$@" -O0 && truncate -s 100000 "$output"
  fi
  if [ -n "$MS_FAULT_AT" ]; then touch "$MS_FAULT_MARK"; sleep 600; fi
esac
exec c++ "$@" -O0
"""
_INSTALL = [sys.executable, '-m', 'pip', '--python', 'PYTHON', 'install', '-q', '--no-deps', '--no-build-isolation',
            '--no-cache-dir', '--disable-pip-version-check', '.']
_PATIENCE = 400


@pytest.fixture
def checkout(tmp_path):
    """A copy of what an install needs, without a library, and the wrapper of the compiler; returns the copy's path."""
    folder = tmp_path / 'checkout'
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(
        '.*', '*.so', '*.egg-info', 'build', 'dist', 'docs', 'tests', 'benchmarks', 'examples', '__pycache__',
        native.BUILD_FAILURE.name))
    compiler = tmp_path / 'compiler'
    compiler.write_text(_COMPILER, 'utf-8')
    compiler.chmod(0o755)
    return folder


def _environment(folder):
    """Creates an environment that finds the packages installed here but no checkout of ours; returns its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    site, = folder.glob('lib/python*/site-packages')
    # Not added as a site folder, so that its own .pth files, such as those of editable installs, are ignored.
    (site / 'here.pth').write_text(sysconfig.get_path('purelib') + '\n', 'utf-8')
    return folder / 'bin' / 'python'


def _start(command, checkout, **environment):
    compiler = str(checkout.with_name('compiler'))
    # Without this checkout on the path, whose metadata pip would take for those of the installed package.
    return start(command, checkout, PYTHONPATH='', **{'CC': compiler, 'CXX': compiler, 'MS_FAULT_AT': '',
                                                      'MS_COSINE_LOSS_REQUIRE_NATIVE': '1', **environment})


def _install(python):
    return [str(python) if part == 'PYTHON' else part for part in _INSTALL]


def _answer(python, cwd):
    """Returns the last line of answer.py's output with the package installed there."""
    finished = subprocess.run([str(python), str(pathlib.Path(__file__).with_name('answer.py'))], cwd=cwd, text=True,
                              capture_output=True, check=False, timeout=180,
                              env={name: value for name, value in os.environ.items() if name != 'PYTHONPATH'})
    return (finished.stdout.strip() or finished.stderr.strip()).splitlines()[-1]


def _way(what, checkout, folder):
    """Returns the command that builds the checkout in place or installs it, and a function that checks the result."""
    if what == 'build_ext':
        return ([sys.executable, 'setup.py', '-q', 'build_ext', '--inplace'],
                lambda: run(['-m', 'tests.by_hand.failure_modes.answer'], folder, ahead=[checkout]))
    python = _environment(folder / 'environment')
    return _install(python), lambda: _answer(python, folder)


@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGKILL], ids=['SIGINT', 'SIGKILL'])
@pytest.mark.parametrize('moment', ['compile', 'link'])
@pytest.mark.parametrize('what', ['build_ext', 'pip install'])
def test_interrupted_install(tmp_path, outcome, checkout, what, moment, how):
    """An install is interrupted, then retried."""
    command, answer = _way(what, checkout, tmp_path)
    mark = tmp_path / 'mark'
    at = 'link' if moment == 'link' else 'avx512' if os.uname().machine == 'x86_64' else 'arithmetic'
    process = _start(command, checkout, MS_FAULT_AT=at, MS_FAULT_MARK=str(mark))
    give_up = time.monotonic() + _PATIENCE
    while not mark.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up, end(process)
        time.sleep(0.05)
    end(process, how)
    assert process.returncode != 0
    left = answer()
    again = _start(command, checkout)
    assert again.wait(_PATIENCE) == 0, end(again)
    repeated = answer()
    outcome(f'after the interruption: {left.replace(str(checkout), "the checkout")}; after the retry: {repeated}')
    assert left.startswith('right, with plain' if what == 'build_ext' else 'ModuleNotFoundError')
    assert repeated.startswith('right, with native')


@pytest.mark.parametrize('what', ['build_ext', 'pip install'])
def test_failing_build_where_there_is_a_library(tmp_path, outcome, checkout, what):
    """Rebuilding a kernel fails."""
    command, answer = _way(what, checkout, tmp_path)
    built = _start(command, checkout)
    assert built.wait(_PATIENCE) == 0, end(built)
    before = answer()
    failing = _start(command, checkout, CC='/bin/false', CXX='/bin/false', MS_COSINE_LOSS_REQUIRE_NATIVE='')
    assert failing.wait(_PATIENCE) == 0, end(failing)
    after = answer()
    # Without the compiler's command, which contains paths of this machine.
    outcome(f'before: {before}; after the failure: {after.split(" (")[0]}')
    assert before.startswith('right, with native')
    assert after.startswith('right, with plain, because the kernel was not built when the package was installed (')
    assert '/bin/false' in after


@pytest.mark.parametrize('environments', [1, 2], ids=['one environment', 'two environments'])
def test_two_installs_at_once(tmp_path, outcome, checkout, environments):
    """Two processes install the same checkout at once."""
    pythons = [_environment(tmp_path / f'environment{index}') for index in range(environments)]
    both = [_start(_install(pythons[index % environments]), checkout) for index in range(2)]
    ends = []
    for process in both:
        _, errors = process.communicate(timeout=_PATIENCE)
        # pip reports that a process failed before that process's own error.
        reasons = [line.strip() for line in errors.splitlines() if 'rror:' in line]
        ends.append('fails: ' + reasons[-1] if process.returncode else 'succeeds')
    answers = [_answer(python, tmp_path) for python in pythons]
    outcome(f'the first {ends[0]}, the second {ends[1]}; then {"; ".join(answers)}')
    assert 'succeeds' in ends
    assert all(each.startswith('right, with native') for each, status in zip(answers, ends) if status == 'succeeds')
