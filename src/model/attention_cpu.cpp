// The attention of attention_op.h on the CPU: strides into the packed tensors, for the attention
// core.
#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include "headlight/attention.h"
#include "model/attention_kernels.h"
#include "operator/libtorch_threads.h"

namespace headlight::model {
namespace {

// Where q, k and v lie: the tensor of each, and its first column.
struct Layout {
  AttentionShape shape;
  bool packed = false;
  int64_t q_column = 0, k_column = 0, v_column = 0;
};

Layout layout_of(const at::Tensor& query, const OptionalTensor& key_value, int64_t heads,
                 int64_t kv_heads) {
  TORCH_CHECK(query.dim() == 3 && heads > 0 && kv_heads > 0, "attention: query must be [B, N, W]");
  const int64_t blocks = key_value ? heads : heads + 2 * kv_heads;
  TORCH_CHECK(query.size(2) % blocks == 0, "attention: the query's width ", query.size(2),
              " is no multiple of ", blocks, " heads");
  const int64_t d = query.size(2) / blocks;
  Layout layout;
  layout.packed = !key_value;
  layout.shape = {query.size(0), heads, kv_heads, query.size(1), query.size(1), d, d};
  if (key_value) {
    TORCH_CHECK(key_value->dim() == 3 && key_value->size(0) == query.size(0) &&
                    key_value->size(2) == 2 * kv_heads * d &&
                    key_value->scalar_type() == query.scalar_type(),
                "attention: key_value must be [B, S, 2 kv_heads d] and of the query's type");
    layout.shape.keys = key_value->size(1);
    layout.v_column = kv_heads * d;
  } else {
    layout.k_column = heads * d;
    layout.v_column = (heads + kv_heads) * d;
  }
  return layout;
}

template <typename T>
HeadTensor<T> heads_of(const at::Tensor& tensor, int64_t column, int64_t head_dim) {
  T* data = const_cast<std::remove_const_t<T>*>(tensor.const_data_ptr<std::remove_const_t<T>>());
  return {data + column, tensor.stride(0), head_dim, tensor.stride(1)};
}

template <typename T>
AttentionOptions<T> options_of(const AttentionSettings& s, const AttentionShape& shape) {
  TORCH_CHECK(s.causal || (s.past == 0 && s.window == 0),
              "attention: past and window are for causal attention");
  AttentionOptions<T> options;
  options.scale = s.scale;
  options.softcap = s.softcap;
  if (s.causal) {
    options.causal = s.past == 0 ? Causal::top_left : Causal::offset;
    options.causal_offset = s.past;
    if (s.window > 0) options.window_left = s.window - 1;
  }
  options.dropout = s.dropout;
  options.seed = s.seed;
  if (s.key_lengths.defined()) {
    TORCH_CHECK(s.key_lengths.scalar_type() == at::kLong && s.key_lengths.is_contiguous() &&
                    s.key_lengths.numel() == shape.batch,
                "attention: key_lengths must be contiguous int64 [B]");
    options.key_lengths = s.key_lengths.const_data_ptr<int64_t>();
  }
  if (s.key_allowed.defined()) {
    TORCH_CHECK(s.key_allowed.scalar_type() == at::kBool &&
                    s.key_allowed.sizes() == at::IntArrayRef({shape.batch, shape.keys}),
                "attention: key_allowed must be bool [B, S]");
    options.allowed = {s.key_allowed.const_data_ptr<bool>(), s.key_allowed.stride(0), 0, 0,
                       s.key_allowed.stride(1)};
  }
  if (s.bias.defined()) {
    TORCH_CHECK(s.bias.dim() == 2 && s.bias.size(0) == shape.heads &&
                    s.bias.size(1) == shape.queries + shape.keys - 1 && s.bias.is_contiguous() &&
                    s.bias.scalar_type() == c10::CppTypeToScalarType<T>::value,
                "attention: bias must be contiguous [H, N + S - 1] and of the query's type");
    // Query i reads from N - 1 - i on: one number less far for each query.
    options.bias = {s.bias.const_data_ptr<T>() + shape.queries - 1, 0, s.bias.stride(0), -1, 1};
  }
  return options;
}

// [H, N, S] to [H, N + S - 1]: what each distance has in all.
template <typename T>
at::Tensor sums_by_distance(const at::Tensor& matrix) {
  const int64_t heads = matrix.size(0), queries = matrix.size(1), keys = matrix.size(2);
  at::Tensor sums = at::zeros({heads, queries + keys - 1}, matrix.options());
  const T* from = matrix.const_data_ptr<T>();
  for (int64_t h = 0; h < heads; ++h) {
    T* of_head = sums.data_ptr<T>() + h * (queries + keys - 1);
    for (int64_t i = 0; i < queries; ++i, from += keys) {
      T* to = of_head + queries - 1 - i;
      for (int64_t j = 0; j < keys; ++j) to[j] += from[j];
    }
  }
  return sums;
}

at::Tensor with_contiguous_rows(const at::Tensor& tensor) {
  return tensor.stride(-1) == 1 ? tensor : tensor.contiguous();
}

}  // namespace

Attended cpu_attention(const at::Tensor& query_in, const OptionalTensor& key_value_in,
                       const AttentionSettings& settings) {
  const Layout layout = layout_of(query_in, key_value_in, settings.heads, settings.kv_heads);
  const AttentionShape& s = layout.shape;
  const at::Tensor query = with_contiguous_rows(query_in);
  const at::Tensor kv = layout.packed ? query : with_contiguous_rows(*key_value_in);
  at::Tensor out = at::empty({s.batch, s.queries, s.heads * s.value_dim}, query.options());
  at::Tensor lse = at::empty({s.batch, s.heads, s.queries}, query.options());
  AT_DISPATCH_FLOATING_TYPES(query.scalar_type(), "attention", [&] {
    AttentionForward<scalar_t> call;
    call.shape = s;
    call.q = heads_of<const scalar_t>(query, layout.q_column, s.head_dim);
    call.k = heads_of<const scalar_t>(kv, layout.k_column, s.head_dim);
    call.v = heads_of<const scalar_t>(kv, layout.v_column, s.head_dim);
    call.out = heads_of<scalar_t>(out, 0, s.value_dim);
    call.lse = lse.data_ptr<scalar_t>();
    attention_forward(call, options_of<scalar_t>(settings, s), op::kLibtorchThreads);
  });
  return {out, lse};
}

AttentionGradients cpu_attention_backward(const at::Tensor& grad_in, const at::Tensor& query_in,
                                          const OptionalTensor& key_value_in,
                                          const Attended& attended,
                                          const AttentionSettings& settings, bool bias_gradient) {
  const Layout layout = layout_of(query_in, key_value_in, settings.heads, settings.kv_heads);
  const AttentionShape& s = layout.shape;
  const at::Tensor grad = with_contiguous_rows(grad_in);
  const at::Tensor query = with_contiguous_rows(query_in);
  const at::Tensor kv = layout.packed ? query : with_contiguous_rows(*key_value_in);
  at::Tensor grad_query = at::empty(query.sizes(), query.options());
  at::Tensor grad_kv = layout.packed ? grad_query : at::empty(kv.sizes(), kv.options());
  at::Tensor grad_bias;
  if (bias_gradient) grad_bias = at::empty({s.heads, s.queries, s.keys}, query.options());
  AT_DISPATCH_FLOATING_TYPES(query.scalar_type(), "attention backward", [&] {
    AttentionBackward<scalar_t> call;
    call.shape = s;
    call.q = heads_of<const scalar_t>(query, layout.q_column, s.head_dim);
    call.k = heads_of<const scalar_t>(kv, layout.k_column, s.head_dim);
    call.v = heads_of<const scalar_t>(kv, layout.v_column, s.head_dim);
    call.out = heads_of<const scalar_t>(attended.out, 0, s.value_dim);
    call.grad_out = heads_of<const scalar_t>(grad, 0, s.value_dim);
    call.lse = attended.lse.const_data_ptr<scalar_t>();
    call.grad_q = heads_of<scalar_t>(grad_query, layout.q_column, s.head_dim);
    call.grad_k = heads_of<scalar_t>(grad_kv, layout.k_column, s.head_dim);
    call.grad_v = heads_of<scalar_t>(grad_kv, layout.v_column, s.head_dim);
    if (bias_gradient)
      call.grad_bias = {grad_bias.data_ptr<scalar_t>(), 0, grad_bias.stride(0), grad_bias.stride(1),
                        1};
    attention_backward(call, options_of<scalar_t>(settings, s), op::kLibtorchThreads);
    if (bias_gradient) grad_bias = sums_by_distance<scalar_t>(grad_bias);
  });
  return {grad_query, layout.packed ? at::Tensor() : grad_kv, grad_bias};
}

}  // namespace headlight::model
