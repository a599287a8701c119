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

// The fuzz target: decodes each input of libFuzzer into one problem, calls every function of the interface on it, and
// checks the results against reference.h. With FUZZ_REPLAY, a program that replays the files named on its command line.
#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "../interface.h"
#include "reference.h"

// Replaces sysconf in interface.cc: with a cache of one byte, every aligned gradient bypasses it.
extern "C" long sysconf_of_test(int) { return 1; }

namespace {

using reference::Arguments;
using reference::Buffer;
using reference::Call;
using reference::fail;
using reference::format_of;
using reference::Settings;
using reference::Shape;
using reference::size_of;
using reference::Truth;

const char *const kReal[] = {"float32", "float16", "bfloat16", "float64"};
const char *const kLabels[] = {"int32", "int8", "int16", "int64", "float16", "bfloat16", "float32", "float64"};
// Around the width of each register, of a block of lanes and of a run.
const int64_t kLengths[] = {1,  2,  3,  4,  5,  0,  6,  7,   8,   9,   11,  15,  16,  17,  23,   31,
                            32, 33, 47, 63, 64, 65, 97, 127, 128, 129, 200, 257, 513, 800, 1025, 4099};

// The bytes of an input in order, then pseudo-random bytes seeded by them.
class Bytes {
 public:
  Bytes(const uint8_t *data, size_t size) : at_(data), end_(data + size), state_(0x9e3779b97f4a7c15u) {
    for (size_t i = 0; i < size && i < 64; ++i) state_ = (state_ ^ data[i]) * 0x100000001b3u;
  }
  uint8_t next() {
    if (at_ < end_) return *at_++;
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint8_t>(state_ >> 56);
  }
  template <class T>
  T bits() {
    uint8_t bytes[sizeof(T)];
    for (uint8_t &each : bytes) each = next();
    T value;
    std::memcpy(&value, bytes, sizeof(value));
    return value;
  }
  template <class T, size_t kCount>
  T pick(const T (&from)[kCount]) {
    return from[next() % kCount];
  }

