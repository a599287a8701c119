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
"""Subprocesses for tests whose failure may crash the process."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import ms_cosine_loss

ROOT = pathlib.Path(__file__).parents[1]

# Root ignores file permissions unless these two capabilities are dropped. Another user might not be able to reach an
# interpreter in root's home.
_WITHOUT_POWERS = ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] if os.geteuid() == 0 else []


def copied_package(folder):
    """Copies the installed package into `folder`; returns the path of the copy."""
    package = pathlib.Path(folder) / 'ms_cosine_loss'
    shutil.copytree(os.path.dirname(ms_cosine_loss.__file__), package, ignore=shutil.ignore_patterns('__pycache__'))
    return package


def _mind_interrupts():
    # A shell makes its background processes ignore SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(command, cwd, ahead=(), **environment):
    """Starts a process in a new session; it imports from `ahead`, then from this checkout."""
    path = os.pathsep.join(str(each) for each in (*ahead, ROOT))
    return subprocess.Popen([str(part) for part in command], cwd=cwd, text=True, start_new_session=True,
                            preexec_fn=_mind_interrupts, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env={**os.environ, 'PYTHONPATH': path, **environment})


def end(process, how=signal.SIGKILL):
    """Signals a process and all that it started; raises if it does not end."""
    os.killpg(process.pid, how)
    return process.communicate(timeout=60)


def run(arguments, cwd, patience=180, restricted=False, ahead=(), **environment):
    """Runs Python; returns the last line printed, or its end: 'hangs', 'killed by' a signal, 'fails with' an error.

    With `restricted`, file permissions apply to it even if this process runs as root.
    """
    prefix = _WITHOUT_POWERS if restricted else []
    process = start([*prefix, sys.executable, *arguments], cwd, ahead, **environment)
    try:
        printed, errors = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        end(process)
        return 'hangs'
    if process.returncode < 0:
        return f'killed by {signal.Signals(-process.returncode).name}'
    if process.returncode > 0:
        return f'fails with {(errors.strip() or printed.strip()).splitlines()[-1]}'
    return printed.strip().splitlines()[-1]


def first_line(error):
    """Returns an error as one line; MindSpore frames the titles of some of its messages in dashes."""
    lines = [line.strip('- ') for line in str(error).splitlines() if line.strip('- ')]
    titled = bool(lines) and lines[0].endswith(':')
    return ' '.join([f'{type(error).__name__}:', *lines[:2 if titled else 1]])
