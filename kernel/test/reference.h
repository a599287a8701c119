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

// Shared by the driver and the fuzzer: tensors in memory of exactly their size, calls through the interface that
// MindSpore uses, and the expected results, in arithmetic wider than the kernel's.
#ifndef MS_COSINE_LOSS_KERNEL_TEST_REFERENCE_H_
#define MS_COSINE_LOSS_KERNEL_TEST_REFERENCE_H_

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../element.h"

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wreturn-type-c-linkage"
#endif

extern "C" {
int ms_cosine_loss_forward(int, void **, int *, int64_t **, const char **, void *, void *);
int ms_cosine_loss_forward_of_each(int, void **, int *, int64_t **, const char **, void *, void *);
int ms_cosine_loss_backward(int, void **, int *, int64_t **, const char **, void *, void *);
int ms_cosine_loss_second_order(int, void **, int *, int64_t **, const char **, void *, void *);
// MindSpore calls these to infer the shapes of the results.
std::vector<int64_t> ms_cosine_loss_forwardInferShape(int *, int64_t **, void *);
std::vector<int64_t> ms_cosine_loss_forward_of_eachInferShape(int *, int64_t **, void *);
std::vector<std::vector<int64_t>> ms_cosine_loss_backwardInferShape(int *, int64_t **, void *);
std::vector<std::vector<int64_t>> ms_cosine_loss_second_orderInferShape(int *, int64_t **, void *);
int ms_cosine_loss_interface_version();
const char *ms_cosine_loss_instruction_set();
int ms_cosine_loss_threads(int64_t);
}

namespace reference {
namespace {

using Shape = std::vector<int64_t>;
using Function = int (*)(int, void **, int *, int64_t **, const char **, void *, void *);

// 113 significant bits, in software.
#if defined(__x86_64__)
using Wide = __float128;
#else
using Wide = long double;
#endif

[[noreturn]] inline void fail(const std::string &what) {
  std::fprintf(stderr, "FAILED: %s (%s)\n", what.c_str(), ms_cosine_loss_instruction_set());
  std::abort();
}

inline int64_t size_of(const Shape &shape) {
  int64_t size = 1;
  for (const int64_t length : shape) size *= length;
  return size;
}

// A dtype's size in bytes, its fraction bits, and its smallest and largest positive numbers.
struct Format {
  int bytes;
  int bits;
  long double smallest;
  long double largest;
};

inline Format format_of(const std::string &dtype) {
  if (dtype == "float64") return {8, 52, 0x1p-1074L, std::numeric_limits<double>::max()};
  if (dtype == "float32") return {4, 23, 0x1p-149L, std::numeric_limits<float>::max()};
  if (dtype == "float16") return {2, 10, 0x1p-24L, 65504};
  if (dtype == "bfloat16") return {2, 7, 0x1p-133L, 0x1.fep127L};
  return {dtype == "int8" ? 1 : dtype == "int16" ? 2 : dtype == "int32" ? 4 : 8, 0, 1, 0};
}

// A tensor whose memory ends with it, so that a sanitizer detects an overrun of one byte. It follows a guard of one
// element, or of 64 bytes if the tensor is aligned.
class Buffer {
 public:
  Buffer(std::string dtype, Shape shape, bool is_aligned = false, char filling = 0x55)
      : dtype_(std::move(dtype)), shape_(std::move(shape)), width_(format_of(dtype_).bytes), filling_(filling) {
    is_integer_ = dtype_[0] == 'i';
    is_brain_ = dtype_[0] == 'b';
    guard_ = is_aligned ? 64 : width_;
    void *memory = nullptr;
    if (posix_memalign(&memory, 64, guard_ + bytes()) != 0) fail("no memory");
    memory_ = static_cast<char *>(memory);
    std::memset(memory_, filling_, guard_ + bytes());
  }
  Buffer(std::string dtype, Shape shape, const std::vector<double> &numbers)
      : Buffer(std::move(dtype), std::move(shape)) {
    for (size_t i = 0; i < numbers.size(); ++i) set(i, numbers[i]);
  }
  ~Buffer() { std::free(memory_); }
  Buffer(const Buffer &) = delete;