 private:
  const uint8_t *at_;
  const uint8_t *end_;
  uint64_t state_;
};

struct Floats {
  static double special(uint8_t byte, const std::string &dtype) {
    const reference::Format format = format_of(dtype);
    const double largest = static_cast<double>(format.largest), smallest = static_cast<double>(format.smallest);
    const double infinity = std::numeric_limits<double>::infinity();
    const double numbers[] = {0,           1,
                              0.5,         3,
                              largest,     smallest,
                              largest / 3, smallest * 8,
                              0x1p-14,     0x1p15,
                              1e-6,        1e-20,
                              1e19,        0x1p62,
                              0x1p-62,     1e-160,
                              1e160,       1e-37,
                              0x1p-1022,   1e150,
                              1e-150,      1 + 0x1p-23,
                              1 + 0x1p-52, 0.1,
                              0,           infinity,
                              1,           0,
                              1,           std::nan("quiet"),
                              1,           0};
    const double number = numbers[byte % 32];
    return byte & 0x20 ? -number : number;
  }
};

// Fills a tensor in one of several ways, some of which start from `model`, another tensor of the same shape.
void fill(Buffer *to, Bytes *bytes, const Buffer *model = nullptr) {
  const std::string &dtype = to->dtype();
  const uint8_t manner = bytes->next();
  const int width = format_of(dtype).bytes;
  const int range = dtype == "float64" ? 1050 : dtype == "float16" ? 20 : 140;
  const double scale = manner & 0x80 ? std::ldexp(1.0, static_cast<int8_t>(bytes->next()) * range / 128) : 1;
  const bool has_model = model != nullptr && model->size() == to->size();
  for (int64_t i = 0; i < to->size(); ++i) {
    switch (manner % 8) {
      case 0:  // Arbitrary bits.
        for (int k = 0; k < width; ++k) static_cast<uint8_t *>(to->data())[i * width + k] = bytes->next();
        break;
      case 1:
        to->set(i, scale * static_cast<int8_t>(bytes->next()) / 16);
        break;
      case 2:
        to->set(i, scale * bytes->bits<int16_t>() / 999);
        break;
      case 3:
        to->set(i, Floats::special(bytes->next(), dtype));
        break;
      case 4: {  // Mostly zeros.
        const int byte = bytes->next();
        to->set(i, byte < 224 ? 0 : scale * (byte - 240));
        break;
      }
      case 5:  // Each of a different magnitude.
        to->set(i, std::ldexp(1 + bytes->next() / 256.0, static_cast<int8_t>(bytes->next()) * range / 128));
        break;
      case 6:  // The model's elements, exactly or nearly, or their opposites.
        to->set(i, (has_model ? model->get(i) : 1) * scale * (manner & 0x40 ? -1 : 1) *
                       (manner & 0x20 ? 1 + static_cast<int8_t>(bytes->next()) * 0x1p-24 : 1));
        break;
      default:  // Orthogonal to the model if the vectors are two contiguous elements.
        to->set(i, !has_model || (i ^ 1) >= to->size() ? 1 : model->get(i ^ 1) * (i & 1 ? scale : -scale));
    }
  }
}

void fill_labels(Buffer *to, Bytes *bytes) {
  const bool is_any = bytes->next() % 8 == 7;
  const double numbers[] = {1, -1, 1, -1, 0, 2, -2, 0.5, 257, 65537, 4294967297.0, -257, 1 + 0x1p-10, -0.0, 255, 3};
  const int width = format_of(to->dtype()).bytes;
  for (int64_t i = 0; i < to->size(); ++i) {
    if (is_any) {
      for (int k = 0; k < width; ++k) static_cast<uint8_t *>(to->data())[i * width + k] = bytes->next();
      continue;
    }
    const double number = bytes->pick(numbers);
    // Converting an out-of-range number to an integer is undefined.
    const double bound = std::ldexp(1.0, 8 * width - 1);
    to->set(i, to->dtype()[0] == 'i' && !(std::fabs(number) < bound) ? 0 : number);
  }
}

// NaN, or a result outside [-1, 1], stands for the cosine of the first pair.
double margin_from(Bytes *bytes) {
  const uint8_t byte = bytes->next();
  const double numbers[] = {0, 0.5, -1, 1, 1e-20, -0.25, 0.75, 1 - 0x1p-53};
  if (byte < 128) return numbers[byte % 8];
  if (byte < 192) return (byte - 160) / 32.0;
  return bytes->bits<double>();
}

double eps_from(Bytes *bytes) {
  const uint8_t byte = bytes->next();
  const double numbers[] = {1e-12,     0,     1e-3, 1,      1e-12, 0,    1e-300, 1e300,
                            0x1p-1074, 1e-30, 1e30, 1e-160, 1e160, 1e-8, 0,      0};
  if (byte < 224) return numbers[byte % 16];
  const double any = std::fabs(bytes->bits<double>());
  // A larger eps overflows the kernel's double-double.
  return any <= 0x1p1000 ? any : 0;
}

// Treats subnormals as zero and rounds upwards, which the kernel must neither obey nor change.
class ForeignFloatingPoint {
#if defined(__aarch64__)
  static constexpr uint64_t kForeign = uint64_t{1} << 24 | uint64_t{1} << 26;  // FZ, and AHP: alternative half format
  static uint64_t fpcr() {
    uint64_t value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void set_fpcr(uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
#endif

 public:
  explicit ForeignFloatingPoint(bool is_wanted) : is_wanted_(is_wanted) {
    if (!is_wanted_) return;
    std::fesetround(FE_UPWARD);
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040u);
#elif defined(__aarch64__)
    set_fpcr(fpcr() | kForeign);
#endif
  }
  ~ForeignFloatingPoint() {
    if (!is_wanted_) return;
    bool is_kept = std::fegetround() == FE_UPWARD;
#if defined(__x86_64__)
    is_kept = is_kept && (_mm_getcsr() & 0x8040u) == 0x8040u;
    _mm_setcsr(_mm_getcsr() & ~0x8040u);
#elif defined(__aarch64__)
    is_kept = is_kept && (fpcr() & kForeign) == kForeign;
    set_fpcr(fpcr() & ~kForeign);
#endif
    std::fesetround(FE_TONEAREST);
    if (!is_kept) fail("the floating-point environment of the caller was not given back");
  }

 private:
  bool is_wanted_;
};

class Problem {
 public:
  explicit Problem(Bytes *bytes) {
    const uint8_t dtypes = bytes->next(), kind = bytes->next(), rank_and_axis = bytes->next();
    dtype_ = kReal[dtypes % 4];
    losses_dtype_ = dtypes & 0x40 ? kReal[dtypes / 4 % 4] : dtype_;
    const std::string labels_dtype = kLabels[dtypes / 4 % 8];
    is_aligned_ = (dtypes & 0x80) != 0;
    is_foreign_ = (kind & 0x10) != 0;
    const bool has_ruined_rows = (kind & 0x20) != 0;
    const int rank = 1 + rank_and_axis % 4;
    settings_.axis = rank_and_axis / 4 % rank;
    settings_.reduction = kind % 4 % 3;
    settings_.threads = kind / 4 % 4;
    // Rarely, because long vectors are slow.
    const int64_t limit = (rank_and_axis & 0xf0) == 0xf0 && bytes->next() >= 0xf0 ? 4200 : 260;
    int64_t elements = 1;
    Shape labels_shape;
    for (int i = 0; i < rank; ++i) {
      const uint8_t byte = bytes->next();
      int64_t length = kLengths[byte % 32];
      if (length * elements > limit) length = limit / elements;
      const int broadcast = byte / 32;
      shape1_.push_back(i != settings_.axis && (broadcast == 5 || broadcast == 7) ? 1 : length);
      shape2_.push_back(i != settings_.axis && broadcast >= 6 ? 1 : length);
      elements *= std::max<int64_t>(1, std::max(shape1_[i], shape2_[i]));
      if (i != settings_.axis) labels_shape.push_back(shape1_[i] == 1 ? shape2_[i] : shape1_[i]);
    }
    settings_.margin = margin_from(bytes);
    settings_.eps = eps_from(bytes);
    result_shape_ = settings_.reduction == 0 ? labels_shape : Shape{};
    each_shape_ = labels_shape;
    x1_ = input(dtype_, shape1_), x2_ = input(dtype_, shape2_), labels_ = input(labels_dtype, labels_shape);
    upstream_ = input(losses_dtype_, result_shape_), packed_ = input("int64", {4});
    const std::string margin_dtype = kind & 0x40 ? kReal[kind / 16 % 4] : "int64";
    margin_ = input(margin_dtype, {}), margin_direction_ = input(margin_dtype, {});
    direction1_ = input(dtype_, shape1_), direction2_ = input(dtype_, shape2_);
    fill_labels(labels_.get(), bytes);
    fill(upstream_.get(), bytes);
    fill(x1_.get(), bytes);
    fill(x2_.get(), bytes, x1_.get());
    if (!(std::fabs(settings_.margin) <= 1)) settings_.margin = first_cosine();
    settings_.write(*packed_);
    settings_.write_margin(margin_.get());
    if (has_ruined_rows) ruin_ignored_rows();
    fill(direction1_.get(), bytes, x1_.get());
    fill(direction2_.get(), bytes, direction1_.get());
    margin_direction_->set(0, margin_dtype == "int64" ? 0 : static_cast<int8_t>(bytes->next()) / 16.0);
  }

