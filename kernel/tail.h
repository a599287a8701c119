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

// What becomes of the sums of a pair: its cosine, its loss, what its gradients need, and whether that is good enough.
#ifndef MS_COSINE_LOSS_KERNEL_TAIL_H_
#define MS_COSINE_LOSS_KERNEL_TAIL_H_

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "double_double.h"
#include "pairs.h"
#include "sums.h"

namespace ms_cosine_loss {
// Internal linkage, for the reason given in element.h.
namespace {

// What the tail makes of the sums. `gap` is 1 - cos for a similar pair and cos - margin for a dissimilar one.
// The inverse norms are those of x * 2^-exponent.
struct Cosine {
  double inverse1;
  double inverse2;
  double cosine;
  double gap;
  int exponent1;
  int exponent2;
};

// Below this the sums in plain double (for half types in float32) have lost too much to cancellation.
template <class T>
struct Near {
  static constexpr double kGap = 0x1p-9;
};
template <>
struct Near<float> {
  static constexpr double kGap = 0x1p-14;
};

// A row without direction: eps is 0 and one of the vectors too. NaN in the other one still shows in `product`.
inline Cosine directionless(double product, Label label, double margin) {
  const double cosine = 0 * product;
  return {0, 0, cosine, label == Label::kSimilar ? 1 - cosine : cosine - margin, 0, 0};
}

// By the norms, eps included. Only the gradient needs their inverses.
inline Cosine cosine_of(double product, double norm1, double norm2, Label label, double margin, bool for_gradient) {
  if (norm1 == 0 || norm2 == 0) return directionless(product, label, margin);
  const double cosine = product / (norm1 * norm2);
  const double gap = label == Label::kSimilar ? 1 - cosine : cosine - margin;
  if (!for_gradient) return {0, 0, cosine, gap, 0, 0};
  return {1 / norm1, 1 / norm2, cosine, gap, 0, 0};
}

// The squares of float32 are far from the ends of double. Each root by itself: with an extreme eps the product of the
// two leaves the range.
inline Cosine cosine_of(Sums<double> sums, Label label, double eps, double margin, bool for_gradient) {
  return cosine_of(sums.product, std::sqrt(sums.square1 + eps), std::sqrt(sums.square2 + eps), label, margin,
                   for_gradient);
}

// The tail in double-double rounds a cosine of 1 by up to 2^-102; what little is left of 1 - cos then is that.
constexpr double kRoundingOfOne = 0x1p-100;

inline double gap_of(DoubleDouble cosine, Label label, double margin) {
  if (label == Label::kDissimilar) return (cosine - DoubleDouble{margin, 0}).high;
  const double gap = (DoubleDouble{1, 0} - cosine).high;
  return std::fabs(gap) < kRoundingOfOne ? 0 : gap;
}

inline Cosine cosine_of(Sums<DoubleDouble> sums, Label label, double eps, double margin) {
  const DoubleDouble square1 = sums.square1 + DoubleDouble{eps, 0}, square2 = sums.square2 + DoubleDouble{eps, 0};
  if (square1.high == 0 || square2.high == 0) return directionless(sums.product.high, label, margin);
  const DoubleDouble cosine = sums.product / (sqrt(square1) * sqrt(square2));
  return {1 / std::sqrt(square1.high), 1 / std::sqrt(square2.high), cosine.high, gap_of(cosine, label, margin), 0, 0};
}

inline double loss_of(Label label, const Cosine &cosine) {
  double loss = label == Label::kIgnored ? 0 : cosine.gap;
  if (loss < 0) loss = 0;
  return loss;
}

// The exponent that brings x, and sqrt(eps) beside it, to about 1; 0 for zeros and for what is not finite.
inline int exponent_of(const double *x, int64_t length, int64_t stride, double eps) {
  double largest = std::sqrt(eps);
  for (int64_t i = 0; i < length; ++i) largest = std::fmax(largest, std::fabs(x[i * stride]));
  return largest == 0 || largest > 0x1.fffffffffffffp+1023 ? 0 : std::ilogb(largest);
}

// For rows of float64 whose squares leave the range: all is scaled by powers of two first.
inline Cosine scaled_cosine(const double *x1, const double *x2, int64_t length, int64_t stride1, int64_t stride2,
                            Label label, double eps, double margin) {
  const int exponent1 = exponent_of(x1, length, stride1, eps), exponent2 = exponent_of(x2, length, stride2, eps);
  Sums<DoubleDouble> sums = {{0, 0}, {0, 0}, {0, 0}};
  for (int64_t i = 0; i < length; ++i) {
    const double a = std::ldexp(x1[i * stride1], -exponent1), b = std::ldexp(x2[i * stride2], -exponent2);
    sums.product = sums.product + two_product(a, b);
    sums.square1 = sums.square1 + two_product(a, a);
    sums.square2 = sums.square2 + two_product(b, b);
  }
  // The two vectors have an eps of their own now, so it is added here.
  sums.square1 = sums.square1 + DoubleDouble{std::ldexp(eps, -2 * exponent1), 0};
  sums.square2 = sums.square2 + DoubleDouble{std::ldexp(eps, -2 * exponent2), 0};
  Cosine result = cosine_of(sums, label, 0, margin);
  result.exponent1 = exponent1;
  result.exponent2 = exponent2;
  return result;
}

inline bool is_between(double value, double low, double high) { return value >= low && value <= high; }

// Whether the sums of the first attempt hold: inside the range of the arithmetic, and, where what is asked of them is
// a small difference, not used up by it. Only the gradient asks for one of vectors near parallel, and parallel they are
// by their own angle, which the cosine does not tell where eps has a share in the norms.
template <class T>
inline bool suffices(const Sums<double> &sums, const Cosine &found, bool for_gradient) {
  if (!std::is_same_v<T, float> &&
      !(is_between(sums.square1, 0x1p-60, 0x1p120) && is_between(sums.square2, 0x1p-60, 0x1p120))) {
    return false;
  }
  if (std::fabs(found.gap) < Near<T>::kGap) return false;
  constexpr double kMax = 1 - Near<T>::kGap;
  return !(for_gradient && sums.product * sums.product > kMax * kMax * sums.square1 * sums.square2);
}

inline bool is_in_range(const Sums<DoubleDouble> &sums, double eps) {
  return is_between(sums.square1.high + eps, 0x1p-480, 0x1p480) &&
         is_between(sums.square2.high + eps, 0x1p-480, 0x1p480);
}

// What the rounding of exact sums and of the tail can make of cos - margin: Dot2 is off by up to 2 (length * 2^-53)^2
// of the product of the norms.
inline double error_of_gap(int64_t length) {
  const double terms = static_cast<double>(length) + 4;
  return terms * terms * 0x1p-103;
}

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_TAIL_H_
