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

#include "hinge.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "dtypes.h"
#include "element.h"

namespace ms_cosine_loss {
namespace {

using Wide = unsigned __int128;
using SignedWide = __int128;

constexpr int kLimbBits = 64;
// Products of doubles are multiples of 2^-2148, and below 2^2048. Sums of them begin at the place of a limb.
constexpr int kLowestPlace = -34;
constexpr int kShift = -2148 - kLimbBits * kLowestPlace;
constexpr int kSumLimbs = (2148 + 2048 + 64 + kShift) / kLimbBits + 3;

// An integer times 2^(64 * place): its sign, and the limbs of its magnitude, the lowest first.
struct Integer {
  int sign = 0;
  int place = 0;
  int size = 0;
  uint64_t limbs[2 * kSumLimbs + 8];

  // Without the zeros at both ends.
  void trim() {
    while (size > 0 && limbs[size - 1] == 0) --size;
    const int zeros =
        static_cast<int>(std::find_if(limbs, limbs + size, [](uint64_t limb) { return limb != 0; }) - limbs);
    std::copy(limbs + zeros, limbs + size, limbs);
    size -= zeros;
    place += zeros;
    if (size == 0) sign = 0;
  }
};

Integer operator*(const Integer &a, const Integer &b) {
  Integer result;
  result.sign = a.sign * b.sign;
  result.place = a.place + b.place;
  result.size = a.size + b.size;
  std::fill_n(result.limbs, result.size, 0);
  for (int i = 0; i < a.size; ++i) {
    Wide carry = 0;
    for (int k = 0; k < b.size; ++k) {
      carry += result.limbs[i + k] + static_cast<Wide>(a.limbs[i]) * b.limbs[k];
      result.limbs[i + k] = static_cast<uint64_t>(carry);
      carry >>= kLimbBits;
    }
    result.limbs[i + b.size] = static_cast<uint64_t>(carry);
  }
  result.trim();
  return result;
}

// The sign of |a| - |b|.
int compare_magnitudes(const Integer &a, const Integer &b) {
  const int top_a = a.place + a.size, top_b = b.place + b.size;
  if (top_a != top_b) return top_a < top_b ? -1 : 1;
  for (int i = 1; i <= std::max(a.size, b.size); ++i) {
    const uint64_t limb_a = i <= a.size ? a.limbs[a.size - i] : 0, limb_b = i <= b.size ? b.limbs[b.size - i] : 0;
    if (limb_a != limb_b) return limb_a < limb_b ? -1 : 1;
  }
  return 0;
}

// A sum of products of finite doubles, exact. Each limb has room for the carries of 2^62 additions.
class ExactSum {
 public:
  void add(double a, double b) {
    const Parts parts_a(a), parts_b(b);
    const Wide product = static_cast<Wide>(parts_a.mantissa) * parts_b.mantissa;
    if (product == 0) return;
    const int place = parts_a.place + parts_b.place + kShift, shift = place % kLimbBits;
    // Shifted, the product has up to 169 bits.
    const Wide low = static_cast<Wide>(static_cast<uint64_t>(product)) << shift;
    const Wide high = (product >> kLimbBits) << shift;
    const SignedWide sign = parts_a.sign ^ parts_b.sign;
    SignedWide *limb = limbs_ + place / kLimbBits;
    limb[0] += (static_cast<uint64_t>(low) ^ sign) - sign;
    limb[1] += (((low >> kLimbBits) + static_cast<uint64_t>(high)) ^ sign) - sign;
    limb[2] += ((high >> kLimbBits) ^ sign) - sign;
  }

  Integer total() {
    Integer result;
    result.sign = carry() < 0 ? -1 : 1;
    if (result.sign < 0) {
      for (SignedWide &limb : limbs_) limb = -limb;
      carry();
    }
    result.place = kLowestPlace;
    result.size = kSumLimbs;
    std::copy(limbs_, limbs_ + kSumLimbs, result.limbs);
    result.trim();
    return result;
  }

 private:
  // A double is mantissa * 2^(place - 1074), negative where the sign is -1 and not 0.
  struct Parts {
    int64_t sign;
    uint64_t mantissa;
    int place;

    explicit Parts(double value) {
      const int64_t bits = bit_cast<int64_t>(value);
      const int exponent = static_cast<int>(bits >> 52 & 0x7ff), is_normal = exponent != 0;
      sign = bits >> 63;
      mantissa = (bits & 0xfffffffffffff) | static_cast<int64_t>(is_normal) << 52;
      place = exponent - is_normal;
    }
  };

  // Makes all limbs but the last one natural numbers below 2^64; the last has the sign, and is returned.
  SignedWide carry() {
    for (int i = 0; i + 1 < kSumLimbs; ++i) {
      limbs_[i + 1] += limbs_[i] >> kLimbBits;
      limbs_[i] = static_cast<uint64_t>(limbs_[i]);
    }
    return limbs_[kSumLimbs - 1];
  }

  SignedWide limbs_[kSumLimbs] = {};
};

Integer exact(double value) {
  ExactSum sum;
  sum.add(value, 1);
  return sum.total();
}

// The square of a vector's norm, eps added, as the cosine has it.
template <class T>
Integer exact_square(const T *x, int64_t length, int64_t stride, double eps) {
  ExactSum sum;
  for (int64_t i = 0; i < length; ++i) sum.add(widened(x[i * stride]), widened(x[i * stride]));
  sum.add(eps, 1);
  return sum.total();
}

// By p and margin * sqrt((m1 + eps)(m2 + eps)): their signs, and where these agree the squares of both. With eps = 0 a
// row of zeros has p = 0, hence the sign of -margin, as its cosine of 0 has.
template <class T>
int sign_of_loss(const Problem &problem, const T *x1, const T *x2) {
  ExactSum sum;
  for (int64_t i = 0; i < problem.length; ++i) {
    const double a = widened(x1[i * problem.stride1]), b = widened(x2[i * problem.stride2]);
    if (!std::isfinite(a) || !std::isfinite(b)) return 0;
    sum.add(a, b);
  }
  const Integer product = sum.total(), margin = exact(problem.margin);
  if (product.sign != margin.sign) return product.sign < margin.sign ? -1 : 1;
  if (product.sign == 0) return 0;
  const Integer square1 = exact_square(x1, problem.length, problem.stride1, problem.eps);
  const Integer square2 = exact_square(x2, problem.length, problem.stride2, problem.eps);
  return product.sign * compare_magnitudes(product * product, (margin * square1) * (margin * square2));
}

}  // namespace

int exact_sign_of_loss(const Problem &problem, const void *x1, const void *x2) {
  return with_real(problem.dtype, [&](auto zero) {
    using T = decltype(zero);
    return sign_of_loss(problem, static_cast<const T *>(x1), static_cast<const T *>(x2));
  });
}

}  // namespace ms_cosine_loss