  void *data() const { return memory_ + guard_; }
  const std::string &dtype() const { return dtype_; }
  const Shape &shape() const { return shape_; }
  int64_t size() const { return size_of(shape_); }
  int64_t bytes() const { return width_ * size(); }
  // Compares bits, except for the payloads of NaNs, which depend on the order of operands.
  bool same_bits(const Buffer &other) const {
    if (bytes() == other.bytes() && std::memcmp(data(), other.data(), bytes()) == 0) return true;
    for (int64_t i = 0; i < size(); ++i) {
      const double a = get(i), b = other.get(i);
      if ((a != b || std::signbit(a) != std::signbit(b)) && !(std::isnan(a) && std::isnan(b))) return false;
    }
    return size() == other.size();
  }
  // Continues an FNV-1a hash with these bits; NaN payloads do not count here either.
  uint64_t digest(uint64_t others) const {
    for (int64_t i = 0; i < size(); ++i) {
      const bool is_nan = !is_integer_ && std::isnan(get(i));
      for (int64_t k = 0; k < width_; ++k) {
        const char byte = is_nan ? 0 : static_cast<char *>(data())[i * width_ + k];
        others = (others ^ static_cast<uint8_t>(byte)) * 0x100000001b3u;
      }
    }
    return others;
  }
  bool is_guard_intact() const { return is_filling(memory_, memory_ + guard_); }
  bool is_untouched() const { return is_filling(memory_, memory_ + guard_ + bytes()); }

  double get(int64_t i) const {
    const char *at = memory_ + guard_ + width_ * i;
    if (is_integer_) {
      return width_ == 1   ? read<int8_t>(at)
             : width_ == 2 ? read<int16_t>(at)
             : width_ == 4 ? read<int32_t>(at)
                           : static_cast<double>(read<int64_t>(at));
    }
    if (width_ == 8) return read<double>(at);
    if (width_ == 4) return read<float>(at);
    return is_brain_ ? ms_cosine_loss::widened(read<ms_cosine_loss::BFloat16>(at))
                     : ms_cosine_loss::widened(read<ms_cosine_loss::Float16>(at));
  }
  void set(int64_t i, double value) {
    if (is_integer_) {
      if (width_ == 1) return write(i, static_cast<int8_t>(value));
      if (width_ == 2) return write(i, static_cast<int16_t>(value));
      if (width_ == 4) return write(i, static_cast<int32_t>(value));
      return write(i, static_cast<int64_t>(value));
    }
    if (width_ == 8) return write(i, value);
    if (width_ == 4) return write(i, static_cast<float>(value));
    is_brain_ ? write_narrow<ms_cosine_loss::BFloat16>(i, value) : write_narrow<ms_cosine_loss::Float16>(i, value);
  }

 private:
  bool is_filling(const char *first, const char *last) const {
    return std::all_of(first, last, [this](char each) { return each == filling_; });
  }
  template <class T>
  static T read(const char *at) {
    T value;
    std::memcpy(&value, at, sizeof(value));
    return value;
  }
  template <class T>
  void write(int64_t i, T value) {
    std::memcpy(memory_ + guard_ + width_ * i, &value, sizeof(value));
  }
  template <class T>
  void write_narrow(int64_t i, double value) {
    T narrow;
    ms_cosine_loss::narrow(value, &narrow);
    write(i, narrow);
  }

  std::string dtype_;
  Shape shape_;
  int64_t width_;
  int64_t guard_;
  bool is_integer_;
  bool is_brain_;
  char filling_;
  char *memory_;
};

struct Settings {
  double margin;
  double eps;
  int64_t reduction;
  int64_t axis;
  int64_t threads;

  // Packs the settings as the kernel takes them, without the margin.
  void write(const Buffer &to) const {
    int64_t values[4] = {0, reduction, axis, threads};
    std::memcpy(&values[0], &eps, 8);
    std::memcpy(to.data(), values, sizeof(values));
  }
  // Writes a constant margin as its bits in int64; otherwise rounds the margin to the dtype.
  void write_margin(Buffer *to) {
    if (to->dtype() == "int64") {
      std::memcpy(to->data(), &margin, 8);
    } else {
      to->set(0, margin);
      margin = to->get(0);
    }
  }
};

// The arguments of a call.
struct Call {
  std::vector<void *> params;
  std::vector<int> ranks;
  std::vector<Shape> shapes;
  std::vector<std::string> dtypes;

