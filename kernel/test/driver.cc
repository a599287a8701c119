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

// Drives the kernel through the interface that MindSpore calls, with random shapes, dtypes, labels and settings, at
// addresses aligned to no more than an element, and judges every result by long double arithmetic. Built with the
// sanitizers by sanitize.sh.
//
//     driver [cases] [seed]
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "../element.h"

extern "C" {
int ms_cosine_loss_forward(int, void **, int *, int64_t **, const char **, void *, void *);
int ms_cosine_loss_forward_of_each(int, void **, int *, int64_t **, const char **, void *, void *);
int ms_cosine_loss_backward(int, void **, int *, int64_t **, const char **, void *, void *);
int ms_cosine_loss_second_order(int, void **, int *, int64_t **, const char **, void *, void *);
const char *ms_cosine_loss_instruction_set();
}

namespace {

using Shape = std::vector<int64_t>;
using Numbers = std::vector<double>;
using Function = int (*)(int, void **, int *, int64_t **, const char **, void *, void *);

[[noreturn]] void fail(const std::string &what) {
  std::fprintf(stderr, "FAILED: %s\n", what.c_str());
  std::exit(1);
}

int64_t size_of(const Shape &shape) {
  int64_t size = 1;
  for (const int64_t length : shape) size *= length;
  return size;
}

// A tensor in memory that is exactly as large as it has to be, so that a sanitizer sees one byte too far.
class Buffer {
 public:
  Buffer(std::string dtype, Shape shape) : dtype_(std::move(dtype)), shape_(std::move(shape)) {
    const auto has = [this](const char *bits) { return dtype_.find(bits) != std::string::npos; };
    width_ = has("int8") ? 1 : has("16") ? 2 : has("32") ? 4 : 8;
    bytes_ = static_cast<char *>(std::malloc(width_ + width_ * size_of(shape_)));
    std::memset(bytes_, 0x55, width_ + width_ * size_of(shape_));
  }
  Buffer(std::string dtype, Shape shape, const Numbers &numbers) : Buffer(std::move(dtype), std::move(shape)) {
    for (size_t i = 0; i < numbers.size(); ++i) set(i, numbers[i]);
  }
  ~Buffer() { std::free(bytes_); }
  Buffer(const Buffer &) = delete;

  // Off the alignment of malloc by one element.
  void *data() { return bytes_ + width_; }
  const std::string &dtype() const { return dtype_; }
  Shape &shape() { return shape_; }
  int64_t size() const { return size_of(shape_); }
  bool same_bits(const Buffer &other) const { return std::memcmp(bytes_, other.bytes_, width_ + width_ * size()) == 0; }

  double get(int64_t i) const {
    const char *at = bytes_ + width_ + width_ * i;
    if (dtype_ == "float64") return read<double>(at);
    if (dtype_ == "float32") return read<float>(at);
    if (dtype_ == "float16") return ms_cosine_loss::widened(read<ms_cosine_loss::Float16>(at));
    if (dtype_ == "bfloat16") return ms_cosine_loss::widened(read<ms_cosine_loss::BFloat16>(at));
    if (dtype_ == "int8") return read<int8_t>(at);
    if (dtype_ == "int16") return read<int16_t>(at);
    if (dtype_ == "int32") return read<int32_t>(at);
    return static_cast<double>(read<int64_t>(at));
  }

 private:
  template <class T>
  static T read(const char *at) {
    T value;
    std::memcpy(&value, at, sizeof(value));
    return value;
  }
  template <class T>
  void write(int64_t i, T value) {
    std::memcpy(bytes_ + width_ + width_ * i, &value, sizeof(value));
  }
  template <class T>
  void write_narrow(int64_t i, double value) {
    T narrow;
    ms_cosine_loss::narrow(value, &narrow);
    write(i, narrow);
  }
  void set(int64_t i, double value) {
    if (dtype_ == "float64") return write(i, value);
    if (dtype_ == "float32") return write(i, static_cast<float>(value));
    if (dtype_ == "float16") return write_narrow<ms_cosine_loss::Float16>(i, value);
    if (dtype_ == "bfloat16") return write_narrow<ms_cosine_loss::BFloat16>(i, value);
    if (dtype_ == "int8") return write(i, static_cast<int8_t>(value));
    if (dtype_ == "int16") return write(i, static_cast<int16_t>(value));
    if (dtype_ == "int32") return write(i, static_cast<int32_t>(value));
    write(i, static_cast<int64_t>(value));
  }

