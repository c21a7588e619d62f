#include "model/linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <atomic>
#include <string_view>
#include <utility>

#include "headlight/attention.h"
#include "headlight/error.h"
#include "model/cpu/products.h"

namespace headlight::model {
namespace {

using OptionalTensor = std::optional<at::Tensor>;

enum class Backend { headlight, mkl, onednn, bfloat16 };
constexpr std::pair<Backend, const char*> kNames[] = {
    {Backend::headlight, "headlight"}, {Backend::mkl, "mkl"}, {Backend::onednn, "onednn"}};

// On AMD, MKL keeps to AVX2: with AVX-512 oneDNN is twice as fast, without it our own products are
// a little faster than both. On Intel MKL is at home. The numbers are in docs/training-speed.md.
Backend best_backend() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_is("intel")) return Backend::mkl;
  if (__builtin_cpu_supports("avx512f")) return Backend::onednn;
#endif
  return std::string_view(attention_isa()) == "portable" ? Backend::mkl : Backend::headlight;
}

std::atomic<Backend>& backend() {
  static std::atomic<Backend> chosen = best_backend();
  return chosen;
}

thread_local Precision precision = Precision::float32;

// Which backend these operands get: double and other devices go to libtorch, weights beyond the
// second-level cache to MKL.
Backend backend_for(const at::Tensor& x, const at::Tensor& weight) {
  constexpr int64_t kLargestWeight = 1 << 18;
  const Backend chosen = backend().load(std::memory_order_relaxed);
  if (!x.is_cpu() || x.scalar_type() != at::kFloat || x.numel() == 0) return Backend::mkl;
  if (precision == Precision::bfloat16) return Backend::bfloat16;
  return chosen == Backend::headlight && weight.numel() > kLargestWeight ? Backend::mkl : chosen;
}

