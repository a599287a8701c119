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
"""With an unusable library, plain takes over and says why; read-only folders do not matter."""
import os

import pytest

from ms_cosine_loss.implementations import native
from tests.by_hand.failure_modes.damage import DAMAGES
from tests.processes import copied_package, run


def _answer(folder, **circumstances):
    return run(['-m', 'tests.by_hand.failure_modes.answer'], ahead=[folder], **circumstances)


@pytest.mark.parametrize('damage', DAMAGES)
def test_unfit_library(tmp_path, outcome, damage):
    """The library is unusable."""
    inflict, reason = DAMAGES[damage]
    inflict(copied_package(tmp_path) / native.LIBRARY.name)
    said = _answer(tmp_path, cwd=tmp_path, restricted=True)
    outcome(said)
    assert said.startswith(f'right, with plain, because {reason}')


def test_instruction_set_unknown_here(tmp_path, outcome):
    """MS_COSINE_LOSS_INSTRUCTION_SET names an unknown instruction set."""
    said = _answer(tmp_path, cwd=tmp_path, MS_COSINE_LOSS_INSTRUCTION_SET='avx1024')
    outcome(said)
    assert said == ("fails with RuntimeError: For 'CosineEmbeddingLoss', the environment variable "
                    "'MS_COSINE_LOSS_INSTRUCTION_SET' must be 'baseline', or 'avx2' or 'avx512' where the processor "
                    "has it, but got 'avx1024'.")


def test_white_list_elsewhere(tmp_path, outcome):
    """MS_CUSTOM_AOT_WHITE_LIST names another folder before the package is imported."""
    copied_package(tmp_path)
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    said = _answer(tmp_path, cwd=tmp_path, MS_CUSTOM_AOT_WHITE_LIST=str(elsewhere))
    outcome(said)
    assert said.startswith('right, with plain, because MindSpore refuses the kernel (')
    assert 'legal path' in said


def test_read_only_folder(tmp_path, outcome):
    """The package folder is read-only, so no bytecode can be written."""
    package = copied_package(tmp_path)
    for path in (*package.iterdir(), package, tmp_path):
        path.chmod(path.stat().st_mode & ~0o222)
    before = sorted(path.name for path in package.iterdir())
    try:
        said = _answer(tmp_path, cwd='/', restricted=True)
    finally:
        tmp_path.chmod(0o755)
        package.chmod(0o755)
    outcome(said)
    assert said.startswith('right, with native')
    assert sorted(path.name for path in package.iterdir()) == before


def test_working_folder_not_writable(tmp_path, outcome):
    """The working directory is not writable."""
    folder = tmp_path / 'closed'
    folder.mkdir(mode=0o555)
    said = _answer(tmp_path, cwd=folder, restricted=True)
    outcome(said)
    assert said.startswith('right, with native')
    assert os.listdir(folder) == []
