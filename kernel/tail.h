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

// From the sums of a pair to its cosine, loss and inverse norms, and whether they are accurate enough.
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

// The result of the tail. `unclamped_loss` is 1 - cos for a similar pair and cos - margin for a dissimilar one. The
// inverse norms are those of x * 2^-exponent.
struct Cosine {
  double inverse1;
  double inverse2;
  double cosine;
  double unclamped_loss;
  int exponent1;
  int exponent2;
};

// Below this unclamped loss, cancellation makes sums in double (half types: float32) too inaccurate, and they are
// refined.
template <class T>
struct Near {
  static constexpr double kRefineBelow = 0x1p-9;
};
template <>
struct Near<float> {
  static constexpr double kRefineBelow = 0x1p-14;
};

// A pair with a zero norm: eps and one of the vectors are 0. NaN in the other vector is still in `product`.
inline Cosine zero_norm(double product, Label label, double margin) {
  const double cosine = 0 * product;
  return {0, 0, cosine, label == Label::kSimilar ? 1 - cosine : cosine - margin, 0, 0};
}

// By the norms, eps included. Only the gradient needs their inverses.
inline Cosine cosine_of(double product, double norm1, double norm2, Label label, double margin, bool for_gradient) {
  if (norm1 == 0 || norm2 == 0) return zero_norm(product, label, margin);
  const double cosine = product / (norm1 * norm2);
  const double unclamped_loss = label == Label::kSimilar ? 1 - cosine : cosine - margin;
  if (!for_gradient) return {0, 0, cosine, unclamped_loss, 0, 0};
  return {1 / norm1, 1 / norm2, cosine, unclamped_loss, 0, 0};
}

// The squares of float32 are far from the ends of double. Each root by itself: with an extreme eps the product of the
// two leaves the range.
inline Cosine cosine_of(Sums<double> sums, Label label, double eps, double margin, bool for_gradient) {
  return cosine_of(sums.product, std::sqrt(sums.square1 + eps), std::sqrt(sums.square2 + eps), label, margin,
                   for_gradient);
}

// The tail in double-double rounds a cosine of 1 by up to 2^-102; what little is left of 1 - cos then is that.
constexpr double kRoundingOfOne = 0x1p-100;

inline double unclamped_loss_of(DoubleDouble cosine, Label label, double margin) {
  if (label == Label::kDissimilar) return (cosine - DoubleDouble{margin, 0}).high;
  const double unclamped_loss = (DoubleDouble{1, 0} - cosine).high;
  return std::fabs(unclamped_loss) < kRoundingOfOne ? 0 : unclamped_loss;
}

inline Cosine cosine_of(Sums<DoubleDouble> sums, Label label, double eps, double margin) {
  const DoubleDouble square1 = sums.square1 + DoubleDouble{eps, 0}, square2 = sums.square2 + DoubleDouble{eps, 0};
  if (square1.high == 0 || square2.high == 0) return zero_norm(sums.product.high, label, margin);
  const DoubleDouble cosine = sums.product / (sqrt(square1) * sqrt(square2));
  return {1 / std::sqrt(square1.high),
          1 / std::sqrt(square2.high),
          cosine.high,
          unclamped_loss_of(cosine, label, margin),
          0,
          0};
}

inline double loss_of(Label label, const Cosine &cosine) {
  double loss = label == Label::kIgnored ? 0 : cosine.unclamped_loss;
  if (loss < 0) loss = 0;
  return loss;
}

// The exponent that scales x and sqrt(eps) to about 1; 0 for zeros and for values that are not finite.
inline int exponent_of(const double *x, int64_t length, int64_t stride, double eps) {
  double largest = std::sqrt(eps);
  for (int64_t i = 0; i < length; ++i) largest = std::fmax(largest, std::fabs(x[i * stride]));
  return largest == 0 || largest > 0x1.fffffffffffffp+1023 ? 0 : std::ilogb(largest);
}

// For float64 rows whose squares overflow or underflow: both are scaled by powers of two first.
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
  // Each scaled vector has its own eps, so it is added here.
  sums.square1 = sums.square1 + DoubleDouble{std::ldexp(eps, -2 * exponent1), 0};
  sums.square2 = sums.square2 + DoubleDouble{std::ldexp(eps, -2 * exponent2), 0};
  Cosine result = cosine_of(sums, label, 0, margin);
  result.exponent1 = exponent1;
  result.exponent2 = exponent2;
  return result;
}

inline bool is_between(double value, double low, double high) { return value >= low && value <= high; }

// Whether the first sums are accurate enough: they are in the range of the arithmetic, and the result is not a small
// difference of them. Gradients are, for nearly parallel vectors; that depends on the angle between the vectors, which
// the cosine does not show if eps contributes to the norms.
template <class T>
inline bool is_accurate_enough(const Sums<double> &sums, const Cosine &found, bool for_gradient) {
  if (!std::is_same_v<T, float> &&
      !(is_between(sums.square1, 0x1p-60, 0x1p120) && is_between(sums.square2, 0x1p-60, 0x1p120))) {
    return false;
  }
  if (std::fabs(found.unclamped_loss) < Near<T>::kRefineBelow) return false;
  constexpr double kMax = 1 - Near<T>::kRefineBelow;
  return !(for_gradient && sums.product * sums.product > kMax * kMax * sums.square1 * sums.square2);
}

inline bool is_in_range(const Sums<DoubleDouble> &sums, double eps) {
  return is_between(sums.square1.high + eps, 0x1p-480, 0x1p480) &&
         is_between(sums.square2.high + eps, 0x1p-480, 0x1p480);
}

// The error bound of cos - margin with refined sums: that of Dot2 is 2 (length * 2^-53)^2 of the product of the norms.
inline double error_of_loss(int64_t length) {
  const double terms = static_cast<double>(length) + 4;
  return terms * terms * 0x1p-103;
}

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_TAIL_H_
