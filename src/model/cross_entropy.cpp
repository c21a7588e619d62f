#include "model/cross_entropy.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/custom_function.h>

#include "headlight/error.h"
#include "model/cpu/kernels.h"
#include "model/plain.h"

namespace headlight::model {
namespace {

constexpr int64_t kRowsPerThread = 64;

class CrossEntropy : public torch::autograd::Function<CrossEntropy> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& logits_in,
                            const at::Tensor& labels, bool consume, double smoothing) {
    const at::Tensor logits = logits_in.contiguous();
    const int64_t rows = logits.size(0), classes = logits.size(1);
    const int64_t scored = count_scored(labels, classes);
    at::Tensor grad = consume ? logits.detach() : at::empty(logits.sizes(), logits.options());
    at::Tensor nats = at::empty({rows}, logits.options().dtype(at::kDouble));
    const double scale = scored > 0 ? 1.0 / static_cast<double>(scored) : 0;
    AT_DISPATCH_FLOATING_TYPES(logits.scalar_type(), "cross_entropy", [&] {
      at::parallel_for(0, rows, kRowsPerThread, [&](int64_t begin, int64_t end) {
        kernels<scalar_t>().cross_entropy(
            logits.const_data_ptr<scalar_t>() + begin * classes,
            labels.const_data_ptr<int64_t>() + begin, end - begin, classes,
            static_cast<scalar_t>(scale), static_cast<scalar_t>(smoothing),
            grad.data_ptr<scalar_t>() + begin * classes, nats.data_ptr<double>() + begin, nullptr);
      });
    });
    context->saved_data["grad"] = grad;
    double sum = 0;
    const double* nat = nats.const_data_ptr<double>();
    for (int64_t row = 0; row < rows; ++row) sum += nat[row];
    return at::full({}, sum * scale, logits.options());
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const at::Tensor grad = context->saved_data["grad"].toTensor();
    const double upstream = grads[0].item<double>();
    return {upstream == 1 ? grad : grad * upstream, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

int64_t count_scored(const at::Tensor& labels, int64_t classes) {
  const int64_t* label = labels.const_data_ptr<int64_t>();
  int64_t scored = 0;
  for (int64_t i = 0; i < labels.numel(); ++i) {
    if (label[i] == kUnscored) continue;
    if (label[i] < 0 || label[i] >= classes)
      throw Error(ErrorKind::bad_input, fmt::format("label {} is no class: there are 0..{}, and {} "
                                                    "for places that are not scored",
                                                    label[i], classes - 1, kUnscored));
    ++scored;
  }
  return scored;
}

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels, bool consume,
                         double smoothing) {
  if (!logits.is_cpu()) return plain::cross_entropy(logits, labels, smoothing);
  return CrossEntropy::apply(logits, labels.contiguous(), consume, smoothing);
}

Scores scores(const at::Tensor& logits_in, const at::Tensor& labels_in) {
  const at::Tensor logits = logits_in.cpu().contiguous(), labels = labels_in.cpu().contiguous();
  const int64_t rows = logits.size(0), classes = logits.size(1);
  count_scored(labels, classes);
  Scores result{at::empty({rows}, at::kDouble), at::empty({rows}, at::kLong)};
  AT_DISPATCH_FLOATING_TYPES(logits.scalar_type(), "scores", [&] {
    at::parallel_for(0, rows, kRowsPerThread, [&](int64_t begin, int64_t end) {
      kernels<scalar_t>().cross_entropy(logits.const_data_ptr<scalar_t>() + begin * classes,
                                        labels.const_data_ptr<int64_t>() + begin, end - begin,
                                        classes, scalar_t(1), scalar_t(0), nullptr,
                                        result.nats.data_ptr<double>() + begin,
                                        result.largest.data_ptr<int64_t>() + begin);
    });
  });
  return result;
}

}  // namespace headlight::model
