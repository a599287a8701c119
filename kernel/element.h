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

// The four dtypes of the logits, and their conversions one element at a time.
#ifndef MS_COSINE_LOSS_KERNEL_ELEMENT_H_
#define MS_COSINE_LOSS_KERNEL_ELEMENT_H_

#include <cstdint>
#include <cstring>

namespace ms_cosine_loss {
// Internal linkage throughout this header: it is compiled once for each instruction set, and the linker must not let
// the baseline call a copy made for another.
namespace {

struct Float16 {
  uint16_t bits;
};

struct BFloat16 {
  uint16_t bits;
};

template <class To, class From>
inline To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From), "both of one size");
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

inline double widened(double value) { return value; }
inline double widened(float value) { return value; }
inline double widened(BFloat16 value) { return bit_cast<float>(static_cast<uint32_t>(value.bits) << 16); }
inline double widened(Float16 value) {
  const uint32_t magnitude = value.bits & 0x7fffu;
  // Shifted into the exponent of a float32, whose bias is larger by 112; this is right for subnormal numbers too.
  float result = bit_cast<float>(magnitude << 13) * 0x1p112f;
  if (magnitude >= 0x7c00u) result = bit_cast<float>((magnitude << 13) | 0x7f800000u);
  return value.bits & 0x8000u ? -result : result;
}

// Rounds to float32 to odd, so that rounding again to a half type is the same as rounding the double once.
inline float rounded_to_odd(double value) {
  const float nearest = static_cast<float>(value);
  const double back = nearest;
  if (!(back != value) || value != value) return nearest;
  uint32_t bits = bit_cast<uint32_t>(nearest);
  // Towards zero first, so that the bit set stands for the rest.
  if ((back < 0 ? -back : back) > (value < 0 ? -value : value)) bits -= 1;
  return bit_cast<float>(bits | 1u);
}

inline void narrow(double value, double *to) { *to = value; }
inline void narrow(double value, float *to) { *to = static_cast<float>(value); }
inline void narrow(double value, BFloat16 *to) {
  const uint32_t bits = bit_cast<uint32_t>(rounded_to_odd(value));
  if (value != value) {
    to->bits = static_cast<uint16_t>((bits >> 16) | 0x40u);
  } else {
    to->bits = static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
  }
}
inline void narrow(double value, Float16 *to) {
  const uint32_t bits = bit_cast<uint32_t>(rounded_to_odd(value));
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  uint32_t half;
  if (magnitude > 0x7f800000u) {
    half = 0x7e00u;
  } else if (magnitude >= 0x477ff000u) {  // 65520, from where on the nearest is infinity
    half = 0x7c00u;
  } else if (magnitude < 0x38800000u) {  // below 2^-14: the addition rounds to a multiple of 2^-24
    half = bit_cast<uint32_t>(bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  } else {
    half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  }
  to->bits = static_cast<uint16_t>(sign | half);
}

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_ELEMENT_H_