  // Prints the problem that an input decodes to.
  void describe() const {
    const auto list = [](const char *name, const Buffer &of) {
      std::fprintf(stderr, "%s: %s (", name, of.dtype().c_str());
      for (const int64_t each : of.shape()) std::fprintf(stderr, "%lld,", static_cast<long long>(each));
      std::fprintf(stderr, ")");
      for (int64_t i = 0; i < std::min<int64_t>(of.size(), 20000); ++i)
        std::fprintf(stderr, "%s%.9g", i % 16 == 0 ? "\n  " : " ", of.get(i));
      std::fprintf(stderr, "\n");
    };
    std::fprintf(stderr, "margin %.17g, eps %.17g, reduction %d, axis %d\n", settings_.margin, settings_.eps,
                 static_cast<int>(settings_.reduction), static_cast<int>(settings_.axis));
    list("x1", *x1_), list("x2", *x2_), list("labels", *labels_), list("upstream", *upstream_);
    list("direction1", *direction1_), list("direction2", *direction2_);
  }

  void run() {
    std::vector<Buffer *> inputs = {x1_.get(),         x2_.get(),         labels_.get(),
                                    packed_.get(),     margin_.get(),     upstream_.get(),
                                    direction1_.get(), direction2_.get(), margin_direction_.get()};
    std::vector<std::vector<char>> before;
    for (Buffer *each : inputs) {
      const char *data = static_cast<char *>(each->data());
      before.emplace_back(data, data + each->bytes());
    }
    const Truth truth(
        {*x1_, *x2_, *labels_, *upstream_, *direction1_, *direction2_, margin_direction_->get(0), settings_});
    const Results results = all_results(is_aligned_, 0x55, settings_, false);
    truth.check_losses(*results.losses);
    truth.check_gradients(*results.gradient1, *results.gradient2);
    truth.check_margin_gradient(*results.margin_gradient);
    truth.check_second_order(*results.by_x1, *results.by_x2, *results.by_upstream);
    check_signs(*results.losses);
    check_repetition(results);
    check_exchange(*results.losses);
    check_sums();
    check_unresolved_axis(results);
    check_inference();
    const int64_t threads = settings_.threads;
    if (ms_cosine_loss_interface_version() != ms_cosine_loss::kInterfaceVersion ||
        ms_cosine_loss_threads(threads) < 1 || (threads > 0 && ms_cosine_loss_threads(threads) > threads)) {
      fail("the version or the threads");
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (before[i].size() != 0 && std::memcmp(inputs[i]->data(), before[i].data(), before[i].size()) != 0) {
        fail("an input was written to");
      }
    }
  }

