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
"""With a missing or damaged library, plain takes over and the reason is reported."""
import pytest

from ms_cosine_loss.implementations import native
from tests.by_hand.failure_modes.damage import DAMAGES
from tests.processes import copied_package, run

_ANSWER = ['-m', 'tests.by_hand.failure_modes.answer']


# tests/by_hand/failure_modes tries all of them, and read-only folders.
@pytest.mark.parametrize('damage', ['missing', 'truncated', 'without its last byte', 'empty', 'for another processor'])
def test_without_a_library_that_loads(tmp_path, damage):
    inflict, reason = DAMAGES[damage]
    inflict(copied_package(tmp_path) / native.LIBRARY.name)
    assert run(_ANSWER, tmp_path, ahead=[tmp_path]).startswith(f'right, with plain, because {reason}')


def test_a_source_folder_without_a_library_says_so(tmp_path):
    package = copied_package(tmp_path)
    (package / native.LIBRARY.name).unlink(missing_ok=True)
    (tmp_path / 'setup.py').touch()
    # answer.py removes the path of the package's folder.
    assert run(_ANSWER, tmp_path, ahead=[tmp_path]) == (
        'right, with plain, because the source folder ms_cosine_loss was imported, in which no kernel was built; run '
        f"from another folder to import what is installed, or run 'pip install -e .' in {tmp_path}")
    # The record of a failed build takes precedence.
    (package / native.BUILD_FAILURE.name).write_text('no compiler', 'utf-8')
    assert run(_ANSWER, tmp_path, ahead=[tmp_path]).endswith(
        'because the kernel was not built when the package was installed (no compiler)')


@pytest.mark.skipif(not native.LIBRARY.exists(), reason='the kernel was not built')
def test_stays_while_its_threads_may_sleep_in_it(tmp_path):
    # MindSpore opens and closes the library of a loaded graph; without the package, nothing else keeps it open.
    code = ('import _ctypes\n'
            f'_ctypes.dlclose(_ctypes.dlopen({str(native.LIBRARY)!r}, 2))\n'
            f'print({native.LIBRARY.name!r} in open("/proc/self/maps").read())')
    assert run(['-c', code], tmp_path) == 'True'
