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
"""Times interleaved calls, so that noise on the machine affects all of them alike."""
import random
import time

import numpy as np

WARM_UP = 3


def _milliseconds(call):
    started = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - started)


def milliseconds(calls, rounds, seconds=0.0):
    """Times each of `calls`, a dict of functions, for at least `rounds` rounds and `seconds` seconds."""
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
    times = {name: [] for name in calls}
    order = list(calls)
    generator = random.Random(0)
    started = time.perf_counter()
    while time.perf_counter() - started < seconds or len(next(iter(times.values()))) < rounds:
        # Shuffle each round: a call leaves its threads and caches to the next.
        generator.shuffle(order)
        for name in order:
            times[name].append(_milliseconds(calls[name]))
    return times


def quartiles(times):
    """The lower quartile, the median and the upper quartile."""
    return np.percentile(times, (25, 50, 75))