  // Calls that the library was not built for are refused, and inconsistent shapes throw. In both cases nothing is
  // written, and the next call is right.
  void run_malformed(Bytes *bytes) {
    const int which = bytes->next() % 4;
    const uint8_t detail = bytes->next();
    for (int fault = 0; fault < kFaults; ++fault) refuse(which, fault, detail);
    run();
  }

 private:
  using Pointer = std::unique_ptr<Buffer>;

  static constexpr int kFaults = 13;

  void refuse(int which, int fault, uint8_t detail) const {
    static const reference::Function kFunctions[] = {ms_cosine_loss_forward, ms_cosine_loss_forward_of_each,
                                                     ms_cosine_loss_backward, ms_cosine_loss_second_order};
    static const char *const kNoDtypes[] = {"uint8", "bool", "", "float", "complex64", "int", "float320", "Float32"};
    const Results results(*this, is_aligned_, 0x55);
    const std::vector<const Buffer *> outputs = results.of_function(which);
    std::vector<const Buffer *> all = inputs_of_function(which);
    all.insert(all.end(), outputs.begin(), outputs.end());
    Call call(all);
    const auto add_axis = [&call](size_t to, int64_t length) {
      call.shapes[to].push_back(length);
      ++call.ranks[to];
    };
    bool is_misfit = fault >= 5 && fault < kFaults - 1;
    const int rank = call.ranks[0];
    const int64_t axis = settings_.axis;
    int64_t *settings = static_cast<int64_t *>(packed_->data());
    switch (fault) {
      case 0: {  // The number of arguments.
        const size_t count = detail % 14;
        if (count == all.size()) return;
        call.params.resize(count), call.ranks.resize(count), call.shapes.resize(count), call.dtypes.resize(count);
        break;
      }
      case 1:
        call.dtypes[detail % all.size()] = kNoDtypes[detail / 16 % 8];
        break;
      case 2: {  // Inputs, directions and gradients share a dtype; the last result has the upstream gradient's.
        const std::vector<int> alike = which < 2    ? std::vector<int>{0, 1}
                                       : which == 2 ? std::vector<int>{0, 1, 6, 7}
                                                    : std::vector<int>{0, 1, 6, 7, 9, 10, 11};
        std::string &dtype = call.dtypes[alike[detail % alike.size()]];
        dtype = dtype == kReal[detail / 16 % 4] ? "int32" : kReal[detail / 16 % 4];
        break;
      }
      case 3:  // The settings.
        if (detail % 2 == 0) {
          call.shapes[3][0] = detail / 2 == 4 ? 5 : detail / 2;
        } else {
          call.ranks[3] = detail % 4 == 1 ? 0 : 2;
          call.shapes[3].push_back(1);
        }
        break;
      case 4:  // The dtype of the settings; the margin's, which its gradient and direction share, and its rank.
        if (detail % 4 < 2) {
          call.dtypes[3] = detail % 2 ? "int32" : "float64";
        } else if (detail % 4 == 2) {
          add_axis(4, 1);
          is_misfit = true;
        } else {
          const int alike = which < 2 ? 4 : 8;
          call.dtypes[alike] = which < 2 ? "int32" : margin_->dtype() == "float32" ? "float64" : "float32";
        }
        break;
      case 5:
        add_axis(detail % 2, 1);
        break;
      case 6: {
        const int64_t wrong[] = {-rank - 1, rank + (rank == 1), INT64_MIN, INT64_MAX};
        settings[2] = wrong[detail % 4];
        break;
      }
      case 7:
        call.shapes[detail % 2][axis] += 1 + detail / 2;
        break;
      case 8: {  // Axes that do not broadcast.
        if (rank == 1) return;
        const int64_t other = (axis + 1) % rank;
        call.shapes[0][other] = 2 + detail % 3;
        call.shapes[1][other] = 5 + detail / 3;
        call.shapes[2][other - (other > axis)] = call.shapes[detail / 4 % 2][other];
        break;
      }
      case 9:  // The labels.
        if (detail % 2 != 0 || rank == 1) {
          add_axis(2, 1 + detail / 2 % 2);
        } else {
          int64_t &length = call.shapes[2][detail / 2 % (rank - 1)];
          length = length == 1 ? 2 : 1;
        }
        break;
      case 10:
        if (which < 2) return;
        add_axis(5, 2);
        break;
      case 11:  // More axes than the kernel supports, or none.
        for (int i = 0; i < 2; ++i) {
          call.shapes[i].resize(detail % 2 ? 33 : 0, 1);
          call.ranks[i] = static_cast<int>(call.shapes[i].size());
        }
        call.shapes[2].resize(detail % 2 ? 32 : 0, 1);
        call.ranks[2] = static_cast<int>(call.shapes[2].size());
        break;
      default: {  // The results and the directions.
        const size_t first = which == 3 ? 6 : all.size() - outputs.size();
        add_axis(first + detail % (all.size() - first), 2);
      }
    }
    bool is_refused = false;
    try {
      is_refused = call.run(kFunctions[which]) == 1 && !is_misfit;
    } catch (const std::exception &error) {
      is_refused = is_misfit && std::string(error.what()).find("For 'CosineEmbeddingLoss', the ") == 0;
    }
    settings_.write(*packed_);
    if (!is_refused) fail("a malformed call was not refused: fault " + std::to_string(fault));
    for (const Buffer *each : outputs) {
      if (!each->is_untouched()) fail("a refused call wrote something");
    }
  }

