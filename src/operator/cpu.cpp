// headlight::exact_attention on the CPU: from tensors to the views of headlight/attention.h.
#include <ATen/ATen.h>

#include <limits>
#include <utility>

#include "headlight/attention.h"
#include "headlight/error.h"
#include "operator/arguments.h"
#include "operator/libtorch_threads.h"

namespace headlight::op {
namespace {

// f(T()) for the type of x as the core names it; the core's errors become those of Python.
template <typename F>
void with_type(const at::Tensor& x, F f) {
  const at::ScalarType type = x.scalar_type();
  try {
    if (type == at::kFloat) f(float());
    if (type == at::kDouble) f(double());
    if (type == at::kBFloat16) f(BFloat16());
    if (type == at::kHalf) f(Float16());
  } catch (const Error& error) {
    TORCH_CHECK_VALUE(error.kind() != ErrorKind::usage, error.what());
    TORCH_CHECK(false, error.what());
  }
}

at::Tensor with_contiguous_rows(const at::Tensor& x) {
  return x.stride(-1) == 1 ? x : x.contiguous();
}

template <typename T>
HeadTensor<const T> read(const at::Tensor& x) {
  return {static_cast<const T*>(x.const_data_ptr()), x.stride(0), x.stride(1), x.stride(2)};
}

template <typename T>
HeadTensor<T> written(const at::Tensor& x) {
  if (x.dim() != 4) return {};
  return {static_cast<T*>(x.mutable_data_ptr()), x.stride(0), x.stride(1), x.stride(2)};
}

// What broadcasts to [batch, heads, queries, keys] repeats by a stride of 0.
template <typename T>
ScoreTensor<T> scores(T* data, const at::Tensor& x) {
  std::array<int64_t, 4> strides = {};
  for (int64_t d = 1; d <= x.dim(); ++d) {
    if (x.size(-d) > 1) strides[static_cast<size_t>(4 - d)] = x.stride(-d);
  }
  return {data, strides[0], strides[1], strides[2], strides[3]};
}

// In another type, without writing out what an expanded tensor repeats.
at::Tensor converted(at::Tensor x, at::ScalarType type) {
  if (x.scalar_type() == type) return x;
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (x.stride(d) == 0 && x.size(d) > 1) x = x.narrow(d, 0, 1);
  }
  return x.to(type);
}

// The arguments in the types and layouts that the core reads.
struct Inputs {
  at::Tensor q, k, v, bias, sinks, mask, allowed, key_lengths, query_starts, key_starts;
  AttentionShape shape;

  explicit Inputs(const Arguments& a)
      : q(with_contiguous_rows(a.q)), k(with_contiguous_rows(a.k)), v(with_contiguous_rows(a.v)) {
    const at::ScalarType type = compute_type(q);
    if (a.bias) bias = converted(*a.bias, type);
    if (a.sinks) sinks = a.sinks->to(type).contiguous();
    if (a.mask && a.mask->scalar_type() == at::kBool) {
      allowed = *a.mask;
    } else if (a.mask) {
      mask = converted(*a.mask, type);
    }
    if (a.key_lengths) key_lengths = a.key_lengths->to(at::kLong).contiguous();
    shape = {.batch = q.size(0),
             .heads = q.size(1),
             .kv_heads = k.size(1),
             .queries = q.size(2),
             .keys = k.size(2),
             .head_dim = q.size(3),
             .value_dim = v.size(3)};
    if (a.query_starts) {
      query_starts = a.query_starts->to(at::kLong).contiguous();
      key_starts = a.key_starts->to(at::kLong).contiguous();
      shape.batch = query_starts.size(0) - 1;
      shape.query_starts = query_starts.const_data_ptr<int64_t>();
      shape.key_starts = key_starts.const_data_ptr<int64_t>();
    }
  }
};

Causal causal_of(std::string_view name) {
  if (name == "none") return Causal::none;
  if (name == "top_left") return Causal::top_left;
  TORCH_CHECK_VALUE(name == "bottom_right", "attention: causal is '", name,
                    "'; it must be 'none', 'top_left' or 'bottom_right'.");
  return Causal::bottom_right;
}

template <typename A>
AttentionOptions<A> options_of(const Arguments& a, const Inputs& in) {
  AttentionOptions<A> options;
  // The core reads 0 as the default. The smallest number weights all keys alike, as 0 does.
  options.scale = a.scale.value_or(0);
  if (a.scale == 0.0) options.scale = std::numeric_limits<double>::min();
  options.softcap = a.softcap;
  options.causal = causal_of(a.causal);
  options.window_left = a.window[0];
  options.window_right = a.window[1];
  if (in.key_lengths.defined()) options.key_lengths = in.key_lengths.const_data_ptr<int64_t>();
  if (in.allowed.defined()) {
    options.allowed = scores(in.allowed.const_data_ptr<bool>(), in.allowed);
  }
  if (in.mask.defined()) options.mask = scores(in.mask.const_data_ptr<A>(), in.mask);
  if (in.bias.defined()) options.bias = scores(in.bias.const_data_ptr<A>(), in.bias);
  if (in.sinks.defined()) options.sinks = in.sinks.const_data_ptr<A>();
  options.dropout = a.dropout;
  if (a.dropout != 0) options.seed = static_cast<uint64_t>(a.seed->item<int64_t>());
  return options;
}

template <typename A>
AttentionStatistics<A> statistics_of(const Outputs& outputs) {
  const auto& [out, lse, rows, top_key, received] = outputs;
  const int64_t size = lse.numel();
  A* next = rows.template mutable_data_ptr<A>();
  const auto row = [&] { return std::exchange(next, next + size); };
  return {.entropy = row(),
          .distance = row(),
          .first = row(),
          .self = row(),
          .previous = row(),
          .next = row(),
          .local = row(),
          .top = row(),
          .top_key = top_key.mutable_data_ptr<int64_t>(),
          .sink = row(),
          .received = received.mutable_data_ptr<A>()};
}

}  // namespace