// oneDNN's x weightᵀ + bias for float32; every argument may be a transposed view.
at::Tensor pointwise(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias) {
  using Signature =
      at::Tensor(const at::Tensor&, const at::Tensor&, const OptionalTensor&, std::string_view,
                 c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                             .typed<Signature>();
  return op.call(x, weight, bias, "none", c10::List<std::optional<at::Scalar>>(), std::nullopt);
}

// Rows of x for one task, so that a task is worth handing over.
int64_t rows_of_task(int64_t depth, int64_t width) {
  constexpr int64_t kMultiplications = 1 << 20;
  return std::max<int64_t>(96, kMultiplications / (depth * width) / 96 * 96);
}

// x [..., depth] times `panels` of a [depth, width] matrix.
at::Tensor multiplied(const at::Tensor& x, const at::Tensor& panels, const OptionalTensor& bias,
                      bool relu, int64_t depth, int64_t width) {
  auto sizes = x.sizes().vec();
  sizes.back() = width;
  at::Tensor out = at::empty(sizes, x.options());
  const float* from = x.const_data_ptr<float>();
  const float* shift = bias ? bias->const_data_ptr<float>() : nullptr;
  at::parallel_for(0, x.numel() / depth, rows_of_task(depth, width),
                   [&, to = out.data_ptr<float>()](int64_t begin, int64_t end) {
                     products().multiply(from + begin * depth, panels.const_data_ptr<float>(),
                                         shift, relu, end - begin, depth, width,
                                         to + begin * width);
                   });
  return out;
}

at::Tensor panels_for(int64_t depth, int64_t width, const at::Tensor& like) {
  const int64_t panel = products().panel;
  return at::empty({(width + panel - 1) / panel * panel * depth}, like.options());
}

// Rows of the weight are shared out; each number is summed by one thread, in the order of rows.
void weight_gradient(const at::Tensor& dy, const at::Tensor& x, at::Tensor& grad_weight,
                     at::Tensor& grad_bias) {
  const int64_t out = grad_weight.size(0), in = grad_weight.size(1), rows = x.numel() / in;
  float* bias = grad_bias.defined() ? grad_bias.data_ptr<float>() : nullptr;
  constexpr int64_t kTogether = 24;  // a multiple of every tile's height
  const int64_t grain = std::max<int64_t>(1, (int64_t{1} << 20) / (kTogether * in * rows + 1));
  at::parallel_for(0, (out + kTogether - 1) / kTogether, grain, [&](int64_t begin, int64_t end) {
    products().weight_gradient(dy.const_data_ptr<float>(), x.const_data_ptr<float>(), rows, out, in,
                               begin * kTogether, std::min(end * kTogether, out),
                               grad_weight.data_ptr<float>(), bias);
  });
}

class LinearLayer : public torch::autograd::Function<LinearLayer> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x_in,
                            const at::Tensor& weight, const OptionalTensor& bias, bool relu) {
    const at::Tensor x = x_in.contiguous();
    const Backend backend = backend_for(x, weight);
    at::Tensor out;
    switch (backend) {
      case Backend::headlight: {
        const int64_t width = weight.size(0), depth = weight.size(1);
        at::Tensor panels = panels_for(depth, width, weight);
        const at::Tensor rows = weight.contiguous();
        products().pack_transposed(rows.const_data_ptr<float>(), depth, width,
                                   panels.data_ptr<float>());
        out = multiplied(x, panels, bias, relu, depth, width);
        break;
      }
      case Backend::mkl:
        out = at::linear(x, weight, bias);
        break;
      case Backend::onednn:
        out = pointwise(x, weight, bias);
        break;
      case Backend::bfloat16:
        out = at::linear(x.to(at::kBFloat16), weight.to(at::kBFloat16)).to(at::kFloat);
        if (bias) out += *bias;
        break;
    }
    if (relu && backend != Backend::headlight) out.relu_();
    context->save_for_backward({x, weight, relu ? out : at::Tensor()});
    context->saved_data["bias"] = bias.has_value();
    context->saved_data["backend"] = static_cast<int64_t>(backend);
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &relu_out = saved[2];
    const int64_t out = weight.size(0), in = weight.size(1);
    at::Tensor grad = grads[0].contiguous();
    if (relu_out.defined()) grad = at::threshold_backward(grad, relu_out, 0);
    grad = grad.view({-1, out});
    const at::Tensor rows = x.view({-1, in});
    const bool to_x = context->needs_input_grad(0), to_weight = context->needs_input_grad(1);
    const bool to_bias = context->saved_data["bias"].toBool() && context->needs_input_grad(2);
    at::Tensor grad_x, grad_weight, grad_bias;
    switch (static_cast<Backend>(context->saved_data["backend"].toInt())) {
      case Backend::headlight:
        if (to_x) {
          at::Tensor panels = panels_for(out, in, weight);
          const at::Tensor w = weight.contiguous();
          products().pack(w.const_data_ptr<float>(), out, in, panels.data_ptr<float>());
          grad_x = multiplied(grad, panels, std::nullopt, false, out, in);
        }
        if (to_bias) grad_bias = at::empty({out}, weight.options());
        if (to_weight || to_bias) {
          grad_weight = at::empty({out, in}, weight.options());
          weight_gradient(grad, rows, grad_weight, grad_bias);
        }
        break;
      case Backend::mkl:
        if (to_x) grad_x = grad.mm(weight);
        if (to_weight) grad_weight = grad.t().mm(rows);
        if (to_bias) grad_bias = grad.sum(0);
        break;
      case Backend::onednn:
        if (to_x) grad_x = pointwise(grad, weight.t(), std::nullopt);
        if (to_weight) grad_weight = pointwise(grad.t(), rows.t(), std::nullopt);
        if (to_bias) grad_bias = grad.sum(0);
        break;
      case Backend::bfloat16: {
        const at::Tensor rounded = grad.to(at::kBFloat16);
        if (to_x) grad_x = rounded.mm(weight.to(at::kBFloat16)).to(at::kFloat);
        if (to_weight) grad_weight = rounded.t().mm(rows.to(at::kBFloat16)).to(at::kFloat);
        if (to_bias) grad_bias = grad.sum(0);
        break;
      }
    }
    if (grad_x.defined()) grad_x = grad_x.view(x.sizes());
    return {grad_x, grad_weight, grad_bias, at::Tensor()};
  }
};

}  // namespace

std::string linear_backend() {
  for (const auto& [value, name] : kNames)
    if (value == backend().load()) return name;
  return "";
}

std::vector<std::string> linear_backends() {
  std::vector<std::string> names = {"headlight", "mkl"};
  if (at::globalContext().hasMKLDNN()) names.push_back("onednn");
  return names;
}

void set_linear_backend(const std::string& name) {
  const auto names = linear_backends();
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw Error(ErrorKind::usage,
                fmt::format("there are no matrix products called \"{}\" on this machine; there are "
                            "{}",
                            name, fmt::join(names, ", ")));
  for (const auto& [value, known] : kNames)
    if (name == known) backend().store(value);
}

bool multiplies_bfloat16() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

UsePrecision::UsePrecision(Precision wanted) : before_(std::exchange(precision, wanted)) {}
UsePrecision::~UsePrecision() { precision = before_; }
Precision precision_in_use() { return precision; }

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  After after) {
  return LinearLayer::apply(x, weight, bias.defined() ? std::optional(bias) : std::nullopt,
                            after == After::relu);
}

}  // namespace headlight::model