  explicit Call(const std::vector<const Buffer *> &buffers) {
    for (const Buffer *buffer : buffers) {
      params.push_back(buffer->data());
      ranks.push_back(static_cast<int>(buffer->shape().size()));
      shapes.push_back(buffer->shape());
      dtypes.push_back(buffer->dtype());
    }
  }
  // Passes copies of exactly the right size, so that a sanitizer detects an overrun.
  int run(Function function) const {
    std::vector<void *> all_params(params);
    std::vector<int> all_ranks(ranks);
    std::vector<Shape> all_shapes(shapes);
    std::vector<int64_t *> shape_pointers(shapes.size());
    std::vector<const char *> names(dtypes.size());
    for (size_t i = 0; i < shapes.size(); ++i) shape_pointers[i] = all_shapes[i].data();
    for (size_t i = 0; i < dtypes.size(); ++i) names[i] = dtypes[i].c_str();
    return function(static_cast<int>(params.size()), all_params.data(), all_ranks.data(), shape_pointers.data(),
                    names.data(), nullptr, nullptr);
  }
};

// A hash of all arguments and results, independent of the order of calls, to compare builds that should agree.
inline std::atomic<uint64_t> digest = 0;

inline void call(Function function, const std::vector<const Buffer *> &buffers) {
  if (Call(buffers).run(function) != 0) fail("a call was refused");
  uint64_t bits = 0xcbf29ce484222325u;
  for (const Buffer *buffer : buffers) {
    if (!buffer->is_guard_intact()) fail("a write before the beginning of a tensor");
    bits = buffer->digest(bits);
  }
  digest += bits;
}

// A number with its derivative along the directions.
template <class Real>
struct Dual {
  Real value;
  Real slope;

  Dual(Real value, Real slope = 0) : value(value), slope(slope) {}
  friend Dual operator+(const Dual &a, const Dual &b) { return {a.value + b.value, a.slope + b.slope}; }
  friend Dual operator-(const Dual &a, const Dual &b) { return {a.value - b.value, a.slope - b.slope}; }
  friend Dual operator*(const Dual &a, const Dual &b) {
    return {a.value * b.value, a.slope * b.value + a.value * b.slope};
  }
  friend Dual operator/(const Dual &a, const Dual &b) {
    const Real quotient = a.value / b.value;
    return {quotient, (a.slope - quotient * b.slope) / b.value};
  }
};

template <class Real>
Real root(Real value) {
  const Real first = std::sqrt(static_cast<long double>(value));
  return first + (value - first * first) / (2 * first);
}
template <class Real>
Dual<Real> root(const Dual<Real> &of) {
  const Real value = root(of.value);
  return {value, of.slope / (2 * value)};
}

// A number as the exact sum of non-overlapping parts, smallest first (Shewchuk 1997). Computed from doubles as here, no
// part overflows or underflows.
using Parts = std::vector<Wide>;

inline Parts plus(const Parts &a, Wide b) {
  Parts sum;
  for (const Wide part : a) {
    const Wide whole = b + part, part_in_whole = whole - b;
    const Wide error = (b - (whole - part_in_whole)) + (part - part_in_whole);
    if (error != 0) sum.push_back(error);
    b = whole;
  }
  if (b != 0) sum.push_back(b);
  return sum;
}

inline Parts times(const Parts &a, const Parts &b) {
  const auto upper = [](Wide of) {
    const Wide scaled = of * static_cast<Wide>(0x1p57 + 1);
    return scaled - (scaled - of);
  };
  Parts sum;
  for (const Wide x : a) {
    for (const Wide y : b) {
      const Wide product = x * y, x1 = upper(x), y1 = upper(y), x2 = x - x1, y2 = y - y1;
      sum = plus(plus(sum, ((x1 * y1 - product) + x1 * y2 + x2 * y1) + x2 * y2), product);
    }
  }
  return sum;
}

inline int sign_of(const Parts &of) { return of.empty() ? 0 : of.back() < 0 ? -1 : 1; }

// x|x|, which is monotonic in x.
inline Parts signed_square(const Parts &of) { return times(times(of, of), {static_cast<Wide>(sign_of(of))}); }

// The expected gradients of one input by element, and the magnitudes of their terms.
struct Side {
  std::vector<long double> gradient, size, norm, scale, second, second_size;
  // Whether the element belongs to a counted pair that is not finite, and to a pair that cannot be judged.
  std::vector<char> is_nan, is_open;

