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

// Vectors of the width of the instruction set that the including file is compiled for: loads that widen, stores that
// narrow, and the fused multiply-add. All else is the compiler's own vector arithmetic.
#ifndef MS_COSINE_LOSS_KERNEL_VECTORS_H_
#define MS_COSINE_LOSS_KERNEL_VECTORS_H_

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "element.h"

// The only place that checks compiler flags for the processor. It uses whole sets, because everything below has one
// width.
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define MS_COSINE_LOSS_HAS_AVX512
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define MS_COSINE_LOSS_HAS_AVX2
#elif defined(__aarch64__)
#define MS_COSINE_LOSS_HAS_NEON
#endif
#if defined(__x86_64__)
#define MS_COSINE_LOSS_HAS_SSE2
#include <immintrin.h>
#elif defined(MS_COSINE_LOSS_HAS_NEON)
#include <arm_neon.h>
#endif

namespace ms_cosine_loss {
// Internal linkage, for the reason given in element.h.
namespace {

// The doubles in a register, and the registers that share a sum.
#if defined(MS_COSINE_LOSS_HAS_AVX512)
constexpr int kWidth = 8, kUnrolled = 2;
#elif defined(MS_COSINE_LOSS_HAS_AVX2)
constexpr int kWidth = 4, kUnrolled = 4;
#elif defined(MS_COSINE_LOSS_HAS_NEON)
constexpr int kWidth = 2, kUnrolled = 4;
#else
constexpr int kWidth = 2, kUnrolled = 2;
#endif
// A register of float32.
constexpr int kWidth32 = 2 * kWidth;

typedef double Doubles __attribute__((vector_size(8 * kWidth)));
typedef float Floats __attribute__((vector_size(8 * kWidth)));
typedef float HalfFloats __attribute__((vector_size(4 * kWidth)));
typedef int64_t Longs __attribute__((vector_size(8 * kWidth)));
typedef uint32_t Bits32 __attribute__((vector_size(8 * kWidth)));
typedef uint16_t Bits16 __attribute__((vector_size(4 * kWidth)));
typedef uint16_t HalfBits16 __attribute__((vector_size(2 * kWidth)));
typedef uint32_t HalfBits32 __attribute__((vector_size(4 * kWidth)));

template <class V>
inline V load_bits(const void *from) {
  V result;
  std::memcpy(&result, from, sizeof(result));
  return result;
}

template <class V>
inline void store_bits(V value, void *to) {
  std::memcpy(to, &value, sizeof(value));
}

inline Doubles fused_multiply_add(Doubles a, Doubles b, Doubles c) {
#if defined(MS_COSINE_LOSS_HAS_AVX512)
  return reinterpret_cast<Doubles>(_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c));
#elif defined(MS_COSINE_LOSS_HAS_AVX2)
  return reinterpret_cast<Doubles>(_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c));
#elif defined(MS_COSINE_LOSS_HAS_NEON)
  return reinterpret_cast<Doubles>(vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b));
#else
  return a * b + c;
#endif
}

inline Floats fused_multiply_add(Floats a, Floats b, Floats c) {
#if defined(MS_COSINE_LOSS_HAS_AVX512)
  return reinterpret_cast<Floats>(_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c));
#elif defined(MS_COSINE_LOSS_HAS_AVX2)
  return reinterpret_cast<Floats>(_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c));
#elif defined(MS_COSINE_LOSS_HAS_NEON)
  return reinterpret_cast<Floats>(vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b));
#else
  return a * b + c;
#endif
}

// The rounding error of the product of a and b.
inline Doubles error_of_product(Doubles a, Doubles b, Doubles product) {
#if defined(MS_COSINE_LOSS_HAS_AVX2) || defined(MS_COSINE_LOSS_HAS_AVX512) || defined(MS_COSINE_LOSS_HAS_NEON)
  return fused_multiply_add(a, b, -product);
#else
  // Dekker's splitting into halves of 26 bits.
  const double splitter = 134217729.0;
  const Doubles a_scaled = a * splitter;
  const Doubles a_high = a_scaled - (a_scaled - a);
  const Doubles a_low = a - a_high;
  const Doubles b_scaled = b * splitter;
  const Doubles b_high = b_scaled - (b_scaled - b);
  const Doubles b_low = b - b_high;
  return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
#endif
}

