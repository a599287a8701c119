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

// The operators that the loss and its tests use on Ascend, computed in double and rounded to the dtype of the result.
// Arguments are in the order of CANN's header aclnn_<name>.h.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "operand.h"

namespace stand_in {
namespace {

// Rounds to `digits` significant bits, with an ulp of at least 2^lowest; ties to even.
double nearest(double value, int digits, int lowest) {
  if (value == 0 || !std::isfinite(value)) return value;
  int exponent;
  std::frexp(value, &exponent);
  const int unit = std::max(exponent - digits, lowest);
  return std::ldexp(std::nearbyint(std::ldexp(value, -unit)), unit);
}

double from_half(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  double size = std::ldexp(exponent ? mantissa + 1024 : mantissa, std::max(exponent, 1) - 25);
  if (exponent == 31) size = mantissa ? NAN : INFINITY;
  return bits >> 15 ? -size : size;
}

uint16_t to_half(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return sign | 0x7e00;
  const double size = std::fabs(nearest(value, 11, -24));
  if (size > 65504) return sign | 0x7c00;
  if (size < 0x1p-14) return sign | static_cast<uint16_t>(std::ldexp(size, 24));
  int exponent;
  const double mantissa = std::frexp(size, &exponent);
  return sign | static_cast<uint16_t>((exponent + 13) * 1024 + std::ldexp(mantissa, 11));
}

float from_bfloat16(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  memcpy(&value, &wide, 4);
  return value;
}

uint16_t to_bfloat16(double value) {
  const float single = static_cast<float>(nearest(value, 8, -133));
  uint32_t bits;
  memcpy(&bits, &single, 4);
  return static_cast<uint16_t>(bits >> 16);
}

template <class T>
T as(const void *element) {
  T value;
  memcpy(&value, element, sizeof value);
  return value;
}

template <class T>
void put(void *element, double value) {
  // Through int64_t, because converting a negative double to an unsigned type is undefined.
  const T converted = std::is_integral<T>::value ? static_cast<T>(static_cast<int64_t>(value)) : static_cast<T>(value);
  memcpy(element, &converted, sizeof converted);
}

}  // namespace

size_t bytes_of(int dtype) {
  switch (dtype) {
    case kInt8:
    case kUInt8:
    case kBool:
      return 1;
    case kFloat16:
    case kBFloat16:
    case kInt16:
      return 2;
    case kFloat32:
    case kInt32:
      return 4;
    default:
      return 8;
  }
}

double load(const void *element, int dtype) {
  switch (dtype) {
    case kFloat16:
      return from_half(as<uint16_t>(element));
    case kBFloat16:
      return from_bfloat16(as<uint16_t>(element));
    case kFloat32:
      return as<float>(element);
    case kFloat64:
      return as<double>(element);
    case kInt8:
      return as<int8_t>(element);
    case kInt16:
      return as<int16_t>(element);
    case kInt32:
      return as<int32_t>(element);
    case kInt64:
      return static_cast<double>(as<int64_t>(element));
    case kUInt8:
    case kBool:
      return as<uint8_t>(element);
    default:
      return NAN;
  }
}

void store(void *element, int dtype, double value) {
  switch (dtype) {
    case kFloat16:
      return put<uint16_t>(element, to_half(value));
    case kBFloat16:
      return put<uint16_t>(element, to_bfloat16(value));
    case kFloat32:
      return put<float>(element, value);
    case kFloat64:
      return put<double>(element, value);
    case kInt8:
      return put<int8_t>(element, value);
    case kInt16:
      return put<int16_t>(element, value);
    case kInt32:
      return put<int32_t>(element, value);
    case kInt64:
      return put<int64_t>(element, value);
    case kUInt8:
      return put<uint8_t>(element, value);
    case kBool:
      return put<uint8_t>(element, value != 0);
    default:
      return;
  }
}

int64_t elements_of(const Operand &tensor) {
  int64_t count = 1;
  for (int64_t length : tensor.shape) count *= length;
  return count;
}

Shape contiguous(const Shape &shape) {
  Shape strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * shape[axis];
  return strides;
}

namespace {

char *first(const Operand &tensor) {
  return static_cast<char *>(tensor.data) + tensor.offset * static_cast<int64_t>(bytes_of(tensor.dtype));
}

// An iterator over a tensor: the current element, and the stride along each axis in bytes.
struct Walk {
  const Operand *tensor;
  char *element;
  std::vector<int64_t> steps;