  explicit Side(int64_t count)
      : gradient(count),
        size(count),
        norm(count),
        scale(count),
        second(count),
        second_size(count),
        is_nan(count),
        is_open(count) {}
};

struct Arguments {
  const Buffer &x1;
  const Buffer &x2;
  const Buffer &labels;
  const Buffer &upstream;
  const Buffer &direction1;
  const Buffer &direction2;
  // 0 for a constant margin.
  double margin_direction;
  Settings settings;
};

inline bool is_within(long double value, int exponent) {
  return value == 0 || (value >= std::ldexp(1.0L, -exponent) && value <= std::ldexp(1.0L, exponent));
}

class Truth {
 public:
  // By pair; NaN where the result must be NaN.
  std::vector<long double> losses, loss_sizes, slopes, slope_sizes;
  Side side1, side2;
  // The gradient of the margin, and the sum of the magnitudes of its terms.
  long double by_margin = 0, by_margin_size = 0;
  bool is_second_judged = true;

  explicit Truth(const Arguments &of)
      : side1(of.x1.size()), side2(of.x2.size()), of_(of), format_(format_of(of.x1.dtype())) {
    const Shape &shape1 = of.x1.shape(), &shape2 = of.x2.shape();
    int64_t elements = length();
    for (size_t i = 0; i < shape1.size(); ++i) {
      full_.push_back(shape1[i] == 1 ? shape2[i] : shape1[i]);
      if (static_cast<int64_t>(i) <= of.settings.axis) continue;
      after_ *= full_.back();
    }
    const int64_t pairs = of.labels.size();
    elements *= pairs;
    losses.resize(pairs), loss_sizes.resize(pairs), slopes.resize(pairs), slope_sizes.resize(pairs);
    is_wide_ = elements <= 256;
    for (int64_t pair = 0; pair < pairs; ++pair) is_wide_ ? add_pair<Wide>(pair) : add_pair<long double>(pair);
  }

  void check_losses(const Buffer &found) const {
    const Format format = format_of(found.dtype());
    const int64_t pairs = of_.labels.size();
    if (of_.settings.reduction == 0) {
      for (int64_t i = 0; i < pairs; ++i) {
        check(found.get(i), losses[i], tolerance_of(losses[i], loss_sizes[i], format), format, "loss", i);
      }
      return;
    }
    long double sum = 0, error = 0;
    for (int64_t i = 0; i < pairs; ++i) {
      sum += losses[i], error += tolerance_of(losses[i], loss_sizes[i], format_of("float64"));
    }
    if (of_.settings.reduction == 1) sum /= pairs, error = pairs == 0 ? 0 : error / pairs;
    check(found.get(0), sum, error + tolerance_of(sum, 0, format), format, "reduced loss", 0);
  }

  void check_gradients(const Buffer &found1, const Buffer &found2) const {
    check_gradient(found1, side1, "gradient of x1");
    check_gradient(found2, side2, "gradient of x2");
  }

  // The gradient of a constant margin is 0.
  void check_margin_gradient(const Buffer &found) const {
    if (found.dtype() == "int64") {
      if (found.get(0) != 0) fail("a constant margin has a gradient");
      return;
    }
    const Format format = format_of(found.dtype());
    const long double relative = std::ldexp(1.0L, -format.bits) + 0x1p-51L;
    check(found.get(0), by_margin, relative * by_margin_size + format.smallest, format, "gradient of the margin", 0);
  }

