#include "model/output_loss.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/cpu/kernels.h"
#include "model/cpu/output_loss.h"
#include "model/cpu/products.h"
#include "model/cross_entropy.h"
#include "model/linear.h"
#include "model/transformer.h"

namespace headlight::model {
namespace {

// Rows whose logits are in the caches at the same time: 3 MB for 8,000 classes.
constexpr int64_t kBlockRows = 96;
// What is worth handing to a thread: groups of classes, and rows.
constexpr int64_t kTaskGroups = 4, kTaskRows = 12;

struct LossAndGradients {
  double nats = 0;  // the mean over rows
  at::Tensor x, weight, bias;
};

// A layer with its rows, and memory for a block of them.
struct OutputRows {
  int64_t rows, depth, classes, groups, tasks;
  const float* x;
  const int64_t* labels;
  at::Tensor for_logits, shift, for_x;  // the weight as panels, and the bias
  at::Tensor numbers, largest, sums, factors, scaled_x, panels;
};

template <typename F>
void each_task(const OutputRows& r, F body) {
  at::parallel_for(0, r.tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task)
      body(task, task * kTaskGroups, std::min((task + 1) * kTaskGroups, r.groups));
  });
}

OutputRows prepared(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    const at::Tensor& labels) {
  const int64_t group = output_loss_kernels().group, panel = products().panel;
  OutputRows r{};
  r.rows = x.size(0), r.depth = x.size(1), r.classes = weight.size(0);
  r.groups = (r.classes + group - 1) / group;
  r.tasks = (r.groups + kTaskGroups - 1) / kTaskGroups;
  r.x = x.const_data_ptr<float>();
  r.labels = labels.const_data_ptr<int64_t>();
  const auto numbers = [&](at::IntArrayRef sizes) { return at::empty(sizes, x.options()); };
  const int64_t columns = r.groups * group, width = (r.depth + panel - 1) / panel * panel;
  r.for_logits = numbers({columns, r.depth});
  r.for_x = numbers({width, r.classes});
  const float* w = weight.const_data_ptr<float>();
  // Classes that fill up the last group have a probability of 0.
  r.shift = at::full({columns}, -std::numeric_limits<float>::infinity(), x.options());
  at::Tensor real = r.shift.narrow(0, 0, r.classes);
  bias.defined() ? real.copy_(bias) : real.zero_();
  const int64_t padded = (r.classes + panel - 1) / panel * panel;
  r.for_logits.narrow(0, padded, columns - padded).zero_();
  at::parallel_for(0, 2, 1, [&](int64_t begin, int64_t end) {
    for (int64_t which = begin; which < end; ++which)
      which == 0 ? products().pack_transposed(w, r.depth, r.classes, r.for_logits.data_ptr<float>())
                 : products().pack(w, r.classes, r.depth, r.for_x.data_ptr<float>());
  });
  const int64_t together = std::min(kBlockRows, r.rows);
  r.numbers = numbers({together, columns});
  r.largest = numbers({r.tasks, together});
  r.sums = numbers({r.tasks, together});
  r.factors = numbers({together});
  r.scaled_x = numbers({together, r.depth});
  r.panels = numbers({together, width});
  return r;
}

// Adds the block's rows to the sum of nats and to the gradients, as far as they are products.
void add_block(const OutputRows& r, int64_t first, int64_t rows, double smoothing, double scale,
               const float* mean_logits, LossAndGradients& to) {
  const OutputLoss& kernels = output_loss_kernels();
  const float* x = r.x + first * r.depth;
  const int64_t* labels = r.labels + first;
  float* numbers = r.numbers.data_ptr<float>();
  float *largest = r.largest.data_ptr<float>(), *sums = r.sums.data_ptr<float>();
  each_task(r, [&](int64_t task, int64_t begin, int64_t end) {
    kernels.logits(x, r.for_logits.const_data_ptr<float>(), r.shift.const_data_ptr<float>(), rows,
                   r.depth, begin, end, numbers, largest + task * rows);
  });
  double nats = 0;
  for (int64_t row = 0; row < rows; ++row) {
    float top = largest[row];
    for (int64_t task = 1; task < r.tasks; ++task) top = std::max(top, largest[task * rows + row]);
    largest[row] = top;
    const int64_t group = labels[row] / kernels.group, place = labels[row] % kernels.group;
    const double wanted = numbers[(group * rows + row) * kernels.group + place];
    nats += top - (1 - smoothing) * wanted;
    // A class may have a logit of minus infinity.
    if (smoothing > 0) nats -= smoothing * mean_logits[first + row];
  }
  each_task(r, [&](int64_t task, int64_t begin, int64_t end) {
    kernels.exponentials(rows, largest, begin, end, numbers, sums + task * rows);
  });
  float* factors = r.factors.data_ptr<float>();
  float* scaled = r.scaled_x.data_ptr<float>();
  for (int64_t row = 0; row < rows; ++row) {
    double total = 0;
    for (int64_t task = 0; task < r.tasks; ++task) total += sums[task * rows + row];
    nats += std::log(total);
    factors[row] = static_cast<float>(scale / total);
    for (int64_t i = 0; i < r.depth; ++i)
      scaled[row * r.depth + i] = x[row * r.depth + i] * factors[row];
  }
  to.nats += nats * scale;
  float* panels = r.panels.data_ptr<float>();
  products().pack(scaled, rows, r.depth, panels);
  each_task(r, [&](int64_t, int64_t begin, int64_t end) {
    kernels.weight_gradient(numbers, factors, panels, rows, r.depth, r.classes, begin, end,
                            to.weight.data_ptr<float>(), to.bias.data_ptr<float>());
  });
  float* grad_x = to.x.data_ptr<float>() + first * r.depth;
  at::parallel_for(0, (rows + kTaskRows - 1) / kTaskRows, 1, [&](int64_t begin, int64_t end) {
    const int64_t last = std::min(end * kTaskRows, rows);
    kernels.input_gradient(numbers, r.for_x.const_data_ptr<float>(), rows, r.depth, r.classes,
                           begin * kTaskRows, last, grad_x);
    for (int64_t row = begin * kTaskRows; row < last; ++row)
      for (int64_t i = 0; i < r.depth; ++i) grad_x[row * r.depth + i] *= factors[row];
  });
}

