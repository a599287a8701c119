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

// Arithmetic on unevaluated sums of two doubles, about 32 digits (Dekker 1971; Ogita, Rump and Oishi 2005).
#ifndef MS_COSINE_LOSS_KERNEL_DOUBLE_DOUBLE_H_
#define MS_COSINE_LOSS_KERNEL_DOUBLE_DOUBLE_H_

#include <cmath>

namespace ms_cosine_loss {
// Internal linkage, for the reason given in element.h.
namespace {

struct DoubleDouble {
  double high;
  double low;
};

// Exactly a + b. Works on vectors of doubles as well.
template <class V>
inline V two_sum(V a, V b, V *error) {
  const V sum = a + b;
  const V b_in_sum = sum - a;
  *error = (a - (sum - b_in_sum)) + (b - b_in_sum);
  return sum;
}

inline DoubleDouble two_product(double a, double b) {
  const double product = a * b;
  return {product, __builtin_fma(a, b, -product)};
}

inline DoubleDouble normalized(double high, double low) {
  const double sum = high + low;
  return {sum, low - (sum - high)};
}

inline DoubleDouble operator+(DoubleDouble a, DoubleDouble b) {
  double error;
  const double sum = two_sum(a.high, b.high, &error);
  double error_of_low;
  const double low = two_sum(a.low, b.low, &error_of_low);
  const DoubleDouble first = normalized(sum, error + low);
  return normalized(first.high, first.low + error_of_low);
}

inline DoubleDouble operator-(DoubleDouble a, DoubleDouble b) { return a + DoubleDouble{-b.high, -b.low}; }

inline DoubleDouble operator*(DoubleDouble a, DoubleDouble b) {
  const DoubleDouble product = two_product(a.high, b.high);
  return normalized(product.high, product.low + (a.high * b.low + a.low * b.high));
}

inline DoubleDouble operator/(DoubleDouble a, DoubleDouble b) {
  const double first = a.high / b.high;
  const DoubleDouble rest = a - b * DoubleDouble{first, 0};
  const double second = rest.high / b.high;
  const DoubleDouble last = rest - b * DoubleDouble{second, 0};
  return normalized(first, second) + DoubleDouble{last.high / b.high, 0};
}

// Of a positive number: one Newton step from the root of the high part.
inline DoubleDouble sqrt(DoubleDouble a) {
  const double root = std::sqrt(a.high);
  const DoubleDouble rest = a - two_product(root, root);
  return normalized(root, rest.high / (2 * root));
}

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_DOUBLE_DOUBLE_H_