  void check_second_order(const Buffer &by_x1, const Buffer &by_x2, const Buffer &by_upstream) const {
    if (!is_second_judged) return;
    const Format format = format_of(by_upstream.dtype());
    const int64_t pairs = of_.labels.size();
    const long double relative = relative_of_second();
    for (const auto &[found, side] : {std::make_pair(&by_x1, &side1), std::make_pair(&by_x2, &side2)}) {
      for (int64_t i = 0; i < found->size(); ++i) {
        if (side->is_open[i] || side->is_nan[i]) continue;
        check(found->get(i), side->second[i], (relative + unit()) * side->second_size[i] + 4 * format_.smallest,
              format_, "second derivative", i);
      }
    }
    long double sum = 0, size = 0;
    for (int64_t i = 0; i < pairs; ++i) {
      sum += slopes[i], size += slope_sizes[i];
      if (of_.settings.reduction == 0) check_slope(by_upstream.get(i), slopes[i], slope_sizes[i], format, i);
    }
    if (of_.settings.reduction == 1) sum /= pairs, size /= pairs;
    if (of_.settings.reduction != 0) check_slope(by_upstream.get(0), sum, size, format, 0);
  }

 private:
  int64_t length() const { return of_.x1.shape()[of_.settings.axis]; }
  long double unit() const { return std::ldexp(1.0L, -format_.bits); }

  // The index, in a tensor of the given shape, of element `index` of the broadcast tensor.
  int64_t seen_from(int64_t index, const Shape &shape) const {
    int64_t at = 0, stride = 1;
    for (size_t i = full_.size(); i-- > 0;) {
      const int64_t step = index % full_[i];
      index /= full_[i];
      if (shape[i] != 1) at += step * stride;
      stride *= shape[i];
    }
    return at;
  }

  // Two units in the last place of the narrower dtype, plus the rounding of the terms in double-double or, if coarser,
  // in this reference, plus products that underflow double.
  long double tolerance_of(long double loss, long double size, const Format &format) const {
    const long double rest = (is_wide_ ? 0x1p-100L : 0x1p-62L) * (length() + 1) * size + 0x1p-580L * length();
    if (!(loss > 0)) return rest + format.smallest;
    const int bits = std::min(format.bits, format_.bits);
    return 2 * std::max(std::ldexp(1.0L, std::ilogb(loss) - bits), format.smallest) + rest;
  }

  static void check(double found, long double expected, long double tolerance, const Format &format, const char *what,
                    int64_t at) {
    if (std::isnan(expected) ? std::isnan(found) : std::fabs(found - expected) <= tolerance) return;
    if (std::fabs(expected) + tolerance > format.largest && !std::isnan(found)) return;
    char text[200];
    std::snprintf(text, sizeof(text), "%s, element %lld: %.17g for %.21Lg, tolerance %.3Lg", what,
                  static_cast<long long>(at), found, expected, tolerance);
    fail(text);
  }
  void check_slope(double found, long double expected, long double size, const Format &format, int64_t at) const {
    if (std::isnan(expected)) return;
    const long double relative = relative_of_second() + std::ldexp(1.0L, -format.bits);
    check(found, expected, relative * size + format.smallest, format, "derivative by the upstream gradient", at);
  }
  // The kernel adds doubles naively, over the vector and over the pairs that share an element.
  long double relative_of_second() const { return 0x1p-51L * (length() + of_.labels.size() + 8); }

  // Bounds the error of each element by the magnitudes of its terms, and by the norm of its vector.
  void check_gradient(const Buffer &found, const Side &side, const char *what) const {
    const long double units = format_.bits == 52 ? 8 : 4;
    for (int64_t i = 0; i < found.size(); ++i) {
      // Terms near the largest float64 may overflow where their sum does not.
      if (side.is_open[i] || 4 * side.size[i] > std::numeric_limits<double>::max()) continue;
      if (side.is_nan[i]) {
        if (!std::isnan(found.get(i))) fail(std::string(what) + " of a pair that is not finite");
        continue;
      }
      // Elements that much smaller than the rest of their vector may have underflowed double.
      const long double lost = 0x1p-900L * side.scale[i] + 2 * format_.smallest + 0x1p-1074L * of_.labels.size();
      const long double by_terms = units * unit() * side.size[i];
      const long double by_norm = units * unit() * side.norm[i] + 0x1p-50L * side.size[i];
      check(found.get(i), side.gradient[i], std::min(by_terms, by_norm) + lost, format_, what, i);
    }
  }

