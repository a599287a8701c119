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

// The arithmetic of the loss: sums along the vectors, the scalar tail of each pair, and the gradients. This file is
// compiled once for each instruction set, under another value of MS_COSINE_LOSS_INSTRUCTION_SET. README.md beside it
// says why the numbers come out right.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "double_double.h"
#include "element.h"
#include "hinge.h"
#include "pairs.h"
#include "problem.h"
#include "vectors.h"

namespace ms_cosine_loss {
namespace {

// The sums of a pair: x1·x2, x1·x1, x2·x2.
template <class Number>
struct Sums {
  Number product;
  Number square1;
  Number square2;
};

// The same to twice the precision of double, and whether it is known that nothing of the product was rounded.
struct ExactSums : Sums<DoubleDouble> {
  bool is_product_exact;
};

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

// Elements that a lane adds up before it hands on: rounding errors grow with the number of additions in a row.
constexpr int64_t kRun = 4096;
constexpr int64_t kRunOfFloats = 32;

// The last elements of a row, too few for a register, with zeros behind them.
template <class T, class Use>
inline void load_rest(const T *x1, const T *x2, int64_t count, Use use) {
  T rest1[2 * kWidth32] = {};
  T rest2[2 * kWidth32] = {};
  std::memcpy(rest1, x1, count * sizeof(T));
  std::memcpy(rest2, x2, count * sizeof(T));
  use(rest1, rest2);
}

#if defined(__AVX2__) && !defined(__AVX512F__)
constexpr int kUnrolled = 4;
#else
constexpr int kUnrolled = 2;
#endif

// Three sums of contiguous float32 rows, in double: the products are exact.
inline Sums<double> sums_of_rows(const float *x1, const float *x2, int64_t length) {
  Sums<double> total = {0, 0, 0};
  for (int64_t start = 0; start < length; start += kRun) {
    const int64_t end = length - start < kRun ? length : start + kRun;
    Doubles product[kUnrolled] = {}, square1[kUnrolled] = {}, square2[kUnrolled] = {};
    int64_t i = start;
    for (; i + kUnrolled * kWidth <= end; i += kUnrolled * kWidth) {
      for (int k = 0; k < kUnrolled; ++k) {
        const Doubles a = load(x1 + i + k * kWidth), b = load(x2 + i + k * kWidth);
        product[k] = fused_multiply_add(a, b, product[k]);
        square1[k] = fused_multiply_add(a, a, square1[k]);
        square2[k] = fused_multiply_add(b, b, square2[k]);
      }
    }
    for (; i < end; i += kWidth) {
      Doubles a, b;
      if (i + kWidth <= end) {
        a = load(x1 + i), b = load(x2 + i);
      } else {
        load_rest(x1 + i, x2 + i, end - i,
                  [&](const float *from1, const float *from2) { a = load(from1), b = load(from2); });
      }
      product[0] = fused_multiply_add(a, b, product[0]);
      square1[0] = fused_multiply_add(a, a, square1[0]);
      square2[0] = fused_multiply_add(b, b, square2[0]);
    }
    for (int k = 1; k < kUnrolled; ++k) {
      product[0] += product[k], square1[0] += square1[k], square2[0] += square2[k];
    }
    total.product += sum_of_lanes(product[0]);
    total.square1 += sum_of_lanes(square1[0]);
    total.square2 += sum_of_lanes(square2[0]);
  }
  return total;
}

// The same of half types: products of 11 bits are exact in float32, and short runs of them are added in it.
template <class Half>
inline Sums<double> sums_of_rows(const Half *x1, const Half *x2, int64_t length) {
  constexpr int kStep = 2 * kWidth32;
  Doubles product = {}, square1 = {}, square2 = {};
  for (int64_t start = 0; start < length; start += kRunOfFloats * kStep) {
    const int64_t end = length - start < kRunOfFloats * kStep ? length : start + kRunOfFloats * kStep;
    TwoFloats run_of_product = {}, run_of_square1 = {}, run_of_square2 = {};
    const auto add = [&](const Half *from1, const Half *from2) {
      const TwoFloats a = load_two(from1), b = load_two(from2);
      run_of_product.first = fused_multiply_add(a.first, b.first, run_of_product.first);
      run_of_product.second = fused_multiply_add(a.second, b.second, run_of_product.second);
      run_of_square1.first = fused_multiply_add(a.first, a.first, run_of_square1.first);
      run_of_square1.second = fused_multiply_add(a.second, a.second, run_of_square1.second);
      run_of_square2.first = fused_multiply_add(b.first, b.first, run_of_square2.first);
      run_of_square2.second = fused_multiply_add(b.second, b.second, run_of_square2.second);
    };
    int64_t i = start;
    for (; i + kStep <= end; i += kStep) add(x1 + i, x2 + i);
    if (i < end) load_rest(x1 + i, x2 + i, end - i, add);
    product += sum_of_halves(run_of_product.first + run_of_product.second);
    square1 += sum_of_halves(run_of_square1.first + run_of_square1.second);
    square2 += sum_of_halves(run_of_square2.first + run_of_square2.second);
  }
  return {sum_of_lanes(product), sum_of_lanes(square1), sum_of_lanes(square2)};
}

// A sum of products with the roundings of both operations kept (Ogita, Rump and Oishi's Dot2), in lanes.
struct CompensatedLanes {
  Doubles sum = {};
  Doubles compensation = {};
  // Not 0 where a sum was rounded.
  Longs rounded = {};