// With e = exp(logit - top) and t its sum over the C classes, the gradient of a row's logits is
//   scale * (e / t - smoothing / C - (1 - smoothing) [class = label]).
// Only its first part makes products; the others are sums of rows.
LossAndGradients loss_and_gradients(const at::Tensor& x, const at::Tensor& weight,
                                    const at::Tensor& bias, const at::Tensor& labels,
                                    double smoothing) {
  const double rows = static_cast<double>(x.size(0)), classes = static_cast<double>(weight.size(0));
  const double scale = 1 / rows, everywhere = scale * smoothing / classes;
  const double at_label = scale * (1 - smoothing);
  const at::Tensor sum_of_weight = weight.sum(0), sum_of_x = x.sum(0);
  at::Tensor mean_logits = x.mv(sum_of_weight) / classes;
  if (bias.defined()) mean_logits += bias.mean();

  LossAndGradients found;
  found.x = at::empty(x.sizes(), x.options());
  found.weight = at::empty(weight.sizes(), x.options()).copy_(sum_of_x * -everywhere);
  found.bias = at::full({weight.size(0)}, -everywhere * rows, x.options());
  const OutputRows r = prepared(x, weight, bias, labels);
  for (int64_t row = 0; row < r.rows; row += kBlockRows)
    add_block(r, row, std::min(kBlockRows, r.rows - row), smoothing, scale,
              mean_logits.const_data_ptr<float>(), found);

  found.x.sub_(sum_of_weight * everywhere);
  found.x.sub_(weight.index_select(0, labels), at_label);
  found.bias.index_add_(0, labels, at::full({r.rows}, -at_label, x.options()));
  const at::Tensor rows_of_labels = x * -at_label;
  // Each thread owns some columns and adds rows in order.
  at::parallel_for(0, r.depth, 16, [&](int64_t begin, int64_t end) {
    kernels<float>().embed_backward(r.labels, r.rows, rows_of_labels.const_data_ptr<float>(), 1,
                                    r.depth, begin, end, found.weight.data_ptr<float>(), nullptr);
  });
  return found;
}

class OutputLossFunction : public torch::autograd::Function<OutputLossFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x_in,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                            const at::Tensor& labels, double smoothing) {
    const LossAndGradients found =
        loss_and_gradients(x_in.contiguous(), weight.contiguous(),
                           bias ? bias->contiguous() : at::Tensor(), labels, smoothing);
    context->saved_data["x"] = found.x;
    context->saved_data["weight"] = found.weight;
    if (bias) context->saved_data["bias"] = found.bias;
    return at::full({}, found.nats, x_in.options());
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const double upstream = grads[0].item<double>();
    const auto scaled = [&](const char* name) {
      const auto found = context->saved_data.find(name);
      if (found == context->saved_data.end()) return at::Tensor();
      const at::Tensor grad = found->second.toTensor();
      return upstream == 1 ? grad : grad * upstream;
    };
    return {scaled("x"), scaled("weight"), scaled("bias"), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

bool output_loss_pays(const at::Tensor& x, const at::Tensor& weight) {
  constexpr int64_t kFewestClasses = 1024;
  return x.is_cpu() && x.scalar_type() == at::kFloat && weight.size(0) >= kFewestClasses &&
         linear_backend() == "headlight" && precision_in_use() == Precision::float32 &&
         c10::GradMode::is_enabled();
}

at::Tensor output_loss(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       const at::Tensor& labels_in, double smoothing) {
  const at::Tensor labels = labels_in.contiguous();
  const int64_t scored = count_scored(labels, weight.size(0));
  if (scored == 0) return cross_entropy(linear(x, weight, bias), labels, true, smoothing);
  if (scored < labels.numel()) {
    const at::Tensor places = labels.ne(kUnscored).nonzero().squeeze(1);
    return output_loss(x.index_select(0, places), weight, bias, labels.index_select(0, places),
                       smoothing);
  }
  return OutputLossFunction::apply(x, weight, bias.defined() ? std::optional(bias) : std::nullopt,
                                   labels, smoothing);
}

}  // namespace headlight::model