  // The sign of cos - margin, computed as that of p|p| - margin|margin| (m1 + eps)(m2 + eps).
  template <class Real>
  int exact_sign_of_loss(const std::vector<Dual<Real>> &x1, const std::vector<Dual<Real>> &x2) const {
    Parts product, square1 = {static_cast<Wide>(of_.settings.eps)}, square2 = square1;
    for (size_t i = 0; i < x1.size(); ++i) {
      const Wide a = x1[i].value, b = x2[i].value;
      product = plus(product, a * b), square1 = plus(square1, a * a), square2 = plus(square2, b * b);
    }
    Parts difference = signed_square(product);
    const Parts margin = signed_square({static_cast<Wide>(of_.settings.margin)});
    for (const Wide part : times(margin, times(square1, square2))) difference = plus(difference, -part);
    return sign_of(difference);
  }

  template <class Real>
  void add_pair(int64_t pair) {
    const double label = of_.labels.get(pair);
    if (label != 1 && label != -1) return;
    const int64_t reduction = of_.settings.reduction;
    const int64_t count = length();
    std::vector<int64_t> at1(count), at2(count);
    std::vector<Dual<Real>> x1, x2;
    bool is_finite = true;
    Dual<Real> product = 0, square1 = of_.settings.eps, square2 = of_.settings.eps;
    // Sums of the magnitudes of the same terms, to bound errors.
    long double product_size = 0, mixed_dot = 0, x1_dot_v1 = 0, x2_dot_v2 = 0, largest_direction = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t index = ((pair / after_) * count + i) * after_ + pair % after_;
      at1[i] = seen_from(index, of_.x1.shape());
      at2[i] = seen_from(index, of_.x2.shape());
      const double a = of_.x1.get(at1[i]), b = of_.x2.get(at2[i]);
      const double p = of_.direction1.get(at1[i]), q = of_.direction2.get(at2[i]);
      is_finite = is_finite && std::isfinite(a) && std::isfinite(b);
      x1.push_back({a, p}), x2.push_back({b, q});
      product = product + x1[i] * x2[i];
      square1 = square1 + x1[i] * x1[i];
      square2 = square2 + x2[i] * x2[i];
      product_size += std::fabs(static_cast<long double>(a) * b);
      mixed_dot += std::fabs(static_cast<long double>(p) * b) + std::fabs(static_cast<long double>(a) * q);
      x1_dot_v1 += std::fabs(static_cast<long double>(a) * p), x2_dot_v2 += std::fabs(static_cast<long double>(b) * q);
      largest_direction = std::fmax(largest_direction, std::fmax(std::fabs(p), std::fabs(q)));
      // fmax ignores NaN.
      if (!std::isfinite(p) || !std::isfinite(q)) is_second_judged = false;
    }
    long double upstream = of_.upstream.get(reduction == 0 ? pair : 0);
    if (reduction == 1) upstream /= of_.labels.size();
    const auto mark = [&](std::vector<char> Side::*what) {
      for (int64_t i = 0; i < count; ++i) (side1.*what)[at1[i]] = (side2.*what)[at2[i]] = 1;
    };
    const auto open = [&] {
      by_margin -= upstream, by_margin_size += std::fabs(upstream);
      slopes[pair] = -of_.margin_direction, slope_sizes[pair] = std::fabs(of_.margin_direction);
    };
    if (!is_finite) {
      if (label == -1) open();
      losses[pair] = slopes[pair] = std::numeric_limits<long double>::quiet_NaN();
      return mark(&Side::is_nan);
    }
    const bool has_direction = square1.value > 0 && square2.value > 0;
    if (!has_direction) {
      losses[pair] = label == 1 ? 1 : std::max(0.0L, -static_cast<long double>(of_.settings.margin));
      if (label == -1 && !(of_.settings.margin > 0)) open();
      if (!std::isfinite(upstream)) mark(&Side::is_open);
      return;
    }
    const Dual<Real> inverse1 = Dual<Real>(1) / root(square1), inverse2 = Dual<Real>(1) / root(square2);
    const long double n1 = static_cast<long double>(inverse1.value), n2 = static_cast<long double>(inverse2.value);
    // The kernel does not scale second derivatives; beyond this range nothing is promised.
    if (!is_within(n1, 200) || !is_within(n2, 200) || !is_within(largest_direction, 200) ||
        !is_within(std::fabs(upstream), 200)) {
      is_second_judged = false;
    }
    const Dual<Real> cosine = product * inverse1 * inverse2;
    const Dual<Real> unclamped_loss = label == 1 ? Dual<Real>(1) - cosine : cosine - Dual<Real>(of_.settings.margin);
    losses[pair] = std::max(0.0L, static_cast<long double>(unclamped_loss.value));
    loss_sizes[pair] = product_size * n1 * n2 + (label == 1 ? 1 : 0);
    if (label == -1) {
      // Bounds the rounding of three sums, once or twice per term, and of the roots.
      const long double rounding = std::is_same_v<Real, long double> ? 0x1p-64L : 0x1p-113L;
      const bool is_told =
          std::fabs(static_cast<long double>(unclamped_loss.value)) > 4 * (count + 4) * rounding * loss_sizes[pair];
      const int sign = is_told ? (unclamped_loss.value < 0 ? -1 : 1) : exact_sign_of_loss(x1, x2);
      if (sign <= 0) losses[pair] = loss_sizes[pair] = 0;
      // At the margin, the pair counts.
      if (sign < 0) return;
      open();
    }
    const long double weight = label == 1 ? -upstream : upstream;
    if (!is_within(std::fabs(upstream), 500) || std::fabs(upstream) * std::max(n1, n2) > 0x1p1000L) {
      return mark(&Side::is_open);
    }
    const Dual<Real> weighted = Dual<Real>(weight), cross = weighted * inverse1 * inverse2;
    const Dual<Real> self1 = weighted * inverse1 * inverse1 * cosine, self2 = weighted * inverse2 * inverse2 * cosine;
    // Products may underflow double.
    const long double lost = 0x1p-1020L * (n1 + n2) * (n1 + n2), size = std::fabs(weight);
    const long double cosine_size = product_size * n1 * n2 + lost, mixed_size = mixed_dot * n1 * n2 + lost;
    const long double norm_change = x1_dot_v1 * n1 * n1 + x2_dot_v2 * n2 * n2 + lost;
    slopes[pair] += label == 1 ? -cosine.slope : cosine.slope;
    slope_sizes[pair] += mixed_size + cosine_size * norm_change;
    const auto add = [&](Side *side, const std::vector<int64_t> &at, const std::vector<Dual<Real>> &own,
                         const std::vector<Dual<Real>> &other, const Dual<Real> &self, long double n, long double m,
                         long double own_norm_change) {
      long double norm = 0;
      for (int64_t i = 0; i < count; ++i) {
        const Dual<Real> gradient = cross * other[i] - self * own[i];
        const long double u = std::fabs(static_cast<long double>(own[i].value) * n);
        const long double v = std::fabs(static_cast<long double>(other[i].value) * m);
        const long double value = static_cast<long double>(gradient.value);
        norm += value * value;
        side->gradient[at[i]] += value;
        side->size[at[i]] += size * n * (v + u);
        side->scale[at[i]] += (size + 0x1p-170L) * n;
        side->second[at[i]] += static_cast<long double>(gradient.slope);
        const long double p = std::fabs(static_cast<long double>(own[i].slope) * n);
        const long double q = std::fabs(static_cast<long double>(other[i].slope) * m);
        side->second_size[at[i]] += size * n *
                                    (q + cosine_size * p + norm_change * v +
                                     (mixed_size + cosine_size * (norm_change + 2 * own_norm_change)) * u);
        side->second_size[at[i]] += size * 0x1p-1020L *
                                    (1 + std::fabs(static_cast<long double>(own[i].value)) +
                                     std::fabs(static_cast<long double>(other[i].value)));
      }
      for (int64_t i = 0; i < count; ++i) side->norm[at[i]] += std::sqrt(norm);
    };
    add(&side1, at1, x1, x2, self1, n1, n2, x1_dot_v1 * n1 * n1);
    add(&side2, at2, x2, x1, self2, n2, n1, x2_dot_v2 * n2 * n2);
  }

  Arguments of_;
  Format format_;
  Shape full_;
  int64_t after_ = 1;
  bool is_wide_;
};

}  // namespace
}  // namespace reference

#endif  // MS_COSINE_LOSS_KERNEL_TEST_REFERENCE_H_