  template <bool kIsExact>
  void add_product(Doubles a, Doubles b) {
    const Doubles product = a * b;
    Doubles error;
    sum = two_sum(sum, product, &error);
    if (!kIsExact) error += error_of_product(a, b, product);
    compensation += error;
    rounded |= reinterpret_cast<Longs>(error);
  }
  DoubleDouble total() const {
    DoubleDouble result = {0, 0};
    for (int i = 0; i < kWidth; ++i) result = result + normalized(sum[i], compensation[i]);
    return result;
  }
  // Whether total() is a sum without any rounding.
  bool is_exact() const {
    double all = 0, error;
    for (int i = 0; i < kWidth; ++i) {
      all = two_sum(all, sum[i], &error);
      if (rounded[i] != 0 || error != 0) return false;
    }
    return true;
  }
};

// Three sums of contiguous rows to twice the precision of double.
template <class T>
inline ExactSums exact_sums_of_rows(const T *x1, const T *x2, int64_t length) {
  constexpr bool kIsExact = !std::is_same_v<T, double>;
  CompensatedLanes product, square1, square2;
  const auto add = [&](const T *from1, const T *from2) {
    const Doubles a = load(from1), b = load(from2);
    product.add_product<kIsExact>(a, b);
    square1.add_product<kIsExact>(a, a);
    square2.add_product<kIsExact>(b, b);
  };
  int64_t i = 0;
  for (; i + kWidth <= length; i += kWidth) add(x1 + i, x2 + i);
  if (i < length) load_rest(x1 + i, x2 + i, length - i, add);
  return {{product.total(), square1.total(), square2.total()}, kIsExact && product.is_exact()};
}

// kWidth lanes of one element each; a broadcast input has the same in all.
template <class T>
inline Doubles load_lanes(const T *from, int64_t lane_stride, int64_t count) {
  if (lane_stride == 0) return Doubles{} + widened(*from);
  if (count >= kWidth) return load(from);
  T rest[kWidth] = {};
  std::memcpy(rest, from, count * sizeof(T));
  return load(rest);
}

// Three sums for each of `count` lanes, whose elements lie `stride` apart.
template <class T>
inline void sums_of_lanes(const Problem &problem, const T *x1, const T *x2, int count, Sums<double> *sums) {
  constexpr int kVectors = kMaxLanes / kWidth;
  Doubles product[kVectors] = {}, square1[kVectors] = {}, square2[kVectors] = {};
  const int vectors = (count + kWidth - 1) / kWidth;
  for (int64_t start = 0; start < problem.length; start += kRun) {
    const int64_t end = problem.length - start < kRun ? problem.length : start + kRun;
    Doubles run_of_product[kVectors] = {}, run_of_square1[kVectors] = {}, run_of_square2[kVectors] = {};
    for (int64_t element = start; element < end; ++element) {
      const T *from1 = x1 + element * problem.stride1, *from2 = x2 + element * problem.stride2;
      for (int v = 0; v < vectors; ++v) {
        const int64_t lane = v * kWidth;
        const Doubles a = load_lanes(from1 + lane * problem.lane_stride1, problem.lane_stride1, count - lane);
        const Doubles b = load_lanes(from2 + lane * problem.lane_stride2, problem.lane_stride2, count - lane);
        run_of_product[v] = fused_multiply_add(a, b, run_of_product[v]);
        run_of_square1[v] = fused_multiply_add(a, a, run_of_square1[v]);
        run_of_square2[v] = fused_multiply_add(b, b, run_of_square2[v]);
      }
    }
    for (int v = 0; v < vectors; ++v) {
      product[v] += run_of_product[v], square1[v] += run_of_square1[v], square2[v] += run_of_square2[v];
    }
  }
  for (int lane = 0; lane < count; ++lane) {
    const int v = lane / kWidth, i = lane % kWidth;
    sums[lane] = {product[v][i], square1[v][i], square2[v][i]};
  }
}

template <class T>
inline void exact_sums_of_lanes(const Problem &problem, const T *x1, const T *x2, int count, ExactSums *sums) {
  constexpr bool kIsExact = !std::is_same_v<T, double>;
  constexpr int kVectors = kMaxLanes / kWidth;
  CompensatedLanes product[kVectors], square1[kVectors], square2[kVectors];
  const int vectors = (count + kWidth - 1) / kWidth;
  for (int64_t element = 0; element < problem.length; ++element) {
    const T *from1 = x1 + element * problem.stride1, *from2 = x2 + element * problem.stride2;
    for (int v = 0; v < vectors; ++v) {
      const int64_t lane = v * kWidth;
      const Doubles a = load_lanes(from1 + lane * problem.lane_stride1, problem.lane_stride1, count - lane);
      const Doubles b = load_lanes(from2 + lane * problem.lane_stride2, problem.lane_stride2, count - lane);
      product[v].template add_product<kIsExact>(a, b);
      square1[v].template add_product<kIsExact>(a, a);
      square2[v].template add_product<kIsExact>(b, b);
    }
  }
  for (int lane = 0; lane < count; ++lane) {
    const int v = lane / kWidth, i = lane % kWidth;
    sums[lane] = {{normalized(product[v].sum[i], product[v].compensation[i]),
                   normalized(square1[v].sum[i], square1[v].compensation[i]),
                   normalized(square2[v].sum[i], square2[v].compensation[i])},
                  kIsExact && product[v].rounded[i] == 0};
  }
}

// A row without direction: eps is 0 and one of the vectors too. NaN in the other one still shows in `product`.
inline Cosine directionless(double product, Label label, double margin) {
  const double cosine = 0 * product;
  return {0, 0, cosine, label == Label::kSimilar ? 1 - cosine : cosine - margin, 0, 0};
}

// The squares of float32 are far from the ends of double. Only the gradient needs the inverse norms.
inline Cosine cosine_of(Sums<double> sums, Label label, double eps, double margin, bool for_gradient) {
  const double square1 = sums.square1 + eps, square2 = sums.square2 + eps;
  if (square1 == 0 || square2 == 0) return directionless(sums.product, label, margin);
  // Each by itself: with an extreme eps the product of the two leaves the range.
  const double norm1 = std::sqrt(square1), norm2 = std::sqrt(square2);
  const double cosine = sums.product / (norm1 * norm2);
  const double gap = label == Label::kSimilar ? 1 - cosine : cosine - margin;
  if (!for_gradient) return {0, 0, cosine, gap, 0, 0};
  return {1 / norm1, 1 / norm2, cosine, gap, 0, 0};
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

// Some pairs side by side, or one contiguous row.
template <class T>
struct Block {
  const T *x1;
  const T *x2;
  int64_t offset1;
  int64_t offset2;
  int64_t first_pair;
  int count;
};

template <class T>
inline Block<T> block_at(const Problem &problem, int64_t index) {
  const int64_t blocks = problem.blocks_per_group();
  const int64_t group = blocks == 1 ? index : index / blocks;
  const int64_t lane = blocks == 1 ? 0 : (index - group * blocks) * kMaxLanes;
  int64_t rest = group, offset1 = lane * problem.lane_stride1, offset2 = lane * problem.lane_stride2;
  for (int axis = problem.axes_count - 1; axis > 0; --axis) {
    const BatchAxis &batch = problem.axes[axis];
    const int64_t position = rest % batch.length;
    rest /= batch.length;
    offset1 += position * batch.stride1;
    offset2 += position * batch.stride2;
  }
  if (problem.axes_count > 0) {
    offset1 += rest * problem.axes[0].stride1;
    offset2 += rest * problem.axes[0].stride2;
  }
  const int64_t lanes = problem.lanes - lane;
  return {static_cast<const T *>(problem.x1) + offset1,
          static_cast<const T *>(problem.x2) + offset2,
          offset1,
          offset2,
          group * problem.lanes + lane,
          static_cast<int>(lanes < kMaxLanes ? lanes : kMaxLanes)};
}

// What the rounding of exact sums and of the tail can make of cos - margin: Dot2 is off by up to 2 (length * 2^-53)^2
// of the product of the norms.
inline double error_of_gap(int64_t length) {
  const double terms = static_cast<double>(length) + 4;
  return terms * terms * 0x1p-103;
}

// The hinge of a pair of a block, settled; a loss of 0 is one whatever the hinge. At margin 0 an exact product tells,
// such as that of rows without a common place, unless the cosine vanishes beside it.
template <class T>
inline void settle_hinge(const Problem &problem, const Block<T> &block, int pair, const ExactSums &sums, Label label,
                         bool for_gradient, Cosine *cosine) {
  if (label != Label::kDissimilar || !(for_gradient || cosine->gap > 0)) return;
  if (problem.margin == 0 && sums.is_product_exact && (cosine->gap != 0 || sums.product.high == 0)) return;
  cosine->gap = settled_gap(problem, block.x1 + pair * problem.lane_stride1, block.x2 + pair * problem.lane_stride2,
                            cosine->gap, error_of_gap(problem.length));
}

// The cosines of the pairs of a block whose labels count.
template <class T>
inline void cosines_of(const Problem &problem, const Block<T> &block, const Label *labels, bool for_gradient,
                       Cosine *cosines) {
  if constexpr (std::is_same_v<T, double>) {
    ExactSums sums[kMaxLanes];
    if (problem.has_rows) {
      sums[0] = exact_sums_of_rows(block.x1, block.x2, problem.length);
    } else {
      exact_sums_of_lanes(problem, block.x1, block.x2, block.count, sums);
    }
    for (int i = 0; i < block.count; ++i) {
      if (labels[i] == Label::kIgnored) continue;
      cosines[i] =
          is_in_range(sums[i], problem.eps)
              ? cosine_of(sums[i], labels[i], problem.eps, problem.margin)
              : scaled_cosine(block.x1 + i * problem.lane_stride1, block.x2 + i * problem.lane_stride2, problem.length,
                              problem.stride1, problem.stride2, labels[i], problem.eps, problem.margin);
      settle_hinge(problem, block, i, sums[i], labels[i], for_gradient, &cosines[i]);
    }
  } else {
    Sums<double> sums[kMaxLanes];
    if (problem.has_rows) {
      sums[0] = sums_of_rows(block.x1, block.x2, problem.length);
    } else {
      sums_of_lanes(problem, block.x1, block.x2, block.count, sums);
    }
    bool is_done[kMaxLanes];
    bool are_all_done = true;
    for (int i = 0; i < block.count; ++i) {
      is_done[i] = labels[i] == Label::kIgnored;
      if (is_done[i]) continue;
      cosines[i] = cosine_of(sums[i], labels[i], problem.eps, problem.margin, for_gradient);
      is_done[i] = suffices<T>(sums[i], cosines[i], for_gradient);
      are_all_done &= is_done[i];
    }
    if (are_all_done) return;
    ExactSums exact_sums[kMaxLanes];
    if (problem.has_rows) {
      exact_sums[0] = exact_sums_of_rows(block.x1, block.x2, problem.length);
    } else {
      exact_sums_of_lanes(problem, block.x1, block.x2, block.count, exact_sums);
    }
    for (int i = 0; i < block.count; ++i) {
      if (is_done[i]) continue;
      cosines[i] = cosine_of(exact_sums[i], labels[i], problem.eps, problem.margin);
      settle_hinge(problem, block, i, exact_sums[i], labels[i], for_gradient, &cosines[i]);
    }
  }
}

template <class T>
inline bool labels_of(const Problem &problem, const Block<T> &block, Label *labels) {
  bool is_any_counted = false;
  for (int i = 0; i < block.count; ++i) {
    labels[i] = label_of(problem, block.first_pair + i);
    is_any_counted |= labels[i] != Label::kIgnored;
  }
  return is_any_counted;
}

template <class T>
void forward_of(const Problem &problem, int64_t first_block, int64_t last_block, CompensatedSum *sum) {
  for (int64_t index = first_block; index < last_block; ++index) {
    const Block<T> block = block_at<T>(problem, index);
    Label labels[kMaxLanes];
    Cosine cosines[kMaxLanes];
    if (labels_of(problem, block, labels)) cosines_of(problem, block, labels, false, cosines);
    for (int i = 0; i < block.count; ++i) {
      double loss = labels[i] == Label::kIgnored ? 0 : cosines[i].gap;
      if (loss < 0) loss = 0;
      if (problem.reduction == Reduction::kNone) {
        set_number(loss, problem.losses, problem.losses_dtype, block.first_pair + i);
      } else {
        sum->add(loss);
      }
    }
  }
}

// The coefficients of a pair whose upstream gradient is `weight`.
inline Coefficients coefficients_of(const Cosine &cosine, double weight) {
  // With a tiny eps the factors of two vectors of zeros leave the range: 0 times infinity would be NaN.
  const auto bounded = [weight](double factor) {
    return std::isinf(factor) && std::isfinite(weight) ? std::copysign(0x1.fffffffffffffp+1023, factor) : factor;
  };
  return {bounded(weight * cosine.inverse1 * cosine.inverse2),
          bounded(-(weight * cosine.inverse1) * (cosine.cosine * cosine.inverse1)),
          bounded(-(weight * cosine.inverse2) * (cosine.cosine * cosine.inverse2)), cosine.exponent1, cosine.exponent2};
}

// The elements that are left over at the end of a row.
template <class T>
inline void write_rest(const Problem &problem, const Coefficients &by, const T *x1, const T *x2, int64_t from, T *to1,
                       T *to2) {
  for (int64_t i = from; i < problem.length; ++i) {
    const double a = widened(x1[i]), b = widened(x2[i]);
    narrow(by.across * b + by.along1 * a, to1 + i);
    narrow(by.across * a + by.along2 * b, to2 + i);
  }
}

template <bool kStream, class T>
inline void write_row(const Problem &problem, const Coefficients &by, const T *x1, const T *x2, T *to1, T *to2) {
  const auto write = [&](int64_t i) {
    const Doubles a = load(x1 + i), b = load(x2 + i);
    store<kStream>(fused_multiply_add(b, Doubles{} + by.across, a * by.along1), to1 + i);
    store<kStream>(fused_multiply_add(a, Doubles{} + by.across, b * by.along2), to2 + i);
  };
  int64_t i = 0;
  for (; i + kWidth32 <= problem.length; i += kWidth32) {
    write(i);
    write(i + kWidth);
  }
  write_rest(problem, by, x1, x2, i, to1, to2);
}

// The same in float32.
template <bool kStream, class T>
inline void write_row_in_floats(const Problem &problem, const Coefficients &by, const T *x1, const T *x2, T *to1,
                                T *to2) {
  const Floats across = Floats{} + static_cast<float>(by.across);
  const Floats along1 = Floats{} + static_cast<float>(by.along1);
  const Floats along2 = Floats{} + static_cast<float>(by.along2);
  int64_t i = 0;
  for (; i + 2 * kWidth32 <= problem.length; i += 2 * kWidth32) {
    const TwoFloats a = load_two(x1 + i), b = load_two(x2 + i);
    store_two<kStream>({fused_multiply_add(b.first, across, a.first * along1),
                        fused_multiply_add(b.second, across, a.second * along1)},
                       to1 + i);
    store_two<kStream>({fused_multiply_add(a.first, across, b.first * along2),
                        fused_multiply_add(a.second, across, b.second * along2)},
                       to2 + i);
  }
  write_rest(problem, by, x1, x2, i, to1, to2);
}

// The cosine up to which float32 serves for the two terms of a gradient, which cancel towards ±1. Rounding is far below
// the half types, and below 2.3 ulp of float32 itself.
template <class T>
constexpr double kMaxCosineInFloats = std::is_same_v<T, float> ? 0.8 : 1 - Near<T>::kGap;

// Whether float32 can carry the coefficients of a pair, and all that they are multiplied with. What cancels goes by the
// angle of the vectors themselves, which the cosine does not tell where eps has a share in the norms.
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
  const Coefficients by = coefficients_of(cosine, weight);
  if constexpr (!std::is_same_v<T, double>) {
    if (fits_floats<T>(cosine, weight, problem.eps)) return write_row_in_floats<kStream>(problem, by, x1, x2, to1, to2);
  }
  write_row<kStream>(problem, by, x1, x2, to1, to2);
}

template <class T>
inline bool can_stream(const Problem &problem, const T *to1, const T *to2) {
  constexpr uintptr_t kAlignment = 8 * kWidth;
  return problem.can_stream && reinterpret_cast<uintptr_t>(to1) % kAlignment == 0 &&
         reinterpret_cast<uintptr_t>(to2) % kAlignment == 0;
}

// Some pairs side by side; a pair that does not count has no bits kept.
template <class T>
inline void write_lanes(const Problem &problem, const Block<T> &block, const Coefficients *by, const bool *counts,
                        T *to1, T *to2) {
  double across[kMaxLanes] = {}, along1[kMaxLanes] = {}, along2[kMaxLanes] = {};
  int64_t kept[kMaxLanes] = {};
  for (int i = 0; i < block.count; ++i) {
    if (!counts[i]) continue;
    across[i] = by[i].across, along1[i] = by[i].along1, along2[i] = by[i].along2, kept[i] = -1;
  }
  for (int64_t element = 0; element < problem.length; ++element) {
    const int64_t at1 = element * problem.stride1, at2 = element * problem.stride2;
    for (int lane = 0; lane < block.count; lane += kWidth) {
      const int count = block.count - lane;
      const Longs mask = load_bits<Longs>(kept + lane);
      const Doubles a = masked(load_lanes(block.x1 + at1 + lane, 1, count), mask);
      const Doubles b = masked(load_lanes(block.x2 + at2 + lane, 1, count), mask);
      const Doubles c = load(across + lane);
      const Doubles gradient1 = fused_multiply_add(b, c, a * load(along1 + lane));
      const Doubles gradient2 = fused_multiply_add(a, c, b * load(along2 + lane));
      if (count >= kWidth) {
        store<false>(gradient1, to1 + at1 + lane);
        store<false>(gradient2, to2 + at2 + lane);
      } else {
        for (int i = 0; i < count; ++i) {
          narrow(gradient1[i], to1 + at1 + lane + i);
          narrow(gradient2[i], to2 + at2 + lane + i);
        }
      }
    }
  }
}

// The gradients of one pair that was scaled; the scales are taken back last.
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
      std::memset(static_cast<void *>(to1), 0, problem.length * sizeof(T));
      std::memset(static_cast<void *>(to2), 0, problem.length * sizeof(T));
    } else if (is_scaled(cosines[0])) {
      write_scaled(problem, cosines[0], weights[0], block.x1, block.x2, to1, to2);
    } else if (can_stream(problem, to1, to2)) {
      write_row_of<true>(problem, cosines[0], weights[0], block.x1, block.x2, to1, to2);
    } else {
      write_row_of<false>(problem, cosines[0], weights[0], block.x1, block.x2, to1, to2);
    }
    return;
  }
  Coefficients by[kMaxLanes];
  for (int i = 0; i < block.count; ++i) {
    if (counts[i]) by[i] = coefficients_of(cosines[i], weights[i]);
  }
  write_lanes(problem, block, by, counts, to1, to2);
  for (int i = 0; i < block.count; ++i) {
    if (!counts[i] || !is_scaled(cosines[i])) continue;
    write_scaled(problem, cosines[i], weights[i], block.x1 + i, block.x2 + i, to1 + i, to2 + i);
  }
}

