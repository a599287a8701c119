// Copyright 2026 The ms_cosine_loss authors
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
// http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

// The memory-bandwidth baseline: reads two arrays, or reads two and writes two, on several threads.
#include <immintrin.h>
#include <omp.h>

#include <cstdint>

extern "C" int64_t read_two(const float *x1, const float *x2, int64_t count, int threads) {
  int64_t sum = 0;
#pragma omp parallel for num_threads(threads) reduction(+ : sum) schedule(static)
  for (int64_t part = 0; part < count / 4096; ++part) {
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    const __m256i *from1 = reinterpret_cast<const __m256i *>(x1 + part * 4096);
    const __m256i *from2 = reinterpret_cast<const __m256i *>(x2 + part * 4096);
    for (int i = 0; i < 512; i += 2) {
      a = _mm256_xor_si256(a, _mm256_loadu_si256(from1 + i));
      b = _mm256_xor_si256(b, _mm256_loadu_si256(from2 + i));
      c = _mm256_xor_si256(c, _mm256_loadu_si256(from1 + i + 1));
      d = _mm256_xor_si256(d, _mm256_loadu_si256(from2 + i + 1));
    }
    sum += _mm256_extract_epi64(_mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d)), 0);
  }
  return sum;
}

namespace {

template <bool kStream>
inline void copy(const float *from, float *to, int64_t count) {
  for (int64_t i = 0; i < count; i += 8) {
    const __m256 value = _mm256_loadu_ps(from + i);
    kStream ? _mm256_stream_ps(to + i, value) : _mm256_storeu_ps(to + i, value);
  }
}

template <bool kStream, int64_t kTurn>
void write_in_turns(const float *x1, const float *x2, float *y1, float *y2, int64_t count, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t part = 0; part < count / 4096; ++part) {
    for (int64_t i = part * 4096; i < (part + 1) * 4096; i += kTurn) {
      copy<kStream>(x2 + i, y1 + i, kTurn);
      copy<kStream>(x1 + i, y2 + i, kTurn);
    }
    _mm_sfence();
  }
}

}  // namespace

// Writes `turn` bytes to one output, then to the other: 32, a cache line of 64, two lines, or a page of 4096. The
// outputs are aligned to 32 bytes. With `stream`, stores bypass the caches.
extern "C" void read_two_write_two(const float *x1, const float *x2, float *y1, float *y2, int64_t count, int threads,
                                   int stream, int turn) {
  const auto write = turn == 32    ? (stream ? write_in_turns<true, 8> : write_in_turns<false, 8>)
                     : turn == 64  ? (stream ? write_in_turns<true, 16> : write_in_turns<false, 16>)
                     : turn == 128 ? (stream ? write_in_turns<true, 32> : write_in_turns<false, 32>)
                                   : (stream ? write_in_turns<true, 1024> : write_in_turns<false, 1024>);
  write(x1, x2, y1, y2, count, threads);
}
