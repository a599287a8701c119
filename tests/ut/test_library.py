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
"""A package whose compiled library is not what it should be: plain serves, and the reason is told."""
import os
import shutil
import subprocess
import sys

import pytest

import ms_cosine_loss
from ms_cosine_loss import _native


def _run(folder, code, **environment):
    return subprocess.run([sys.executable, '-c', code], check=False, text=True, capture_output=True, cwd=folder,
                          env={**os.environ, 'PYTHONPATH': str(folder), **environment})


def _copied_package(folder):
    package = folder / 'ms_cosine_loss'
    shutil.copytree(os.path.dirname(ms_cosine_loss.__file__), package, ignore=shutil.ignore_patterns('__pycache__'))
    return package


@pytest.mark.parametrize(('damage', 'reason'), [
    ('missing', 'the kernel was not built when the package was installed (no compiler)'),
    ('truncated', 'the kernel cannot be loaded (libms_cosine_loss.so is cut short)'),
    ('empty', 'the kernel cannot be loaded (libms_cosine_loss.so is cut short)'),
    ('foreign', 'the kernel cannot be loaded (')])
def test_without_a_library_that_loads(tmp_path, damage, reason):
    package = _copied_package(tmp_path)
    library = package / _native.LIBRARY.name
    if damage == 'missing':
        library.unlink()
        (package / _native.BUILD_FAILURE.name).write_text('no compiler', 'utf-8')
    elif damage == 'foreign':
        # For another processor, by the field of the header that says so.
        content = bytearray(library.read_bytes())
        content[18:20] = b'\x16\x00'
        library.write_bytes(content)
    else:
        library.write_bytes(library.read_bytes()[:5000] if damage == 'truncated' else b'')
    finished = _run(tmp_path, 'import ms_cosine_loss, mindspore as ms\n'
                    'status = ms_cosine_loss.get_implementation_status()\n'
                    'x = ms.Tensor([[3.0, 4.0]], ms.float32)\n'
                    'for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):\n'
                    '    ms.set_context(mode=mode)\n'
                    '    print(ms_cosine_loss.CosineEmbeddingLoss()(x, x, ms.Tensor([-1], ms.int32)))\n'
                    'print(ms_cosine_loss.__file__)\nprint(status.selected, status.why_not_native)')
    assert finished.returncode == 0, finished.stderr
    in_graph, in_pynative, file, last = finished.stdout.splitlines()[-4:]
    assert in_graph == in_pynative == '1.0'
    assert file.startswith(str(tmp_path))
    assert last.startswith(f'plain {reason}')
