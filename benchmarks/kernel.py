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
"""The kernel, called directly without MindSpore, and the memory-bandwidth baseline."""
import ctypes
import functools
import pathlib
import subprocess
import tempfile

import numpy as np

from benchmarks.timing import milliseconds
from ms_cosine_loss.implementations import native

_HERE = pathlib.Path(__file__).parent
_ROUNDS_TO_CHOOSE = 9
_DTYPE_NAMES = {'float32': 'float32', 'float64': 'float64', 'float16': 'float16', 'uint16': 'bfloat16'}


def aligned(array):
    """A copy of `array` aligned to a cache line, as MindSpore's tensors are."""
    buffer = np.empty(array.nbytes + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    copy = buffer[start:start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def bfloat16(array):
    """float32 numbers truncated to bfloat16, as uint16."""
    return (np.asarray(array, np.float32).view(np.uint32) >> 16).astype(np.uint16)


class Kernel:
    """A forward and a backward call on fixed inputs."""

    def __init__(self, x1, x2, labels, margin, axis=1, threads=0, library=native.LIBRARY):
        self._library = ctypes.CDLL(str(library))
        x1, x2 = aligned(x1), aligned(x2)
        settings = native._packed(1e-12, 'mean', axis, threads).asnumpy(), native._packed_margin(margin).asnumpy()
        one = np.array(0x3f80, np.uint16) if x1.dtype == np.uint16 else np.ones((), x1.dtype)
        inputs = [x1, x2, labels, *settings]
        self._forward = self._arguments([*inputs, np.zeros_like(one)])
        self._backward = self._arguments([*inputs, one, aligned(np.zeros_like(x1)), aligned(np.zeros_like(x2)),
                                          np.zeros((), np.int64)])

    @staticmethod
    def _arguments(arrays):
        count = len(arrays)
        shapes = [(ctypes.c_int64 * max(1, each.ndim))(*each.shape) for each in arrays]
        pointers = [ctypes.cast(shape, ctypes.c_void_p) for shape in shapes]
        names = [str(each.dtype) for each in arrays]
        dtypes = [ctypes.c_char_p(_DTYPE_NAMES.get(name, name).encode()) for name in names]
        arguments = (count, (ctypes.c_void_p * count)(*(each.ctypes.data for each in arrays)),
                     (ctypes.c_int * count)(*(each.ndim for each in arrays)), (ctypes.c_void_p * count)(*pointers),
                     (ctypes.c_char_p * count)(*(each.value for each in dtypes)), None, None)
        # The arrays must outlive the call.
        return arguments, arrays, shapes

    def results(self):
        """The loss and the gradients of the last call."""
        return [self._forward[1][-1], *self._backward[1][-3:-1]]

    def forward(self):
        """The loss."""
        assert self._library.ms_cosine_loss_forward(*self._forward[0]) == 0

    def both(self):
        """The loss, then the gradients."""
        self.forward()
        assert self._library.ms_cosine_loss_backward(*self._backward[0]) == 0


class Memory:
    """Reads two float32 arrays; for backward, reads them again while it writes two others.

    `both` uses the fastest of several loops here. Each alternates between the outputs after a fixed number of bytes.
    """

    TURNS = (32, 64, 128, 4096)

    def __init__(self, shape, threads):
        self._folder = tempfile.TemporaryDirectory()
        library = pathlib.Path(self._folder.name) / 'memory_limit.so'
        subprocess.run(['g++', '-O3', '-mavx2', '-fopenmp', '-fPIC', '-shared', str(_HERE / 'memory_limit.cc'), '-o',
                        str(library)], check=True)
        self._library = ctypes.CDLL(str(library))
        self._arrays = [aligned(np.ones(shape, np.float32)) for _ in range(4)]
        self._pointers = [ctypes.c_void_p(each.ctypes.data) for each in self._arrays]
        self._work = ctypes.c_int64(self._arrays[0].size), threads
        # Keyed by whether stores bypass the caches, and by the bytes written to one output before the other.
        self.loops = {(stream, turn): functools.partial(self._both, stream, turn)
                      for stream in (True, False) for turn in self.TURNS}
        times = milliseconds(self.loops, _ROUNDS_TO_CHOOSE)
        self.both = self.loops[min(times, key=lambda loop: np.median(times[loop]))]

    def forward(self):
        """Reads."""
        self._library.read_two(*self._pointers[:2], *self._work)

    def _both(self, stream, turn):
        """Reads, then reads and writes."""
        self.forward()
        self._library.read_two_write_two(*self._pointers, *self._work, int(stream), turn)