  std::string dtype_;
  Shape shape_;
  int64_t width_;
  char *bytes_;
};

void call(Function function, std::vector<Buffer *> buffers) {
  std::vector<void *> params;
  std::vector<int> ranks;
  std::vector<int64_t *> shapes;
  std::vector<const char *> dtypes;
  for (Buffer *buffer : buffers) {
    params.push_back(buffer->data());
    ranks.push_back(static_cast<int>(buffer->shape().size()));
    shapes.push_back(buffer->shape().data());
    dtypes.push_back(buffer->dtype().c_str());
  }
  const int count = static_cast<int>(buffers.size());
  if (function(count, params.data(), ranks.data(), shapes.data(), dtypes.data(), nullptr, nullptr) != 0) {
    fail("a call was refused");
  }
}

class Settings {
 public:
  Settings(double margin, double eps, int64_t reduction, int64_t axis, int64_t threads) : buffer_("int64", {5}) {
    int64_t values[5] = {0, 0, reduction, axis, threads};
    std::memcpy(&values[0], &margin, 8);
    std::memcpy(&values[1], &eps, 8);
    std::memcpy(buffer_.data(), values, sizeof(values));
  }
  Buffer *buffer() { return &buffer_; }

 private:
  Buffer buffer_;
};

struct Case {
  std::mt19937_64 random;
  std::string dtype, labels_dtype;
  Shape shape1, shape2, labels_shape;
  int64_t axis, reduction;
  double margin, eps;

  template <class T>
  T pick(std::initializer_list<T> from) {
    return *(from.begin() + random() % from.size());
  }
  double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); }

  explicit Case(uint64_t seed, bool is_large) : random(seed) {
    dtype = pick<std::string>({"float16", "bfloat16", "float32", "float64"});
    labels_dtype = pick<std::string>({"int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"});
    const int rank = 1 + static_cast<int>(random() % 4);
    axis = static_cast<int64_t>(random() % rank);
    do {
      shape1.clear();
      for (int i = 0; i < rank; ++i) {
        shape1.push_back(pick<int64_t>({0, 1, 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 64, 65, 127, 130, 1031}));
      }
    } while (size_of(shape1) > 4096);
    if (is_large) {
      for (int64_t &length : shape1) length += length == 0;
      shape1[random() % rank] *= 150000 / size_of(shape1);
    }
    shape2 = shape1;
    for (int i = 0; i < rank; ++i) {
      if (i != axis && random() % 4 == 0) (random() % 2 ? shape1 : shape2)[i] = 1;
    }
    for (int i = 0; i < rank; ++i) {
      if (i != axis) labels_shape.push_back(shape1[i] == 1 ? shape2[i] : shape1[i]);
    }
    reduction = static_cast<int64_t>(random() % 3);
    margin = pick<double>({0, 0.5, -1, 1, uniform(-1, 1)});
    eps = pick<double>({0, 1e-12, 1e-12, 1e-3});
  }

  Numbers vectors(const Shape &shape) {
    Numbers numbers(size_of(shape));
    const double scale = pick<double>({1, 1, 1e-2, 30});
    for (double &number : numbers) number = random() % 16 ? scale * std::normal_distribution<double>()(random) : 0;
    return numbers;
  }
};

// Where the element `index` of a tensor lies in another that broadcasts to it.
int64_t seen_from(int64_t index, const Shape &full, const Shape &shape) {
  int64_t at = 0, stride = 1;
  for (size_t i = full.size(); i-- > 0;) {
    const int64_t step = index % full[i];
    index /= full[i];
    if (shape[i] != 1) at += step * stride;
    stride *= shape[i];
  }
  return at;
}

struct Truth {
  std::vector<long double> losses, gradient1, gradient2, size1, size2;
};