  struct Results {
    Pointer losses, gradient1, gradient2, margin_gradient, by_x1, by_x2, by_upstream;

    Results(const Problem &of, bool is_aligned, char filling) {
      const auto make = [&](const std::string &dtype, const Shape &shape) {
        return std::make_unique<Buffer>(dtype, shape, is_aligned, filling);
      };
      losses = make(of.losses_dtype_, of.result_shape_), by_upstream = make(of.losses_dtype_, of.result_shape_);
      gradient1 = make(of.dtype_, of.shape1_), gradient2 = make(of.dtype_, of.shape2_);
      by_x1 = make(of.dtype_, of.shape1_), by_x2 = make(of.dtype_, of.shape2_);
      margin_gradient = make(of.margin_->dtype(), {});
    }
    std::vector<const Buffer *> of_function(int which) const {
      if (which < 2) return {losses.get()};
      if (which == 2) return {gradient1.get(), gradient2.get(), margin_gradient.get()};
      return {by_x1.get(), by_x2.get(), by_upstream.get()};
    }
  };

  // Unaligned, in memory that ends with the tensor.
  static Pointer input(const std::string &dtype, const Shape &shape) { return std::make_unique<Buffer>(dtype, shape); }

  std::vector<const Buffer *> inputs_of_function(int which) const {
    std::vector<const Buffer *> inputs = {x1_.get(), x2_.get(), labels_.get(), packed_.get(), margin_.get()};
    if (which >= 2) inputs.push_back(upstream_.get());
    if (which == 3) inputs.insert(inputs.end(), {direction1_.get(), direction2_.get(), margin_direction_.get()});
    return inputs;
  }