Outputs cpu_forward(const Arguments& a) {
  check(a);
  const Inputs in(a);
  Outputs outputs = empty_outputs(a);
  with_type(in.q, [&](auto element) {
    using T = decltype(element);
    using A = Compute<T>;
    AttentionForward<T> call;
    call.shape = in.shape;
    call.q = read<T>(in.q);
    call.k = read<T>(in.k);
    call.v = read<T>(in.v);
    call.out = written<T>(std::get<0>(outputs));
    call.lse = std::get<1>(outputs).template mutable_data_ptr<A>();
    if (a.statistics) call.statistics = statistics_of<A>(outputs);
    attention_forward(call, options_of<A>(a, in), kLibtorchThreads);
  });
  return outputs;
}

Gradients cpu_backward(const Backward& backward, const Arguments& a) {
  check(backward, a);
  const Inputs in(a);
  const at::Tensor grad_out = with_contiguous_rows(backward.grad_out);
  const at::Tensor out = with_contiguous_rows(backward.out);
  const at::Tensor lse = backward.lse.contiguous();
  Gradients gradients = empty_gradients(backward, a);
  at::Tensor &grad_bias = std::get<3>(gradients), &grad_sinks = std::get<4>(gradients);
  const bool bias_wanted = in.bias.defined() && backward.wanted[3];
  const bool sinks_wanted = in.sinks.defined() && backward.wanted[4];
  // Summed in the type that is calculated in, rounded once.
  if (bias_wanted) grad_bias = grad_bias.to(in.bias.scalar_type());
  if (sinks_wanted) grad_sinks = grad_sinks.to(in.sinks.scalar_type());
  with_type(in.q, [&](auto element) {
    using T = decltype(element);
    using A = Compute<T>;
    AttentionBackward<T> call;
    call.shape = in.shape;
    call.q = read<T>(in.q);
    call.k = read<T>(in.k);
    call.v = read<T>(in.v);
    call.out = read<T>(out);
    call.grad_out = read<T>(grad_out);
    call.lse = lse.const_data_ptr<A>();
    call.grad_q = written<T>(std::get<0>(gradients));
    call.grad_k = written<T>(std::get<1>(gradients));
    call.grad_v = written<T>(std::get<2>(gradients));
    if (bias_wanted) call.grad_bias = scores(grad_bias.mutable_data_ptr<A>(), grad_bias);
    if (sinks_wanted) call.grad_sinks = grad_sinks.mutable_data_ptr<A>();
    attention_backward(call, options_of<A>(a, in), kLibtorchThreads);
  });
  if (bias_wanted) grad_bias = grad_bias.to(a.bias->scalar_type());
  if (sinks_wanted) grad_sinks = grad_sinks.to(a.sinks->scalar_type());
  return gradients;
}

}  // namespace headlight::op