Truth truth_of(const Case &of, const Buffer &x1, const Buffer &x2, const Buffer &labels, const Buffer &upstream) {
  Truth truth;
  Shape full;
  int64_t after = 1;
  for (size_t i = 0; i < of.shape1.size(); ++i) {
    full.push_back(of.shape1[i] == 1 ? of.shape2[i] : of.shape1[i]);
    if (static_cast<int64_t>(i) > of.axis) after *= full[i];
  }
  const int64_t length = of.shape1[of.axis], pairs = labels.size();
  truth.losses.resize(pairs);
  truth.gradient1.resize(x1.size()), truth.size1.resize(x1.size());
  truth.gradient2.resize(x2.size()), truth.size2.resize(x2.size());
  for (int64_t pair = 0; pair < pairs; ++pair) {
    const double label = labels.get(pair);
    if (label != 1 && label != -1) continue;
    std::vector<int64_t> at1, at2;
    long double p = 0, q = of.eps, r = of.eps;
    for (int64_t i = 0; i < length; ++i) {
      const int64_t index = ((pair / after) * length + i) * after + pair % after;
      at1.push_back(seen_from(index, full, of.shape1));
      at2.push_back(seen_from(index, full, of.shape2));
      const long double a = x1.get(at1.back()), b = x2.get(at2.back());
      p += a * b, q += a * a, r += b * b;
    }
    const bool has_direction = q > 0 && r > 0;
    const long double cosine = has_direction ? p / std::sqrt(q) / std::sqrt(r) : 0;
    long double weight = upstream.get(of.reduction == 0 ? pair : 0);
    if (of.reduction == 1) weight /= pairs;
    truth.losses[pair] = label == 1 ? 1 - cosine : std::max(0.0L, cosine - of.margin);
    if (label == 1) weight = -weight;
    if (!has_direction || (label == -1 && cosine < of.margin)) continue;
    for (int64_t i = 0; i < length; ++i) {
      const long double u1 = x1.get(at1[i]) / std::sqrt(q), u2 = x2.get(at2[i]) / std::sqrt(r);
      truth.gradient1[at1[i]] += weight / std::sqrt(q) * (u2 - cosine * u1);
      truth.gradient2[at2[i]] += weight / std::sqrt(r) * (u1 - cosine * u2);
      truth.size1[at1[i]] += std::fabs(weight) / std::sqrt(q) * (std::fabs(u2) + std::fabs(u1));
      truth.size2[at2[i]] += std::fabs(weight) / std::sqrt(r) * (std::fabs(u1) + std::fabs(u2));
    }
  }
  return truth;
}

void check(double found, long double expected, long double granted, const char *what) {
  if (!(std::fabs(found - expected) <= granted)) {
    fail(std::string(what) + ": " + std::to_string(found) + " for " + std::to_string(static_cast<double>(expected)) +
         ", granted " + std::to_string(static_cast<double>(granted)));
  }
}

