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

// The gradients of the pairs of a block, or their coefficients.
#ifndef MS_COSINE_LOSS_KERNEL_GRADIENTS_H_
#define MS_COSINE_LOSS_KERNEL_GRADIENTS_H_

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "blocks.h"
#include "pairs.h"
#include "problem.h"
#include "tail.h"
#include "vectors.h"

namespace ms_cosine_loss {
// Internal linkage, for the reason given in element.h.
namespace {

// Whether a pair has a gradient: not where the hinge is closed. NaN is not below 0.
inline bool has_gradient(Label label, const Cosine &cosine) {
  return label == Label::kSimilar || (label == Label::kDissimilar && !(cosine.unclamped_loss < 0));
}

// The coefficients of a pair whose upstream gradient is `weight`.
inline Coefficients coefficients_of(const Cosine &cosine, double weight) {
  // With a tiny eps the factors of two zero vectors overflow, and 0 times infinity would be NaN.
  const auto bounded = [weight](double factor) {
    return std::isinf(factor) && std::isfinite(weight) ? std::copysign(0x1.fffffffffffffp+1023, factor) : factor;
  };
  return {bounded(weight * cosine.inverse1 * cosine.inverse2),
          bounded(-(weight * cosine.inverse1) * (cosine.cosine * cosine.inverse1)),
          bounded(-(weight * cosine.inverse2) * (cosine.cosine * cosine.inverse2)), cosine.exponent1, cosine.exponent2};
}

// The remaining elements at the end of a row.
template <class T>
inline void write_remainder(const Problem &problem, const Coefficients &coefficients, const T *x1, const T *x2,
                            int64_t from, T *to1, T *to2) {
  for (int64_t i = from; i < problem.length; ++i) {
    const double a = widened(x1[i]), b = widened(x2[i]);
    narrow(coefficients.cross * b + coefficients.self1 * a, to1 + i);
    narrow(coefficients.cross * a + coefficients.self2 * b, to2 + i);
  }
}

// The bytes streamed to one gradient before the other: two cache lines, because memory takes only whole lines at full
// speed.
constexpr int kTurn = 128;

// Calls `write` for as many steps of `kStep` elements as make a turn, then for single ones. Returns where the rest
// begins.
template <bool kStream, class T, int kStep, class Write>
inline int64_t in_turns(int64_t length, const Write &write) {
  constexpr int kSteps = kTurn / (kStep * static_cast<int>(sizeof(T)));
  int64_t i = 0;
  if constexpr (kStream && kSteps > 1) {
    for (; i + kSteps * kStep <= length; i += kSteps * kStep) write(i, std::integral_constant<int, kSteps>());
  }
  for (; i + kStep <= length; i += kStep) write(i, std::integral_constant<int, 1>());
  return i;
}

template <bool kStream, class T>
inline void write_row(const Problem &problem, const Coefficients &coefficients, const T *x1, const T *x2, T *to1,
                      T *to2) {
  const Doubles cross = Doubles{} + coefficients.cross;
  const int64_t end = in_turns<kStream, T, kWidth32>(problem.length, [&](int64_t i, auto steps) {
    constexpr int kCount = 2 * steps;
    Doubles a[kCount], b[kCount];
    for (int k = 0; k < kCount; ++k) a[k] = load(x1 + i + k * kWidth), b[k] = load(x2 + i + k * kWidth);
    for (int k = 0; k < kCount; ++k) {
      store<kStream>(fused_multiply_add(b[k], cross, a[k] * coefficients.self1), to1 + i + k * kWidth);
    }
    for (int k = 0; k < kCount; ++k) {
      store<kStream>(fused_multiply_add(a[k], cross, b[k] * coefficients.self2), to2 + i + k * kWidth);
    }
  });
  write_remainder(problem, coefficients, x1, x2, end, to1, to2);
}

// The same in float32.
template <bool kStream, class T>
inline void write_row_in_floats(const Problem &problem, const Coefficients &coefficients, const T *x1, const T *x2,
                                T *to1, T *to2) {
  constexpr int kStep = 2 * kWidth32;
  const Floats cross = Floats{} + static_cast<float>(coefficients.cross);
  const Floats self1 = Floats{} + static_cast<float>(coefficients.self1);
  const Floats self2 = Floats{} + static_cast<float>(coefficients.self2);
  const int64_t end = in_turns<kStream, T, kStep>(problem.length, [&](int64_t i, auto steps) {
    constexpr int kCount = steps;
    TwoFloats a[kCount], b[kCount];
    for (int k = 0; k < kCount; ++k) a[k] = load_two(x1 + i + k * kStep), b[k] = load_two(x2 + i + k * kStep);
    for (int k = 0; k < kCount; ++k) {
      store_two<kStream>({fused_multiply_add(b[k].first, cross, a[k].first * self1),
                          fused_multiply_add(b[k].second, cross, a[k].second * self1)},
                         to1 + i + k * kStep);
    }
    for (int k = 0; k < kCount; ++k) {
      store_two<kStream>({fused_multiply_add(a[k].first, cross, b[k].first * self2),
                          fused_multiply_add(a[k].second, cross, b[k].second * self2)},
                         to2 + i + k * kStep);
    }
  });
  write_remainder(problem, coefficients, x1, x2, end, to1, to2);
}

// Up to this cosine float32 is accurate enough for the two terms of a gradient, which cancel towards ±1: the rounding
// error is far below an ulp of half types, and below 2.3 ulp of float32.
template <class T>
constexpr double kMaxCosineInFloats = std::is_same_v<T, float> ? 0.8 : 1 - Near<T>::kRefineBelow;

// Whether the coefficients of a pair and their products stay in the range of float32. Cancellation depends on the angle
// between the vectors, which the cosine does not show if eps contributes to the norms.
template <class T>
inline bool fits_floats(const Cosine &cosine, double weight, double eps) {
  const double scale1 = std::fabs(weight * cosine.inverse1), scale2 = std::fabs(weight * cosine.inverse2);
  const double share1 = eps * cosine.inverse1 * cosine.inverse1, share2 = eps * cosine.inverse2 * cosine.inverse2;
  constexpr double kMax = kMaxCosineInFloats<T>;
  return cosine.cosine * cosine.cosine <= kMax * kMax * (1 - share1) * (1 - share2) && share1 <= 0.5 && share2 <= 0.5 &&
         is_between(scale1, 0x1p-60, 0x1p60) && is_between(scale2, 0x1p-60, 0x1p60) &&
         is_between(cosine.inverse1, 0x1p-60, 0x1p60) && is_between(cosine.inverse2, 0x1p-60, 0x1p60);
}

template <bool kStream, class T>
inline void write_row_of(const Problem &problem, const Cosine &cosine, double weight, const T *x1, const T *x2, T *to1,
                         T *to2) {
  const Coefficients coefficients = coefficients_of(cosine, weight);
  if constexpr (!std::is_same_v<T, double>) {
    if (fits_floats<T>(cosine, weight, problem.eps))
      return write_row_in_floats<kStream>(problem, coefficients, x1, x2, to1, to2);
  }
  write_row<kStream>(problem, coefficients, x1, x2, to1, to2);
}

template <class T>
inline bool can_stream(const Problem &problem, const T *to1, const T *to2) {
  constexpr uintptr_t kAlignment = 8 * kWidth;
  return problem.can_stream && reinterpret_cast<uintptr_t>(to1) % kAlignment == 0 &&
         reinterpret_cast<uintptr_t>(to2) % kAlignment == 0;
}

// Whether stores of lanes can stream. Both strides are the same, as nothing broadcasts.
template <class T>
inline bool can_stream_lanes(const Problem &problem, const T *to1, const T *to2) {
  constexpr int64_t kLine = 64 / sizeof(T);
  return can_stream(problem, to1, to2) && problem.stride1 % kLine == 0;
}

// No gradient.
template <class T>
inline void write_zeros(T *to, int64_t length, bool is_streamed) {
  char *bytes = reinterpret_cast<char *>(to);
  const int64_t count = length * static_cast<int64_t>(sizeof(T));
  int64_t i = 0;
  if (is_streamed) {
    for (; i + 8 * kWidth <= count; i += 8 * kWidth) store_vector<true>(Longs{}, bytes + i);
  }
  std::memset(bytes + i, 0, count - i);
}

// Lanes of one gradient, contiguous from `to`.
template <bool kStream, class T>
inline void store_lanes(const Doubles *values, int count, T *to) {
  int lane = 0;
  for (; lane + kWidth <= count; lane += kWidth) store<kStream>(values[lane / kWidth], to + lane);
  for (; lane < count; ++lane) narrow(values[lane / kWidth][lane % kWidth], to + lane);
}

// Some pairs side by side; a pair that does not count has no bits kept.
template <bool kStream, class T>
inline void write_lanes(const Problem &problem, const Block<T> &block, const Coefficients *coefficients,
                        const bool *counts, T *to1, T *to2) {
  constexpr int kVectors = kMaxLanes / kWidth;
  double cross[kMaxLanes] = {}, self1[kMaxLanes] = {}, self2[kMaxLanes] = {};
  int64_t kept[kMaxLanes] = {};
  for (int i = 0; i < block.count; ++i) {
    if (!counts[i]) continue;
    cross[i] = coefficients[i].cross, self1[i] = coefficients[i].self1, self2[i] = coefficients[i].self2, kept[i] = -1;
  }
  for (int64_t element = 0; element < problem.length; ++element) {
    const int64_t at1 = element * problem.stride1, at2 = element * problem.stride2;
    Doubles gradients1[kVectors], gradients2[kVectors];
    for (int lane = 0; lane < block.count; lane += kWidth) {
      const int count = block.count - lane;
      const Longs mask = load_bits<Longs>(kept + lane);
      const Doubles a = masked(load_lanes(block.x1 + at1 + lane, 1, count), mask);
      const Doubles b = masked(load_lanes(block.x2 + at2 + lane, 1, count), mask);
      const Doubles c = load(cross + lane);
      gradients1[lane / kWidth] = fused_multiply_add(b, c, a * load(self1 + lane));
      gradients2[lane / kWidth] = fused_multiply_add(a, c, b * load(self2 + lane));
    }
    store_lanes<kStream>(gradients1, block.count, to1 + at1);
    store_lanes<kStream>(gradients2, block.count, to2 + at2);
  }
}

// The same in float32, for whole registers of lanes.
template <bool kStream, class T>
inline void write_lanes_in_floats(const Problem &problem, const Block<T> &block, const Coefficients *coefficients,
                                  const bool *counts, T *to1, T *to2) {
  constexpr int kMaxGroups = kMaxLanes / kTwo;
  const int groups = block.count / kTwo;
  float cross[kMaxLanes] = {}, self1[kMaxLanes] = {}, self2[kMaxLanes] = {};
  int32_t kept[kMaxLanes] = {};
  for (int i = 0; i < block.count; ++i) {
    if (!counts[i]) continue;
    const int at = i / kTwo * kTwo + place_in_two<T>(i % kTwo);
    cross[at] = static_cast<float>(coefficients[i].cross);
    self1[at] = static_cast<float>(coefficients[i].self1), self2[at] = static_cast<float>(coefficients[i].self2);
    kept[at] = -1;
  }
  const auto weighed = [](const TwoFloats &a, const TwoFloats &c, const TwoFloats &b, const TwoFloats &s) {
    return TwoFloats{fused_multiply_add(a.first, c.first, b.first * s.first),
                     fused_multiply_add(a.second, c.second, b.second * s.second)};
  };
  for (int64_t element = 0; element < problem.length; ++element) {
    const int64_t at1 = element * problem.stride1, at2 = element * problem.stride2;
    TwoFloats gradients1[kMaxGroups], gradients2[kMaxGroups];
    for (int g = 0; g < groups; ++g) {
      const int lane = g * kTwo;
      const TwoFloats mask = load_two(reinterpret_cast<const float *>(kept + lane));
      const TwoFloats a = masked(load_two(block.x1 + at1 + lane), mask);
      const TwoFloats b = masked(load_two(block.x2 + at2 + lane), mask);
      gradients1[g] = weighed(b, load_two(cross + lane), a, load_two(self1 + lane));
      gradients2[g] = weighed(a, load_two(cross + lane), b, load_two(self2 + lane));
    }
    for (int g = 0; g < groups; ++g) store_two<kStream>(gradients1[g], to1 + at1 + g * kTwo);
    for (int g = 0; g < groups; ++g) store_two<kStream>(gradients2[g], to2 + at2 + g * kTwo);
  }
}

// The gradients of one scaled pair; scaling is undone at the end.
template <class T>
void write_scaled(const Problem &problem, const Cosine &cosine, double weight, const T *x1, const T *x2, T *to1,
                  T *to2) {
  for (int64_t element = 0; element < problem.length; ++element) {
    const int64_t at1 = element * problem.stride1, at2 = element * problem.stride2;
    const double unit1 = std::ldexp(widened(x1[at1]), -cosine.exponent1) * cosine.inverse1;
    const double unit2 = std::ldexp(widened(x2[at2]), -cosine.exponent2) * cosine.inverse2;
    const double gradient1 = weight * cosine.inverse1 * (unit2 - cosine.cosine * unit1);
    const double gradient2 = weight * cosine.inverse2 * (unit1 - cosine.cosine * unit2);
    narrow(std::ldexp(gradient1, -cosine.exponent1), to1 + at1);
    narrow(std::ldexp(gradient2, -cosine.exponent2), to2 + at2);
  }
}

inline bool is_scaled(const Cosine &cosine) { return cosine.exponent1 != 0 || cosine.exponent2 != 0; }

template <class T>
inline void write_gradients(const Problem &problem, const Block<T> &block, const Cosine *cosines, const double *weights,
                            const bool *counts) {
  T *to1 = static_cast<T *>(problem.gradient1) + block.offset1;
  T *to2 = static_cast<T *>(problem.gradient2) + block.offset2;
  if (problem.has_rows) {
    if (!counts[0]) {
      const bool is_streamed = can_stream(problem, to1, to2);
      write_zeros(to1, problem.length, is_streamed);
      write_zeros(to2, problem.length, is_streamed);
    } else if (is_scaled(cosines[0])) {
      write_scaled(problem, cosines[0], weights[0], block.x1, block.x2, to1, to2);
    } else if (can_stream(problem, to1, to2)) {
      write_row_of<true>(problem, cosines[0], weights[0], block.x1, block.x2, to1, to2);
    } else {
      write_row_of<false>(problem, cosines[0], weights[0], block.x1, block.x2, to1, to2);
    }
    return;
  }
  Coefficients coefficients[kMaxLanes];
  bool do_fit_floats = !std::is_same_v<T, double> && block.count % kTwo == 0;
  for (int i = 0; i < block.count; ++i) {
    if (!counts[i]) continue;
    coefficients[i] = coefficients_of(cosines[i], weights[i]);
    do_fit_floats = do_fit_floats && fits_floats<T>(cosines[i], weights[i], problem.eps);
  }
  const auto write = [&](auto is_streamed) {
    if constexpr (!std::is_same_v<T, double>) {
      if (do_fit_floats) return write_lanes_in_floats<is_streamed>(problem, block, coefficients, counts, to1, to2);
    }
    write_lanes<is_streamed>(problem, block, coefficients, counts, to1, to2);
  };
  if (can_stream_lanes(problem, to1, to2)) {
    write(std::true_type());
  } else {
    write(std::false_type());
  }
  for (int i = 0; i < block.count; ++i) {
    if (!counts[i] || !is_scaled(cosines[i])) continue;
    write_scaled(problem, cosines[i], weights[i], block.x1 + i, block.x2 + i, to1 + i, to2 + i);
  }
}

template <class T>
inline void write_coefficients(const Problem &problem, const Block<T> &block, const Cosine *cosines,
                               const double *weights, const bool *counts) {
  const CoefficientArrays &to = problem.coefficients;
  for (int i = 0; i < block.count; ++i) {
    const Coefficients current = counts[i] ? coefficients_of(cosines[i], weights[i]) : Coefficients{0, 0, 0, 0, 0};
    const int64_t pair = block.first_pair + i;
    to.cross[pair] = current.cross, to.self1[pair] = current.self1, to.self2[pair] = current.self2;
    if constexpr (std::is_same_v<T, double>) {
      to.exponents1[pair] = current.exponent1, to.exponents2[pair] = current.exponent2;
    }
  }
}

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_GRADIENTS_H_
