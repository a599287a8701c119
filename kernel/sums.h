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

// The three sums of a pair, in lanes: fast, and in twice the precision of double. README.md explains their accuracy.
#ifndef MS_COSINE_LOSS_KERNEL_SUMS_H_
#define MS_COSINE_LOSS_KERNEL_SUMS_H_

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "double_double.h"
#include "problem.h"
#include "vectors.h"

namespace ms_cosine_loss {
// Internal linkage, for the reason given in element.h.
namespace {

// The sums of a pair: x1·x2, x1·x1, x2·x2.
template <class Number>
struct Sums {
  Number product;
  Number square1;
  Number square2;
};

// The same in twice the precision of double, and whether the product is known to be exact.
struct ExactSums : Sums<DoubleDouble> {
  bool is_product_exact;
};

// The elements that a lane sums before it passes the sum on: rounding errors grow with consecutive additions.
constexpr int64_t kRun = 4096;
constexpr int64_t kRunOfFloats = 32;

// The last elements of a row, too few for a register, with zeros behind them.
template <class T, class Use>
inline void load_remainder(const T *x1, const T *x2, int64_t count, Use use) {
  T rest1[2 * kWidth32] = {};
  T rest2[2 * kWidth32] = {};
  std::memcpy(rest1, x1, count * sizeof(T));
  std::memcpy(rest2, x2, count * sizeof(T));
  use(rest1, rest2);
}

// Three sums of contiguous float32 rows, in double: the products are exact.
inline Sums<double> sums_of_rows(const float *x1, const float *x2, int64_t length) {
  constexpr int kStep = kUnrolled * kWidth;
  Sums<double> total = {0, 0, 0};
  for (int64_t start = 0; start < length; start += kRun) {
    const int64_t end = length - start < kRun ? length : start + kRun;
    Doubles product[kUnrolled] = {}, square1[kUnrolled] = {}, square2[kUnrolled] = {};
    int64_t i = start;
    for (; i + kStep <= end; i += kStep) {
      fetch_ahead<kStep * sizeof(float)>(x1 + i);
      fetch_ahead<kStep * sizeof(float)>(x2 + i);
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
        load_remainder(x1 + i, x2 + i, end - i,
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
    // Inlined late, GCC stores all six sums at each step on aarch64.
    const auto add = [&](const Half *from1, const Half *from2) __attribute__((always_inline)) {
      const TwoFloats a = load_two(from1), b = load_two(from2);
      run_of_product.first = fused_multiply_add(a.first, b.first, run_of_product.first);
      run_of_product.second = fused_multiply_add(a.second, b.second, run_of_product.second);
      run_of_square1.first = fused_multiply_add(a.first, a.first, run_of_square1.first);
      run_of_square1.second = fused_multiply_add(a.second, a.second, run_of_square1.second);
      run_of_square2.first = fused_multiply_add(b.first, b.first, run_of_square2.first);
      run_of_square2.second = fused_multiply_add(b.second, b.second, run_of_square2.second);
    };
    int64_t i = start;
    for (; i + kStep <= end; i += kStep) {
      fetch_ahead<kStep * sizeof(Half)>(x1 + i);
      fetch_ahead<kStep * sizeof(Half)>(x2 + i);
      add(x1 + i, x2 + i);
    }
    if (i < end) load_remainder(x1 + i, x2 + i, end - i, add);
    product += sum_of_halves(run_of_product.first + run_of_product.second);
    square1 += sum_of_halves(run_of_square1.first + run_of_square1.second);
    square2 += sum_of_halves(run_of_square2.first + run_of_square2.second);
  }
  return {sum_of_lanes(product), sum_of_lanes(square1), sum_of_lanes(square2)};
}

// A sum of products that keeps the rounding errors of both operations (Ogita, Rump and Oishi's Dot2), in lanes.
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
  if (i < length) load_remainder(x1 + i, x2 + i, length - i, add);
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

// Asks memory for the lanes of an element 2 KiB of them ahead, of the `left` elements from this one on: the processor's
// own prefetching does not follow strides of pages.
template <class T>
inline void fetch_lanes_ahead(const T *from, int64_t stride, int64_t left, int64_t lane_stride, int count) {
  constexpr int64_t kAhead = 2048 / (kMaxLanes * sizeof(T)), kLine = 64;
  const uintptr_t address = reinterpret_cast<uintptr_t>(from) + (left > kAhead ? kAhead : 0) * stride * sizeof(T);
  const int64_t bytes = (lane_stride == 0 ? 1 : count) * sizeof(T);
  for (int64_t i = 0; i < bytes; i += kLine) __builtin_prefetch(reinterpret_cast<const void *>(address + i));
}

// Three sums for each of `count` lanes, whose elements lie `stride` apart.
template <class T>
inline void sums_of_lanes_in_doubles(const Problem &problem, const T *x1, const T *x2, int count, Sums<double> *sums) {
  constexpr int kVectors = kMaxLanes / kWidth;
  Doubles product[kVectors] = {}, square1[kVectors] = {}, square2[kVectors] = {};
  const int vectors = (count + kWidth - 1) / kWidth;
  for (int64_t start = 0; start < problem.length; start += kRun) {
    const int64_t end = problem.length - start < kRun ? problem.length : start + kRun;
    Doubles run_of_product[kVectors] = {}, run_of_square1[kVectors] = {}, run_of_square2[kVectors] = {};
    for (int64_t element = start; element < end; ++element) {
      const T *from1 = x1 + element * problem.stride1, *from2 = x2 + element * problem.stride2;
      fetch_lanes_ahead(from1, problem.stride1, problem.length - element, problem.lane_stride1, count);
      fetch_lanes_ahead(from2, problem.stride2, problem.length - element, problem.lane_stride2, count);
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

// Sums of lanes, three for each, in the order of load_two.
struct TwoSums {
  double product[kTwo];
  double square1[kTwo];
  double square2[kTwo];
};

// sums += values
inline void add(const TwoFloats &values, double *sums) {
  const TwoDoubles first = widened(values.first), second = widened(values.second);
  const Doubles added[4] = {first.first, first.second, second.first, second.second};
  for (int k = 0; k < 4; ++k) store<false>(load(sums + k * kWidth) + added[k], sums + k * kWidth);
}

// The same of half types, in float32 in short runs, as of rows. For whole registers of lanes.
template <class Half>
inline void sums_of_lanes_in_floats(const Problem &problem, const Half *x1, const Half *x2, int count,
                                    Sums<double> *sums) {
  constexpr int kMaxGroups = kMaxLanes / kTwo;
  const int groups = count / kTwo;
  TwoSums totals[kMaxGroups] = {};
  for (int64_t start = 0; start < problem.length; start += kRunOfFloats) {
    const int64_t end = problem.length - start < kRunOfFloats ? problem.length : start + kRunOfFloats;
    TwoFloats product[kMaxGroups] = {}, square1[kMaxGroups] = {}, square2[kMaxGroups] = {};
    for (int64_t element = start; element < end; ++element) {
      const Half *from1 = x1 + element * problem.stride1, *from2 = x2 + element * problem.stride2;
      fetch_lanes_ahead(from1, problem.stride1, problem.length - element, 1, count);
      fetch_lanes_ahead(from2, problem.stride2, problem.length - element, 1, count);
      for (int g = 0; g < groups; ++g) {
        const TwoFloats a = load_two(from1 + g * kTwo), b = load_two(from2 + g * kTwo);
        product[g].first = fused_multiply_add(a.first, b.first, product[g].first);
        product[g].second = fused_multiply_add(a.second, b.second, product[g].second);
        square1[g].first = fused_multiply_add(a.first, a.first, square1[g].first);
        square1[g].second = fused_multiply_add(a.second, a.second, square1[g].second);
        square2[g].first = fused_multiply_add(b.first, b.first, square2[g].first);
        square2[g].second = fused_multiply_add(b.second, b.second, square2[g].second);
      }
    }
    for (int g = 0; g < groups; ++g) {
      add(product[g], totals[g].product);
      add(square1[g], totals[g].square1);
      add(square2[g], totals[g].square2);
    }
  }
  for (int lane = 0; lane < count; ++lane) {
    const TwoSums &total = totals[lane / kTwo];
    const int i = place_in_two<Half>(lane % kTwo);
    sums[lane] = {total.product[i], total.square1[i], total.square2[i]};
  }
}

template <class T>
inline void sums_of_lanes(const Problem &problem, const T *x1, const T *x2, int count, Sums<double> *sums) {
  if constexpr (sizeof(T) == 2) {
    if (count % kTwo == 0 && problem.lane_stride1 == 1 && problem.lane_stride2 == 1)
      return sums_of_lanes_in_floats(problem, x1, x2, count, sums);
  }
  sums_of_lanes_in_doubles(problem, x1, x2, count, sums);
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

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_SUMS_H_