template <class T>
inline void write_coefficients(const Problem &problem, const Block<T> &block, const Cosine *cosines,
                               const double *weights, const bool *counts) {
  for (int i = 0; i < block.count; ++i) {
    problem.coefficients[block.first_pair + i] =
        counts[i] ? coefficients_of(cosines[i], weights[i]) : Coefficients{0, 0, 0, 0, 0};
  }
}

template <class T>
void backward_of(const Problem &problem, int64_t first_block, int64_t last_block, CompensatedSum *by_margin) {
  for (int64_t index = first_block; index < last_block; ++index) {
    const Block<T> block = block_at<T>(problem, index);
    Label labels[kMaxLanes];
    Cosine cosines[kMaxLanes];
    double weights[kMaxLanes];
    bool counts[kMaxLanes] = {};
    if (labels_of(problem, block, labels)) cosines_of(problem, block, labels, true, cosines);
    for (int i = 0; i < block.count; ++i) {
      if (labels[i] == Label::kIgnored) continue;
      // A closed hinge; NaN is not below 0.
      if (labels[i] == Label::kDissimilar && cosines[i].gap < 0) continue;
      const double weight = upstream_of(problem, block.first_pair + i);
      weights[i] = labels[i] == Label::kSimilar ? -weight : weight;
      if (labels[i] == Label::kDissimilar) by_margin->add(-weight);
      counts[i] = true;
    }
    if (problem.coefficients != nullptr) {
      write_coefficients(problem, block, cosines, weights, counts);
    } else {
      write_gradients(problem, block, cosines, weights, counts);
    }
  }
  if (problem.can_stream) finish_streaming();
}

