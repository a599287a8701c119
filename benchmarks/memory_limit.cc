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

// What memory allows: reading two arrays, and reading two while writing two, on some threads.
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

// The outputs are aligned to 32 bytes; `stream` writes past the caches.
extern "C" void read_two_write_two(const float *x1, const float *x2, float *y1, float *y2, int64_t count, int threads,
                                   int stream) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t part = 0; part < count / 4096; ++part) {
    const int64_t start = part * 4096;
    for (int64_t i = start; i < start + 4096; i += 8) {
      const __m256 a = _mm256_loadu_ps(x1 + i), b = _mm256_loadu_ps(x2 + i);
      if (stream) {
        _mm256_stream_ps(y1 + i, b);
        _mm256_stream_ps(y2 + i, a);
      } else {
        _mm256_storeu_ps(y1 + i, b);
        _mm256_storeu_ps(y2 + i, a);
      }
    }
  }
  _mm_sfence();
}