inline Doubles widened(HalfFloats value) {
  // GCC takes __builtin_convertvector apart here: with AVX-512 into halves, with NEON into single elements.
#if defined(MS_COSINE_LOSS_HAS_AVX512)
  return reinterpret_cast<Doubles>(_mm512_cvtps_pd((__m256)value));
#elif defined(MS_COSINE_LOSS_HAS_NEON)
  return reinterpret_cast<Doubles>(vcvt_f64_f32((float32x2_t)value));
#else
  return __builtin_convertvector(value, Doubles);
#endif
}

// kWidth elements as doubles.
inline Doubles load(const double *from) { return load_bits<Doubles>(from); }
inline Doubles load(const float *from) { return widened(load_bits<HalfFloats>(from)); }
inline Doubles load(const BFloat16 *from) {
#if defined(MS_COSINE_LOSS_HAS_NEON)
  const uint16x4_t halves = vreinterpret_u16_u32(vdup_n_u32(load_bits<uint32_t>(from)));
  return reinterpret_cast<Doubles>(vcvt_f64_f32(vget_low_f32(vreinterpretq_f32_u32(vshll_n_u16(halves, 16)))));
#else
  const HalfBits32 bits = __builtin_convertvector(load_bits<HalfBits16>(from), HalfBits32) << 16;
  return widened(reinterpret_cast<HalfFloats>(bits));
#endif
}
inline Doubles load(const Float16 *from) {
#if defined(MS_COSINE_LOSS_HAS_AVX512)
  return reinterpret_cast<Doubles>(_mm512_cvtps_pd(_mm256_cvtph_ps(load_bits<__m128i>(from))));
#elif defined(MS_COSINE_LOSS_HAS_AVX2)
  return reinterpret_cast<Doubles>(_mm256_cvtps_pd(_mm_cvtph_ps(_mm_loadl_epi64((const __m128i *)from))));
#elif defined(MS_COSINE_LOSS_HAS_NEON)
  const float16x4_t halves = vreinterpret_f16_u32(vdup_n_u32(load_bits<uint32_t>(from)));
  return reinterpret_cast<Doubles>(vcvt_f64_f32(vget_low_f32(vcvt_f32_f16(halves))));
#else
  Doubles result;
  for (int i = 0; i < kWidth; ++i) result[i] = widened(from[i]);
  return result;
#endif
}

// 2 * kWidth32 elements as two registers of floats, for bfloat16 those at even places and those at odd ones.
struct TwoFloats {
  Floats first;
  Floats second;
};

// The elements that load_two takes, and the place of each among those of the first register and then the second.
constexpr int kTwo = 2 * kWidth32;
template <class T>
inline int place_in_two(int element) {
  if constexpr (std::is_same_v<T, BFloat16>) return element % 2 * kWidth32 + element / 2;
  return element;
}

inline Floats load32(const Float16 *from) {
#if defined(MS_COSINE_LOSS_HAS_AVX512)
  return reinterpret_cast<Floats>(_mm512_cvtph_ps(load_bits<__m256i>(from)));
#elif defined(MS_COSINE_LOSS_HAS_AVX2)
  return reinterpret_cast<Floats>(_mm256_cvtph_ps(load_bits<__m128i>(from)));
#elif defined(MS_COSINE_LOSS_HAS_NEON)
  return reinterpret_cast<Floats>(vcvt_f32_f16(load_bits<float16x4_t>(from)));
#else
  const Bits32 bits = __builtin_convertvector(load_bits<Bits16>(from), Bits32);
  const Bits32 magnitude = bits & 0x7fffu;
  const Bits32 finite = reinterpret_cast<Bits32>(reinterpret_cast<Floats>(magnitude << 13) * 0x1p112f);
  const Bits32 is_special = reinterpret_cast<Bits32>(magnitude >= 0x7c00u);
  const Bits32 special = (magnitude << 13) | 0x7f800000u;
  return reinterpret_cast<Floats>((finite & ~is_special) | (special & is_special) | ((bits & 0x8000u) << 16));
#endif
}
inline TwoFloats load_two(const float *from) { return {load_bits<Floats>(from), load_bits<Floats>(from + kWidth32)}; }
inline TwoFloats load_two(const Float16 *from) { return {load32(from), load32(from + kWidth32)}; }
inline TwoFloats load_two(const BFloat16 *from) {
  const Bits32 pairs = load_bits<Bits32>(from);
  return {reinterpret_cast<Floats>(pairs << 16), reinterpret_cast<Floats>(pairs & 0xffff0000u)};
}

