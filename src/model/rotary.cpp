#include "model/rotary.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "model/plain.h"

namespace headlight::model {
namespace {

// direction 1 turns, -1 turns back (the gradient).
at::Tensor turn(const at::Tensor& x_in, int64_t heads, int64_t head_dim, const at::Tensor& cosines,
                const at::Tensor& sines, int direction) {
  const at::Tensor x = x_in.contiguous();
  const int64_t length = x.size(1), width = x.size(2), half = cosines.size(1);
  TORCH_CHECK(cosines.size(0) >= length && heads * head_dim <= width && 2 * half <= head_dim,
              "turned: wrong shapes");
  at::Tensor out = at::empty(x.sizes(), x.options());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "turned", [&] {
    const auto* from = x.const_data_ptr<scalar_t>();
    auto* to = out.data_ptr<scalar_t>();
    const auto sign = static_cast<scalar_t>(direction);
    at::parallel_for(0, x.size(0) * length, 64, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const auto* c = cosines.const_data_ptr<scalar_t>() + row % length * half;
        const auto* s = sines.const_data_ptr<scalar_t>() + row % length * half;
        const auto* a = from + row * width;
        auto* b = to + row * width;
        for (int64_t h = 0; h < heads; ++h, a += head_dim, b += head_dim) {
          for (int64_t i = 0; i < half; ++i) {
            b[i] = a[i] * c[i] - sign * s[i] * a[half + i];
            b[half + i] = a[half + i] * c[i] + sign * s[i] * a[i];
          }
          std::copy(a + 2 * half, a + head_dim, b + 2 * half);
        }
        std::copy(a, from + (row + 1) * width, b);
      }
    });
  });
  return out;
}

class Turn : public torch::autograd::Function<Turn> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            int64_t heads, int64_t head_dim, const at::Tensor& cosines,
                            const at::Tensor& sines) {
    context->save_for_backward({cosines, sines});
    context->saved_data["heads"] = heads;
    context->saved_data["head_dim"] = head_dim;
    return turn(x, heads, head_dim, cosines, sines, 1);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const int64_t heads = context->saved_data["heads"].toInt();
    const int64_t head_dim = context->saved_data["head_dim"].toInt();
    const at::Tensor none;
    return {turn(grads[0], heads, head_dim, saved[0], saved[1], -1), none, none, none, none};
  }
};

using Scaling = RotaryScaling::Kind;

// Llama 3.1: long waves are stretched by the factor, short ones stay, and between them it fades.
at::Tensor llama3_speeds(const at::Tensor& speed, const RotaryScaling& s) {
  const double places = static_cast<double>(s.original_positions);
  const at::Tensor turns = speed * (places / (2 * M_PI));  // over the original length
  const at::Tensor share = ((turns - s.low) / (s.high - s.low)).clamp(0, 1);
  return speed * share + speed / s.factor * (1 - share);
}

// YaRN (Peng et al. 2023), section 3.2: pairs are blended by their number of turns.
at::Tensor yarn_speeds(const at::Tensor& speed, int64_t width, double theta,
                       const RotaryScaling& s) {
  // The pair that turns this often over the original length.
  const auto pair_of = [&](double turns) {
    return static_cast<double>(width) *
           std::log(static_cast<double>(s.original_positions) / (turns * 2 * M_PI)) /
           (2 * std::log(theta));
  };
  double low = pair_of(s.beta_fast), high = pair_of(s.beta_slow);
  if (s.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(width - 1));
  if (low == high) high += 0.001;
  const at::Tensor stretched =
      ((at::arange(width / 2, speed.options()) - low) / (high - low)).clamp(0, 1);
  return speed / s.factor * stretched + speed * (1 - stretched);
}

}  // namespace

Angles rotary_angles(int64_t first, int64_t places, int64_t width, const LayerHeads& layer,
                     int64_t positions, const at::TensorOptions& like) {
  const RotaryScaling& s = layer.rotary_scaling;
  double theta = layer.rotary_theta;
  const auto w = static_cast<double>(width);
  if (s.kind == Scaling::dynamic) {
    // Another base for texts longer than the model was made for.
    const int64_t longest = std::max(first + places, positions);
    const double stretch =
        s.factor * static_cast<double>(longest) / static_cast<double>(positions) - (s.factor - 1);
    theta *= std::pow(stretch, w / (w - 2));
  }
  const auto exact = at::TensorOptions(at::kDouble);
  at::Tensor speed = at::exp(at::arange(width / 2, exact) * (-2 * std::log(theta) / w));
  if (s.kind == Scaling::linear) speed = speed / s.factor;
  if (s.kind == Scaling::llama3) speed = llama3_speeds(speed, s);
  if (s.kind == Scaling::yarn) speed = yarn_speeds(speed, width, theta, s);
  const at::Tensor angle = at::arange(first, first + places, exact).unsqueeze(1) * speed;
  const double size = s.kind == Scaling::yarn ? s.attention_factor : 1;
  return {(angle.cos() * size).to(like), (angle.sin() * size).to(like)};
}

Angles rotary_angles(int64_t places, int64_t head_dim, double theta,
                     const at::TensorOptions& like) {
  LayerHeads layer;
  layer.rotary_theta = theta;
  return rotary_angles(0, places, head_dim, layer, places, like);
}

at::Tensor turned(const at::Tensor& x, int64_t heads, int64_t head_dim, const Angles& angles) {
  if (x.is_cpu()) return Turn::apply(x, heads, head_dim, angles.cosines, angles.sines);
  const int64_t width = 2 * angles.cosines.size(1);
  const at::Tensor front = x.narrow(2, 0, heads * head_dim).unflatten(2, {heads, head_dim});
  const at::Tensor turning = plain::turned(front.narrow(3, 0, width), angles.cosines, angles.sines);
  const at::Tensor all = at::cat({turning, front.narrow(3, width, head_dim - width)}, 3);
  return at::cat({all.flatten(2), x.narrow(2, heads * head_dim, x.size(2) - heads * head_dim)}, 2);
}

at::Tensor turned(const at::Tensor& x, int64_t heads, const Angles& angles) {
  return turned(x, heads, 2 * angles.cosines.size(1), angles);
}

}  // namespace headlight::model