void run(uint64_t seed, bool is_large) {
  Case of(seed, is_large);
  Buffer x1(of.dtype, of.shape1, of.vectors(of.shape1));
  Buffer x2(
      of.dtype, of.shape2, of.random() % 4 || of.shape1 != of.shape2 ? of.vectors(of.shape2) : [&] {
        Numbers same(x1.size());
        for (int64_t i = 0; i < x1.size(); ++i) same[i] = x1.get(i) * (1 + of.pick<double>({0, 1e-2, 1e-5}));
        return same;
      }());
  Numbers label_numbers(size_of(of.labels_shape));
  for (double &label : label_numbers) label = of.pick<double>({1, -1, 1, -1, 0, 2});
  Buffer labels(of.labels_dtype, of.labels_shape, label_numbers);
  const Shape result_shape = of.reduction == 0 ? of.labels_shape : Shape{};
  Buffer upstream(of.dtype, result_shape, of.vectors(result_shape));
  const Truth truth = truth_of(of, x1, x2, labels, upstream);
  const int bits = of.dtype == "float64" ? 52 : of.dtype == "float32" ? 23 : of.dtype == "float16" ? 10 : 7;
  const long double unit = std::ldexp(1.0L, -bits);
  const long double smallest = of.dtype == "float16" ? 0x1p-24L : 0x1p-120L;

  Settings settings(of.margin, of.eps, of.reduction, of.axis, 1);
  Buffer losses(of.dtype, result_shape), gradient1(of.dtype, of.shape1), gradient2(of.dtype, of.shape2);
  call(of.reduction == 0 ? ms_cosine_loss_forward_of_each : ms_cosine_loss_forward,
       {&x1, &x2, &labels, settings.buffer(), &losses});
  call(ms_cosine_loss_backward, {&x1, &x2, &labels, settings.buffer(), &upstream, &gradient1, &gradient2});
  const int64_t pairs = labels.size();
  const auto granted = [&](long double loss) {
    return (of.dtype == "float64" ? 4 * unit : 2 * unit * loss) + 1e-17L + smallest;
  };
  if (of.reduction == 0) {
    for (int64_t i = 0; i < pairs; ++i) check(losses.get(i), truth.losses[i], granted(truth.losses[i]), "loss");
  } else if (pairs == 0) {
    if (of.reduction == 2 ? losses.get(0) != 0 : !std::isnan(losses.get(0))) fail("the loss of no pairs");
  } else {
    long double sum = 0, error = 0;
    for (const long double loss : truth.losses) sum += loss, error += granted(loss);
    const long double over = of.reduction == 1 ? pairs : 1;
    check(losses.get(0), sum / over, error / over + unit * sum / over, "reduced loss");
  }
  const long double largest = of.dtype == "float16" ? 6.5e4L : 1e38L;
  for (int64_t i = 0; i < x1.size(); ++i) {
    if (std::fabs(truth.gradient1[i]) > largest) continue;
    check(gradient1.get(i), truth.gradient1[i], 4 * unit * truth.size1[i] + 2 * smallest, "gradient of x1");
  }
  for (int64_t i = 0; i < x2.size(); ++i) {
    if (std::fabs(truth.gradient2[i]) > largest) continue;
    check(gradient2.get(i), truth.gradient2[i], 4 * unit * truth.size2[i] + 2 * smallest, "gradient of x2");
  }

  // The same bits whatever the number of threads.
  for (const int64_t threads : {2, 4}) {
    Settings more(of.margin, of.eps, of.reduction, of.axis, threads);
    Buffer again(of.dtype, result_shape), again1(of.dtype, of.shape1), again2(of.dtype, of.shape2);
    call(ms_cosine_loss_forward, {&x1, &x2, &labels, more.buffer(), &again});
    call(ms_cosine_loss_backward, {&x1, &x2, &labels, more.buffer(), &upstream, &again1, &again2});
    if (!again.same_bits(losses) || !again1.same_bits(gradient1) || !again2.same_bits(gradient2)) {
      fail("other bits with " + std::to_string(threads) + " threads");
    }
  }

  // S is linear in the upstream gradient, so that its derivative by it, times it, gives S back.
  Buffer direction1(of.dtype, of.shape1, of.vectors(of.shape1)), direction2(of.dtype, of.shape2, of.vectors(of.shape2));
  Buffer by_x1(of.dtype, of.shape1), by_x2(of.dtype, of.shape2), by_upstream(of.dtype, result_shape);
  call(ms_cosine_loss_second_order,
       {&x1, &x2, &labels, settings.buffer(), &upstream, &direction1, &direction2, &by_x1, &by_x2, &by_upstream});
  long double s = 0, magnitude = 0, contracted = 0;
  for (int64_t i = 0; i < x1.size(); ++i) {
    s += truth.gradient1[i] * direction1.get(i);
    magnitude += truth.size1[i] * std::fabs(direction1.get(i));
  }
  for (int64_t i = 0; i < x2.size(); ++i) {
    s += truth.gradient2[i] * direction2.get(i);
    magnitude += truth.size2[i] * std::fabs(direction2.get(i));
  }
  for (int64_t i = 0; i < upstream.size(); ++i) contracted += by_upstream.get(i) * upstream.get(i);
  if (magnitude < largest && pairs > 0) {
    check(static_cast<double>(contracted), s, 4 * unit * magnitude + upstream.size() * smallest, "second order");
  }
}

}  // namespace

int main(int argc, char **argv) {
  const uint64_t cases = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  for (uint64_t i = 0; i < cases; ++i) run(seed + i, false);
  // Large enough for several threads, and called from several at once.
  std::vector<std::thread> callers;
  for (uint64_t caller = 0; caller < 4; ++caller) {
    callers.emplace_back([=] {
      for (uint64_t i = 0; i < cases / 200 + 1; ++i) run(seed + 1000003 * (caller + 1) + i, true);
    });
  }
  for (std::thread &caller : callers) caller.join();
  std::printf("%s: %llu cases, clean\n", ms_cosine_loss_instruction_set(), static_cast<unsigned long long>(cases));
}
