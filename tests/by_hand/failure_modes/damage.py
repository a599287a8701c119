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
"""Ways to make the library of an installed package unusable."""
from ms_cosine_loss.implementations import native


def _missing(library):
    library.unlink()
    library.with_name(native.BUILD_FAILURE.name).write_text('no compiler', 'utf-8')


def _without_reason(library):
    library.unlink()


def _unreadable(library):
    library.chmod(0)


def _truncated(library):
    library.write_bytes(library.read_bytes()[:5000])


def _half(library):
    content = library.read_bytes()
    library.write_bytes(content[:len(content) // 2])


def _last_byte(library):
    library.write_bytes(library.read_bytes()[:-1])


def _empty(library):
    library.write_bytes(b'')


def _text(library):
    library.write_text('version https://git-lfs.github.com/spec/v1\n' * 3, 'utf-8')


def _other_processor(library):
    # The field e_machine of the ELF header.
    content = bytearray(library.read_bytes())
    content[18:20] = b'\x16\x00'
    library.write_bytes(content)


def _folder(library):
    library.unlink()
    library.mkdir()


_UNFIT = 'the kernel cannot be loaded ('
_CUT_SHORT = f'{_UNFIT}{native.LIBRARY.name} is cut short)'

# How to damage the library, and the start of the package's reason for not using it.
DAMAGES = {
    'missing': (_missing, 'the kernel was not built when the package was installed (no compiler)'),
    'missing, reason not recorded': (_without_reason, 'the kernel was not built when the package was installed ('),
    'unreadable': (_unreadable, _UNFIT),
    'truncated': (_truncated, _CUT_SHORT),
    'cut in half': (_half, _CUT_SHORT),
    'without its last byte': (_last_byte, _CUT_SHORT),
    'empty': (_empty, _CUT_SHORT),
    'a text file': (_text, f'{_UNFIT}{native.LIBRARY.name} is not a library)'),
    'a folder': (_folder, _UNFIT),
    'for another processor': (_other_processor, f'{_UNFIT}{native.LIBRARY.name} is for another processor)'),
}