void forward(const Problem &problem, int64_t first_block, int64_t last_block, CompensatedSum *sum) {
  switch (problem.dtype) {
    case Dtype::kFloat16:
      return forward_of<Float16>(problem, first_block, last_block, sum);
    case Dtype::kBFloat16:
      return forward_of<BFloat16>(problem, first_block, last_block, sum);
    case Dtype::kFloat32:
      return forward_of<float>(problem, first_block, last_block, sum);
    default:
      return forward_of<double>(problem, first_block, last_block, sum);
  }
}

void backward(const Problem &problem, int64_t first_block, int64_t last_block, CompensatedSum *by_margin) {
  switch (problem.dtype) {
    case Dtype::kFloat16:
      return backward_of<Float16>(problem, first_block, last_block, by_margin);
    case Dtype::kBFloat16:
      return backward_of<BFloat16>(problem, first_block, last_block, by_margin);
    case Dtype::kFloat32:
      return backward_of<float>(problem, first_block, last_block, by_margin);
    default:
      return backward_of<double>(problem, first_block, last_block, by_margin);
  }
}

}  // namespace

#define MS_COSINE_LOSS_NAME_OF(set) MS_COSINE_LOSS_TEXT(set)
#define MS_COSINE_LOSS_TEXT(set) #set

extern const InstructionSet MS_COSINE_LOSS_INSTRUCTION_SET;
const InstructionSet MS_COSINE_LOSS_INSTRUCTION_SET = {MS_COSINE_LOSS_NAME_OF(MS_COSINE_LOSS_INSTRUCTION_SET), forward,
                                                       backward};

}  // namespace ms_cosine_loss