  void run_function(reference::Function function, int which, const Results &results) const {
    std::vector<const Buffer *> all = inputs_of_function(which);
    for (const Buffer *each : results.of_function(which)) all.push_back(each);
    reference::call(function, all);
  }

  Results all_results(bool is_aligned, char filling, const Settings &settings, bool is_foreign) const {
    Results results(*this, is_aligned, filling);
    settings.write(*packed_);
    {
      const ForeignFloatingPoint environment(is_foreign);
      run_function(settings.reduction == 0 ? ms_cosine_loss_forward_of_each : ms_cosine_loss_forward, 0, results);
      run_function(ms_cosine_loss_backward, 2, results);
      run_function(ms_cosine_loss_second_order, 3, results);
    }
    settings_.write(*packed_);
    return results;
  }

  static void check_signs(const Buffer &losses) {
    for (int64_t i = 0; i < losses.size(); ++i) {
      if (std::signbit(losses.get(i)) && !std::isnan(losses.get(i))) fail("a loss below 0");
    }
  }

  // The results must be bitwise the same in other memory, with another alignment, number of threads and floating-point
  // environment.
  void check_repetition(const Results &results) const {
    Settings settings = settings_;
    settings.threads = (settings.threads + 1) % 4;
    const Results again = all_results(!is_aligned_, static_cast<char>(0xaa), settings, is_foreign_);
    for (int which = 0; which < 4; ++which) {
      const std::vector<const Buffer *> first = results.of_function(which), second = again.of_function(which);
      for (size_t i = 0; i < first.size(); ++i) {
        if (!first[i]->same_bits(*second[i])) fail("other bits the second time");
      }
    }
  }

  void check_exchange(const Buffer &losses) const {
    Buffer exchanged(losses.dtype(), losses.shape());
    reference::call(ms_cosine_loss_forward,
                    {x2_.get(), x1_.get(), labels_.get(), packed_.get(), margin_.get(), &exchanged});
    if (!losses.same_bits(exchanged)) fail("other losses with the inputs exchanged");
  }

  // The reduced losses must be the sum and the mean of the pairs' losses.
  void check_sums() const {
    Settings settings = settings_;
    Buffer each("float64", each_shape_);
    settings.reduction = 0;
    settings.write(*packed_);
    reference::call(ms_cosine_loss_forward, {x1_.get(), x2_.get(), labels_.get(), packed_.get(), margin_.get(), &each});
    long double sum = 0;
    for (int64_t i = 0; i < each.size(); ++i) sum += each.get(i);
    for (const int64_t reduction : {1, 2}) {
      Buffer reduced("float64", {});
      settings.reduction = reduction;
      settings.write(*packed_);
      reference::call(ms_cosine_loss_forward,
                      {x1_.get(), x2_.get(), labels_.get(), packed_.get(), margin_.get(), &reduced});
      const long double expected = reduction == 1 ? sum / each.size() : sum;
      const bool is_right = std::isnan(expected)
                                ? std::isnan(reduced.get(0))
                                : std::fabs(reduced.get(0) - expected) <= 0x1p-51L * expected + 0x1p-1074L;
      if (!is_right) fail("the reduced loss is not that of its parts");
    }
    settings_.write(*packed_);
  }

  // The axis as Python passes it when the rank is unknown.
  void check_unresolved_axis(const Results &results) const {
    Settings settings = settings_;
    settings.axis = shape1_.size() == 1 ? 1 : settings.axis - static_cast<int64_t>(shape1_.size());
    const Results again = all_results(is_aligned_, 0x55, settings, false);
    if (!results.losses->same_bits(*again.losses) || !results.gradient1->same_bits(*again.gradient1) ||
        !results.by_x2->same_bits(*again.by_x2)) {
      fail("other bits with the axis as the user gives it");
    }
  }

