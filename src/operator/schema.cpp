// headlight::exact_attention for libtorch's dispatcher: schemas and kernels. Arguments are told in
// arguments.h; Meta gives shapes without data, for torch.compile and torch.export.
#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/library.h>

#include "operator/dispatch.h"

namespace headlight::op {
namespace {

Outputs meta_forward(const Arguments& a) {
  check(a);
  return empty_outputs(a);
}

Gradients meta_backward(const Backward& b, const Arguments& a) {
  check(b, a);
  return empty_gradients(b, a);
}

// As libtorch's own attention does it: q, k and v in autocast's type.
Outputs autocast_forward(const Arguments& a) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::DispatchKey::AutocastCPU);
  const at::ScalarType type = at::autocast::get_autocast_dtype(at::kCPU);
  const auto cast = [&](const at::Tensor& x) {
    return at::autocast::cached_cast(type, x, c10::DeviceType::CPU);
  };
  const at::Tensor q = cast(a.q), k = cast(a.k), v = cast(a.v);
  return call_forward({q, k, v, a.bias, a.sinks, a.mask, a.key_lengths, a.query_starts,
                       a.key_starts, a.seed, a.causal, a.window, a.scale, a.softcap, a.dropout,
                       a.statistics});
}

constexpr const char* kForward =
    "exact_attention(Tensor q, Tensor k, Tensor v, Tensor? bias=None, Tensor? sinks=None, "
    "Tensor? mask=None, Tensor? key_lengths=None, Tensor? query_starts=None, "
    "Tensor? key_starts=None, Tensor? seed=None, str causal='none', int[2] window=[-1, -1], "
    "float? scale=None, float softcap=0.0, float dropout=0.0, bool statistics=False) -> "
    "(Tensor out, Tensor lse, Tensor rows, Tensor top_key, Tensor received)";
constexpr const char* kBackward =
    "exact_attention_backward(Tensor grad_out, Tensor out, Tensor lse, bool[5] wanted, Tensor q, "
    "Tensor k, Tensor v, Tensor? bias, Tensor? sinks, Tensor? mask, Tensor? key_lengths, "
    "Tensor? query_starts, Tensor? key_starts, Tensor? seed, str causal, int[2] window, "
    "float? scale, float softcap, float dropout, bool statistics) -> "
    "(Tensor q, Tensor k, Tensor v, Tensor bias, Tensor sinks)";

// A fragment, so that other floors may add to the same name.
TORCH_LIBRARY_FRAGMENT(headlight, library) {
  library.def(kForward);
  library.def(kBackward);
}

TORCH_LIBRARY_IMPL(headlight, CPU, library) {
  library.impl("exact_attention", Unpacked<cpu_forward, ForwardSignature>::call);
  library.impl("exact_attention_backward", Unpacked<cpu_backward, BackwardSignature>::call);
}

TORCH_LIBRARY_IMPL(headlight, Meta, library) {
  library.impl("exact_attention", Unpacked<meta_forward, ForwardSignature>::call);
  library.impl("exact_attention_backward", Unpacked<meta_backward, BackwardSignature>::call);
}

TORCH_LIBRARY_IMPL(headlight, Autograd, library) {
  library.impl("exact_attention", Unpacked<autograd_forward, ForwardSignature>::call);
  library.impl("exact_attention_backward", Unpacked<autograd_backward, BackwardSignature>::call);
}

TORCH_LIBRARY_IMPL(headlight, AutocastCPU, library) {
  library.impl("exact_attention", Unpacked<autocast_forward, ForwardSignature>::call);
}

}  // namespace

Outputs call_forward(const Arguments& a) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("headlight::exact_attention", "")
                             .typed<ForwardSignature>();
  return op.call(a.q, a.k, a.v, a.bias, a.sinks, a.mask, a.key_lengths, a.query_starts,
                 a.key_starts, a.seed, a.causal, a.window, a.scale, a.softcap, a.dropout,
                 a.statistics);
}

Gradients call_backward(const Backward& b, const Arguments& a) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("headlight::exact_attention_backward", "")
                             .typed<BackwardSignature>();
  return op.call(b.grad_out, b.out, b.lse, b.wanted, a.q, a.k, a.v, a.bias, a.sinks, a.mask,
                 a.key_lengths, a.query_starts, a.key_starts, a.seed, a.causal, a.window, a.scale,
                 a.softcap, a.dropout, a.statistics);
}

}  // namespace headlight::op
