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
"""Interrupts MindSpore's compilation of the loss at several moments, then repeats the call, which must be right."""
import signal
import time

import mindspore as ms

import ms_cosine_loss
from tests.by_hand.failure_modes.answer import Pairs, value_and_gradient

MOMENTS = 12


def _interrupt(signal_number, frame):
    raise KeyboardInterrupt


def main():
    """Prints how many of the compilations were interrupted."""
    signal.signal(signal.SIGALRM, _interrupt)
    ms.set_context(mode=ms.GRAPH_MODE)
    interrupted = attempts = 0
    for implementation in ('native', 'plain'):
        ms_cosine_loss.set_implementation(implementation)
        begin = time.perf_counter()
        value_and_gradient(Pairs())
        whole = time.perf_counter() - begin
        for moment in range(MOMENTS):
            # A new shape each time, so that the graph is compiled.
            pairs = Pairs(rows=2 + moment)
            attempts += 1
            signal.setitimer(signal.ITIMER_REAL, whole * (moment + 0.5) / MOMENTS)
            try:
                value_and_gradient(pairs)
            except KeyboardInterrupt:
                interrupted += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            value_and_gradient(pairs)
    print(f'{interrupted} of {attempts} calls interrupted; the next call is right each time')


if __name__ == '__main__':
    main()