  // The inferred shapes of the results, from known and unknown shapes; a scalar has the shape (1,).
  void check_inference() const {
    Call call(inputs_of_function(3));
    for (const bool is_known : {true, false}) {
      if (!is_known) call.shapes[0] = {-2}, call.shapes[2] = {-1}, call.ranks[0] = call.ranks[2] = 1;
      std::vector<int64_t *> shapes;
      for (Shape &each : call.shapes) shapes.push_back(each.data());
      if (ms_cosine_loss_forwardInferShape(call.ranks.data(), shapes.data(), nullptr) != Shape{1} ||
          ms_cosine_loss_forward_of_eachInferShape(call.ranks.data(), shapes.data(), nullptr) != call.shapes[2] ||
          ms_cosine_loss_backwardInferShape(call.ranks.data(), shapes.data(), nullptr) !=
              std::vector<Shape>{call.shapes[0], call.shapes[1], {1}} ||
          ms_cosine_loss_second_orderInferShape(call.ranks.data(), shapes.data(), nullptr) !=
              std::vector<Shape>{call.shapes[0], call.shapes[1], call.shapes[5]}) {
        fail("the shapes of the results");
      }
    }
  }

  // The cosine of the pair at the start of both tensors, rounded; 0 if it is not finite.
  double first_cosine() const {
    long double product = 0, square1 = settings_.eps, square2 = settings_.eps;
    const auto stride_of = [this](const Shape &shape) {
      return size_of(Shape(shape.begin() + settings_.axis + 1, shape.end()));
    };
    const int64_t stride1 = stride_of(shape1_), stride2 = stride_of(shape2_);
    for (int64_t i = 0; i < shape1_[settings_.axis] && x1_->size() > 0 && x2_->size() > 0; ++i) {
      const long double a = x1_->get(i * stride1), b = x2_->get(i * stride2);
      product += a * b, square1 += a * a, square2 += b * b;
    }
    const double cosine = static_cast<double>(product / std::sqrt(square1) / std::sqrt(square2));
    return std::isfinite(cosine) ? std::max(-1.0, std::min(1.0, cosine)) : 0;
  }

  // Puts NaN and infinities into ignored pairs, which must not change anything. With broadcasting, other pairs may
  // contain the same vectors, so those problems are left alone.
  void ruin_ignored_rows() {
    if (shape1_ != shape2_) return;
    int64_t after = 1;
    for (size_t i = settings_.axis + 1; i < shape1_.size(); ++i) after *= shape1_[i];
    const double ruins[] = {std::nan("quiet"), std::numeric_limits<double>::infinity()};
    for (int64_t i = 0; i < x1_->size(); ++i) {
      const int64_t pair = i / (after * shape1_[settings_.axis]) * after + i % after;
      if (std::fabs(labels_->get(pair)) == 1) continue;
      x1_->set(i, ruins[i % 2]), x2_->set(i, ruins[i / 2 % 2]);
    }
  }

  std::string dtype_, losses_dtype_;
  Shape shape1_, shape2_, result_shape_, each_shape_;
  Settings settings_;
  bool is_aligned_, is_foreign_;
  Pointer x1_, x2_, labels_, upstream_, packed_, margin_, direction1_, direction2_, margin_direction_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Bytes bytes(data, size);
  const bool is_malformed = bytes.next() % 16 == 15;
  Problem problem(&bytes);
  static const bool is_described = std::getenv("FUZZ_DESCRIBE") != nullptr;
  if (is_described) problem.describe();
  is_malformed ? problem.run_malformed(&bytes) : problem.run();
  return 0;
}

#if defined(FUZZ_REPLAY)
int main(int argc, char **argv) {
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    // Printed before the run, so that a failure has a name.
    std::fprintf(stderr, "%s\r", argv[i]);
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
  }
  std::printf("%s: %d inputs, clean\n", ms_cosine_loss_instruction_set(), argc - 1);
  std::printf("digest of all bits: %016llx\n", static_cast<unsigned long long>(reference::digest));
}
#endif