  // Walks `tensor` broadcast to a shape: axes are aligned at the last, and those of length 1 are repeated.
  Walk(const Operand &tensor, const Shape &shape) : tensor(&tensor), element(first(tensor)), steps(shape.size(), 0) {
    for (size_t axis = 0; axis < tensor.shape.size(); ++axis) {
      const bool repeated = tensor.shape[axis] == 1;
      const int64_t step = tensor.strides[axis] * static_cast<int64_t>(bytes_of(tensor.dtype));
      steps[axis + shape.size() - tensor.shape.size()] = repeated ? 0 : step;
    }
  }
  // Walks with the given strides, one for each axis of the shape, in elements.
  Walk(const Operand &tensor, int64_t start, std::vector<int64_t> steps)
      : tensor(&tensor), element(first(tensor)), steps(std::move(steps)) {
    const int64_t bytes = static_cast<int64_t>(bytes_of(tensor.dtype));
    element += start * bytes;
    for (int64_t &step : this->steps) step *= bytes;
  }

  double get() const { return load(element, tensor->dtype); }
  void set(double value) const { store(element, tensor->dtype, value); }
};

// Calls `visit` at each index of `shape`, with every walk at the element there.
template <class Visit>
void each(const Shape &shape, std::vector<Walk> walks, Visit visit) {
  for (int64_t length : shape) {
    if (length == 0) return;
  }
  Shape index(shape.size(), 0);
  for (;;) {
    visit(walks);
    size_t axis = shape.size();
    for (;;) {
      if (axis-- == 0) return;
      for (Walk &walk : walks) walk.element += walk.steps[axis];
      if (++index[axis] < shape[axis]) break;
      for (Walk &walk : walks) walk.element -= walk.steps[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

// result = function(inputs...), element by element, inputs broadcast to the result.
void map(const std::function<double(const double *)> &function, const std::vector<const Operand *> &inputs,
         const Operand &result) {
  std::vector<Walk> walks{Walk(result, result.shape)};
  for (const Operand *input : inputs) walks.emplace_back(*input, result.shape);
  std::vector<double> values(inputs.size());
  each(result.shape, walks, [&](const std::vector<Walk> &at) {
    for (size_t k = 0; k < values.size(); ++k) values[k] = at[k + 1].get();
    at[0].set(function(values.data()));
  });
}

void copy(const Operand &input, const Operand &result) {
  map([](const double *x) { return x[0]; }, {&input}, result);
}

void fill(double value, const Operand &result) {
  map([value](const double *) { return value; }, {}, result);
}

int64_t from_the_front(int64_t axis, size_t rank) { return axis < 0 ? axis + static_cast<int64_t>(rank) : axis; }

// The sum or the mean over `axes`, or over all axes if `axes` is empty.
void reduce(const Operand &input, const Shape &axes, const Operand &result, bool is_mean) {
  std::vector<bool> reduced(input.shape.size(), axes.empty());
  for (int64_t axis : axes) reduced[from_the_front(axis, input.shape.size())] = true;
  Operand total = result;
  total.shape = input.shape;
  int64_t count = 1;
  for (size_t axis = 0; axis < input.shape.size(); ++axis) {
    if (reduced[axis]) {
      count *= input.shape[axis];
      total.shape[axis] = 1;
    }
  }
  // Wider than double, so that the sum of a long float64 row is correctly rounded.
  std::vector<long double> sums(elements_of(result));
  std::vector<double> rounded(elements_of(result));
  total.strides = contiguous(total.shape);
  total.dtype = kFloat64;
  total.offset = 0;
  total.data = rounded.data();
  each(input.shape, {Walk(total, input.shape), Walk(input, input.shape)}, [&](const std::vector<Walk> &at) {
    sums[reinterpret_cast<double *>(at[0].element) - rounded.data()] += at[1].get();
  });
  for (size_t k = 0; k < sums.size(); ++k) rounded[k] = static_cast<double>(is_mean ? sums[k] / count : sums[k]);
  total.shape = result.shape;
  total.strides = contiguous(result.shape);
  copy(total, result);
}

void permute(const Operand &input, const Shape &axes, const Operand &result) {
  std::vector<int64_t> steps;
  for (int64_t axis : axes) steps.push_back(input.strides[from_the_front(axis, axes.size())]);
  each(result.shape, {Walk(result, result.shape), Walk(input, 0, steps)},
       [](const std::vector<Walk> &at) { at[0].set(at[1].get()); });
}

// Tiles the input along each axis on which the result is longer.
void repeat(const Operand &input, const Operand &result) {
  Shape index(result.shape.size(), 0);
  const size_t added = result.shape.size() - input.shape.size();
  each(result.shape, {Walk(result, result.shape)}, [&](const std::vector<Walk> &at) {
    int64_t place = input.offset;
    for (size_t axis = 0; axis < input.shape.size(); ++axis)
      place += index[axis + added] % input.shape[axis] * input.strides[axis];
    const size_t bytes = bytes_of(input.dtype);
    at[0].set(load(static_cast<char *>(input.data) + place * static_cast<int64_t>(bytes), input.dtype));
    for (size_t axis = index.size(); axis-- > 0;) {
      if (++index[axis] < result.shape[axis]) break;
      index[axis] = 0;
    }
  });
}

// A view of `length` elements of `whole` along `axis`, from `start`.
Operand part(const Operand &whole, int64_t axis, int64_t start, int64_t length, int64_t step = 1) {
  Operand view = whole;
  view.offset += start * whole.strides[axis];
  view.shape[axis] = length;
  view.strides[axis] *= step;
  return view;
}

// `whole` at one index along `axis`, without that axis.
Operand slice(const Operand &whole, int64_t axis, int64_t index) {
  Operand view = part(whole, axis, index, 1);
  view.shape.erase(view.shape.begin() + axis);
  view.strides.erase(view.strides.begin() + axis);
  return view;
}

// result = a b, with matrices in the last two axes and the others broadcast.
void multiply(const Operand &a, const Operand &b, const Operand &result) {
  const size_t rank = result.shape.size();
  const int64_t depth = a.shape.back();
  auto steps = [&](const Operand &matrix, size_t kept) {
    std::vector<int64_t> all(rank, 0);
    for (size_t axis = 0; axis + 2 < matrix.shape.size(); ++axis)
      all[axis + rank - matrix.shape.size()] = matrix.shape[axis] == 1 ? 0 : matrix.strides[axis];
    all[rank - 2 + kept] = matrix.strides[matrix.shape.size() - 2 + kept];
    return all;
  };
  const int64_t along_a = a.strides.back() * static_cast<int64_t>(bytes_of(a.dtype));
  const int64_t along_b = b.strides[b.shape.size() - 2] * static_cast<int64_t>(bytes_of(b.dtype));
  each(result.shape, {Walk(result, result.shape), Walk(a, 0, steps(a, 0)), Walk(b, 0, steps(b, 1))},
       [&](const std::vector<Walk> &at) {
         double sum = 0;
         for (int64_t k = 0; k < depth; ++k)
           sum += load(at[1].element + k * along_a, a.dtype) * load(at[2].element + k * along_b, b.dtype);
         at[0].set(sum);
       });
}

Shape integers_of(const Operand &tensor) {
  Shape values;
  each(tensor.shape, {Walk(tensor, tensor.shape)},
       [&](const std::vector<Walk> &at) { values.push_back(static_cast<int64_t>(at[0].get())); });
  return values;
}

double larger(double a, double b) { return std::isnan(a) || a > b ? a : b; }
double smaller(double a, double b) { return std::isnan(a) || a < b ? a : b; }

using Unary = double (*)(double);
using Binary = double (*)(double, double);

const std::map<std::string, Unary> &unary() {
  static const std::map<std::string, Unary> all{
      {"Abs", [](double x) { return std::fabs(x); }},
      {"Cast", [](double x) { return x; }},
      {"Expand", [](double x) { return x; }},
      {"IsFinite", [](double x) { return double(std::isfinite(x)); }},
      {"LogicalNot", [](double x) { return double(!x); }},
      {"Neg", [](double x) { return -x; }},
      {"Reciprocal", [](double x) { return 1 / x; }},
      {"Sqrt", [](double x) { return std::sqrt(x); }},
  };
  return all;
}

const std::map<std::string, Binary> &binary() {
  static const std::map<std::string, Binary> all{
      {"Div", [](double a, double b) { return a / b; }},
      {"EqTensor", [](double a, double b) { return double(a == b); }},
      {"GeTensor", [](double a, double b) { return double(a >= b); }},
      {"GtTensor", [](double a, double b) { return double(a > b); }},
      {"LeTensor", [](double a, double b) { return double(a <= b); }},
      {"LogicalAnd", [](double a, double b) { return double(a && b); }},
      {"LogicalOr", [](double a, double b) { return double(a || b); }},
      {"LtTensor", [](double a, double b) { return double(a < b); }},
      {"Maximum", [](double a, double b) { return std::isnan(b) ? b : larger(a, b); }},
      {"Minimum", [](double a, double b) { return std::isnan(b) ? b : smaller(a, b); }},
      {"Mul", [](double a, double b) { return a * b; }},
      {"NeTensor", [](double a, double b) { return double(a != b); }},
  };
  return all;
}

// Operators whose second argument is a scalar.
const std::map<std::string, Binary> &scaled() {
  static const std::map<std::string, Binary> all{
      {"ClampMin", larger},
      {"Divs", [](double a, double b) { return a / b; }},
      {"EqScalar", [](double a, double b) { return double(a == b); }},
      {"GeScalar", [](double a, double b) { return double(a >= b); }},
      {"GtScalar", [](double a, double b) { return double(a > b); }},
      {"LeScalar", [](double a, double b) { return double(a <= b); }},
      {"LtScalar", [](double a, double b) { return double(a < b); }},
      {"Muls", [](double a, double b) { return a * b; }},
      {"NeScalar", [](double a, double b) { return double(a != b); }},
      {"RemainderTensorScalar", [](double a, double b) { return a - b * std::floor(a / b); }},
      {"PowTensorScalar", [](double a, double b) { return std::pow(a, b); }},
  };
  return all;
}

}  // namespace

bool compute(const std::string &name, const std::vector<Argument> &arguments) {
  static const Operand none;
  const Operand *last = &none;
  for (const Argument &each : arguments) {
    if (!each.operand) continue;
    last = each.operand.get();
    if (last->kind == Operand::kTensor && !last->data && elements_of(*last) != 0) return false;
  }
  auto at = [&](size_t k) -> const Operand & {
    return k < arguments.size() && arguments[k].operand ? *arguments[k].operand : none;
  };
  // Rounds a scalar as the device does for elements of `tensor`: double is used only for float64 and int64.
  auto beside = [](double scalar, const Operand &tensor) {
    return tensor.dtype == kFloat64 || tensor.dtype == kInt64 ? scalar : double(float(scalar));
  };
  if (unary().count(name)) {
    const Unary function = unary().at(name);
    // Some have a shape or a dtype between the tensor and the result.
    map([&](const double *x) { return function(x[0]); }, {&at(0)}, *last);
  } else if (binary().count(name)) {
    const Binary function = binary().at(name);
    map([&](const double *x) { return function(x[0], x[1]); }, {&at(0), &at(1)}, at(2));
  } else if (scaled().count(name)) {
    const Binary function = scaled().at(name);
    const double scalar = beside(at(1).scalar, at(0));
    map([&](const double *x) { return function(x[0], scalar); }, {&at(0)}, at(2));
  } else if (name == "Add" || name == "Sub") {
    const double by = name == "Add" ? at(2).scalar : -at(2).scalar;
    map([&](const double *x) { return x[0] + by * x[1]; }, {&at(0), &at(1)}, at(3));
  } else if (name == "Adds" || name == "Subs") {
    const double added = beside(at(1).scalar * (name == "Adds" ? at(2).scalar : -at(2).scalar), at(0));
    map([&](const double *x) { return x[0] + added; }, {&at(0)}, at(3));
  } else if (name == "Clamp") {
    const double lowest = at(1).kind == Operand::kScalar ? beside(at(1).scalar, at(0)) : -INFINITY;
    const double highest = at(2).kind == Operand::kScalar ? beside(at(2).scalar, at(0)) : INFINITY;
    map([&](const double *x) { return smaller(larger(x[0], lowest), highest); }, {&at(0)}, at(3));
  } else if (name == "SWhere") {
    map([](const double *x) { return x[0] ? x[1] : x[2]; }, {&at(0), &at(1), &at(2)}, at(3));
  } else if (name == "AllFinite") {
    // Despite its name, it sets the result if an element is not finite; calls for several tensors share one result.
    each(at(0).shape, {Walk(at(0), at(0).shape)}, [&](const std::vector<Walk> &x) {
      if (!std::isfinite(x[0].get())) fill(1, at(1));
    });
  } else if (name == "InplaceOne" || name == "InplaceZero") {
    fill(name == "InplaceOne", at(0));
  } else if (name == "InplaceFillScalar") {
    fill(at(1).scalar, at(0));
  } else if (name == "InplaceCopy") {
    copy(at(1), at(0));
  } else if (name == "InplaceMaskedFillTensor") {
    map([](const double *x) { return x[1] ? x[2] : x[0]; }, {&at(0), &at(1), &at(2)}, at(0));
  } else if (name == "ReduceSum" || name == "Mean") {
    reduce(at(0), at(1).shape, *last, name == "Mean");
  } else if (name == "Repeat") {
    repeat(at(0), at(2));
  } else if (name == "Permute") {
    permute(at(0), at(1).shape, at(2));
  } else if (name == "Cat") {
    const int64_t axis = from_the_front(arguments[1].integer, at(2).shape.size());
    int64_t start = 0;
    for (const auto &tensor : at(0).list) {
      copy(*tensor, part(at(2), axis, start, tensor->shape[axis]));
      start += tensor->shape[axis];
    }
  } else if (name == "Mm" || name == "Matmul" || name == "BatchMatMul") {
    multiply(at(0), at(1), at(2));
  } else {
    return false;
  }
  return true;
}

bool compute_old(const std::string &name, const Operands &inputs, const Operands &outputs,
                 const std::map<std::string, int64_t> &attributes) {
  for (const Operands *all : {&inputs, &outputs}) {
    for (const auto &each : *all) {
      if (!each->data && elements_of(*each) != 0) return false;
    }
  }
  auto in = [&](size_t k) -> const Operand & { return *inputs.at(k); };
  const Operand &result = *outputs.at(0);
  if (name == "Assign" || name == "AssignAdd" || name == "SGD") {
    // In place.
    if (name == "Assign") {
      copy(in(1), in(0));
    } else if (name == "AssignAdd") {
      map([](const double *x) { return x[0] + x[1]; }, {&in(0), &in(1)}, in(0));
    } else {
      // Without momentum, which the tests do not use.
      map([](const double *x) { return x[0] - x[2] * x[1]; }, {&in(0), &in(1), &in(2)}, in(0));
    }
    if (result.data != in(0).data) copy(in(0), result);
  } else if (name == "AddN") {
    std::vector<const Operand *> all;
    for (const auto &each : inputs) all.push_back(each.get());
    map(
        [&](const double *x) {
          double sum = 0;
          for (size_t k = 0; k < all.size(); ++k) sum += x[k];
          return sum;
        },
        all, result);
  } else if (name == "BiasAdd") {
    map([](const double *x) { return x[0] + x[1]; }, {&in(0), &in(1)}, result);
  } else if (name == "BiasAddGrad") {
    reduce(in(0), {0}, result, false);
  } else if (name == "BroadcastGradientArgs") {
    // The axes along which either of two shapes was broadcast; their number is known only at run time.
    const Shape shapes[] = {integers_of(in(0)), integers_of(in(1))};
    const size_t rank = std::max(shapes[0].size(), shapes[1].size());
    for (size_t which : {0, 1}) {
      Shape axes;
      for (size_t axis = 0; axis < rank; ++axis) {
        auto length = [&](const Shape &shape) {
          return axis + shape.size() < rank ? 1 : shape[axis + shape.size() - rank];
        };
        if (length(shapes[which]) == 1 && length(shapes[1 - which]) != 1) axes.push_back(axis);
      }
      Operand &found = *outputs.at(which);
      for (size_t k = 0; k < axes.size(); ++k) store(first(found) + k * bytes_of(found.dtype), found.dtype, axes[k]);
      found.shape = {static_cast<int64_t>(axes.size())};
    }
  } else if (name == "Cast") {
    copy(in(0), result);
  } else if (name == "Fill") {
    copy(in(1), result);
  } else if (name == "OnesLike" || name == "ZerosLike") {
    fill(name == "OnesLike", result);
  } else if (name == "Pack" || name == "Unpack") {
    const bool joins = name == "Pack";
    const Operand &whole = joins ? result : in(0);
    const Operands &parts = joins ? inputs : outputs;
    const int64_t axis = from_the_front(attributes.at("axis"), whole.shape.size());
    for (size_t k = 0; k < parts.size(); ++k) {
      const Operand each = slice(whole, axis, k);
      joins ? copy(*parts[k], each) : copy(each, *parts[k]);
    }
  } else if (name == "RealDiv") {
    map([](const double *x) { return x[0] / x[1]; }, {&in(0), &in(1)}, result);
  } else if (name == "ReduceMean" || name == "ReduceSum") {
    reduce(in(0), integers_of(in(1)), result, name == "ReduceMean");
  } else if (name == "Size") {
    fill(elements_of(in(0)), result);
  } else if (name == "Slice") {
    Operand view = in(0);
    const Shape starts = integers_of(in(1));
    for (size_t axis = 0; axis < starts.size(); ++axis) view = part(view, axis, starts[axis], result.shape[axis]);
    copy(view, result);
  } else if (name == "SqrtGrad") {
    map([](const double *x) { return 0.5 * x[1] / x[0]; }, {&in(0), &in(1)}, result);
  } else if (name == "StridedSlice" && attributes.at("ellipsis_mask") == 0 && attributes.at("new_axis_mask") == 0) {
    const Shape starts = integers_of(in(1)), steps = integers_of(in(3));
    Operand view = in(0);
    size_t kept = 0;
    // In order, because an axis is removed if a single index is taken.
    for (size_t axis = 0; axis < starts.size(); ++axis) {
      const bool is_left_out = attributes.at("begin_mask") >> axis & 1;
      const int64_t all = view.shape[kept];
      const int64_t start = is_left_out ? (steps[axis] < 0 ? all - 1 : 0) : from_the_front(starts[axis], all);
      if (attributes.at("shrink_axis_mask") >> axis & 1) {
        view = slice(view, kept, start);
      } else {
        view = part(view, kept, start, result.shape[kept], steps[axis]);
        ++kept;
      }
    }
    copy(view, result);
  } else {
    return false;
  }
  return true;
}

}  // namespace stand_in