// kStream goes past the caches and needs an aligned address.
template <bool kStream, class V>
inline void store_vector(V value, void *to) {
#if defined(MS_COSINE_LOSS_HAS_SSE2)
  if (kStream) {
    if constexpr (sizeof(V) == 64) {
#if defined(MS_COSINE_LOSS_HAS_AVX512)
      _mm512_stream_si512(static_cast<__m512i *>(to), reinterpret_cast<__m512i>(value));
#endif
    } else if constexpr (sizeof(V) == 32) {
#if defined(MS_COSINE_LOSS_HAS_AVX512) || defined(MS_COSINE_LOSS_HAS_AVX2)
      _mm256_stream_si256(static_cast<__m256i *>(to), reinterpret_cast<__m256i>(value));
#endif
    } else if constexpr (sizeof(V) == 16) {
      _mm_stream_si128(static_cast<__m128i *>(to), reinterpret_cast<__m128i>(value));
    } else {
      store_bits(value, to);
    }
    return;
  }
#endif
  store_bits(value, to);
}

template <bool kStream>
inline void store(Doubles value, double *to) {
  store_vector<kStream>(value, to);
}
template <bool kStream>
inline void store(Doubles value, float *to) {
  store_vector<kStream>(__builtin_convertvector(value, HalfFloats), to);
}
template <bool kStream>
inline void store(Doubles value, BFloat16 *to) {
#if defined(MS_COSINE_LOSS_HAS_NEON)
  // To odd first, so that rounding once more is as if the double had been rounded once.
  const uint32x2_t bits = vreinterpret_u32_f32(vcvtx_f32_f64((float64x2_t)value));
  const uint32x2_t last = vand_u32(vshr_n_u32(bits, 16), vdup_n_u32(1));
  const uint32x2_t nearest = vshr_n_u32(vadd_u32(vadd_u32(bits, vdup_n_u32(0x7fff)), last), 16);
  const uint32x2_t is_number = vceq_f32(vreinterpret_f32_u32(bits), vreinterpret_f32_u32(bits));
  const uint32x2_t result = vbsl_u32(is_number, nearest, vdup_n_u32(0x7fc0));
  store_bits(vget_lane_u32(vreinterpret_u32_u16(vmovn_u32(vcombine_u32(result, result))), 0), to);
#else
  const HalfFloats floats = __builtin_convertvector(value, HalfFloats);
  const HalfBits32 is_nan = reinterpret_cast<HalfBits32>(floats != floats);
  const HalfBits32 bits = reinterpret_cast<HalfBits32>(floats);
  const HalfBits32 nearest = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  store_bits(__builtin_convertvector((nearest & ~is_nan) | (0x7fc0u & is_nan), HalfBits16), to);
#endif
}
template <bool kStream>
inline void store(Doubles value, Float16 *to) {
#if defined(MS_COSINE_LOSS_HAS_AVX512)
  store_bits(_mm256_cvtps_ph(_mm512_cvtpd_ps((__m512d)value), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), to);
#elif defined(MS_COSINE_LOSS_HAS_AVX2)
  const __m128i halves = _mm_cvtps_ph(_mm256_cvtpd_ps((__m256d)value), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm_storel_epi64(reinterpret_cast<__m128i *>(to), halves);
#elif defined(MS_COSINE_LOSS_HAS_NEON)
  // To odd first here too.
  const float32x2_t floats = vcvtx_f32_f64((float64x2_t)value);
  store_bits(vget_lane_u32(vreinterpret_u32_f16(vcvt_f16_f32(vcombine_f32(floats, floats))), 0), to);
#else
  for (int i = 0; i < kWidth; ++i) narrow(value[i], to + i);
#endif
}

// The inverse of load_two, for finite numbers; bfloat16 rounds ties away from zero here.
template <bool kStream>
inline void store_two(TwoFloats value, float *to) {
  store_vector<kStream>(value.first, to);
  store_vector<kStream>(value.second, to + kWidth32);
}
template <bool kStream>
inline void store_two(TwoFloats value, BFloat16 *to) {
  const Bits32 even = reinterpret_cast<Bits32>(value.first) + 0x8000u;
  const Bits32 odd = reinterpret_cast<Bits32>(value.second) + 0x8000u;
  store_vector<kStream>((even >> 16) | (odd & 0xffff0000u), to);
}
template <bool kStream>
inline void store_two(TwoFloats value, Float16 *to) {
  const Floats values[2] = {value.first, value.second};
  for (int k = 0; k < 2; ++k) {
#if defined(MS_COSINE_LOSS_HAS_AVX512)
    store_vector<kStream>(_mm512_cvtps_ph((__m512)values[k], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                          to + k * kWidth32);
#elif defined(MS_COSINE_LOSS_HAS_AVX2)
    store_vector<kStream>(_mm256_cvtps_ph((__m256)values[k], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                          to + k * kWidth32);
#elif defined(MS_COSINE_LOSS_HAS_NEON)
    store_bits(vcvt_f16_f32((float32x4_t)values[k]), to + k * kWidth32);
#else
    for (int i = 0; i < kWidth32; ++i) narrow(values[k][i], to + k * kWidth32 + i);
#endif
  }
}

// The value where the mask has its bits set, otherwise 0.
inline Doubles masked(Doubles value, Longs mask) {
  return reinterpret_cast<Doubles>(reinterpret_cast<Longs>(value) & mask);
}

inline TwoFloats masked(TwoFloats value, const TwoFloats &mask) {
  const auto both = [](Floats one, Floats other) {
    return reinterpret_cast<Floats>(reinterpret_cast<Bits32>(one) & reinterpret_cast<Bits32>(other));
  };
  return {both(value.first, mask.first), both(value.second, mask.second)};
}

// Asks memory for what lies 2 KiB ahead, so that it comes while what is here is added up: the processor's own
// prefetching leaves a third of the time unused. Once for each line, where `kBytes` are taken at a time; past the end
// it does nothing.
template <int kBytes>
inline void fetch_ahead(const void *from) {
  constexpr uintptr_t kLine = 64, kAhead = 2048;
  const uintptr_t address = reinterpret_cast<uintptr_t>(from);
  if (kBytes >= kLine || address % kLine < kBytes) __builtin_prefetch(reinterpret_cast<const void *>(address + kAhead));
}

inline void finish_streaming() {
#if defined(MS_COSINE_LOSS_HAS_SSE2)
  _mm_sfence();
#endif
}

// The sum of the lanes, by halves.
inline double sum_of_lanes(Doubles value) {
#if defined(MS_COSINE_LOSS_HAS_AVX512)
  return _mm512_reduce_add_pd((__m512d)value);
#elif defined(MS_COSINE_LOSS_HAS_AVX2)
  const __m128d half = _mm_add_pd(_mm256_castpd256_pd128((__m256d)value), _mm256_extractf128_pd((__m256d)value, 1));
  return half[0] + half[1];
#else
  return value[0] + value[1];
#endif
}

// A register of floats as two of doubles.
struct TwoDoubles {
  Doubles first;
  Doubles second;
};

inline TwoDoubles widened(Floats value) {
  HalfFloats halves[2];
  std::memcpy(halves, &value, sizeof(halves));
  return {widened(halves[0]), widened(halves[1])};
}

// The sums of a register of floats as doubles, half by half.
inline Doubles sum_of_halves(Floats value) {
  const TwoDoubles doubles = widened(value);
  return doubles.first + doubles.second;
}

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_VECTORS_H_
