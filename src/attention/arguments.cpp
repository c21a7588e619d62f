#include "attention/arguments.h"

#include <cmath>
#include <string>

#include "headlight/error.h"

namespace headlight::attention {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorKind::usage, "attention: " + what);
}

std::string text(int64_t x) { return std::to_string(x); }
std::string text(double x) { return std::to_string(x); }

// Kernels count the keys of a tile in 32 bits.
constexpr int64_t kMostKeys = int64_t{1} << 30;

void check_starts(const char* name, const int64_t* starts, int64_t batch, const char* rows_name,
                  int64_t rows) {
  if (starts[0] != 0) refuse(std::string(name) + "[0] is " + text(starts[0]) + ", not 0.");
  for (int64_t b = 0; b < batch; ++b) {
    if (starts[b + 1] < starts[b]) {
      refuse(std::string(name) + "[" + text(b + 1) + "] is " + text(starts[b + 1]) +
             ", less than the one before it (" + text(starts[b]) + ").");
    }
  }
  if (starts[batch] != rows) {
    refuse(std::string(name) + " ends with " + text(starts[batch]) + ", but " + rows_name + " is " +
           text(rows) + ".");
  }
}

void check_shape(const AttentionShape& s) {
  const auto at_least = [](const char* name, int64_t value, int64_t least) {
    if (value < least) {
      refuse(std::string(name) + " is " + text(value) + "; it must be at least " + text(least) +
             ".");
    }
  };
  at_least("batch", s.batch, 0);
  at_least("heads", s.heads, 1);
  at_least("kv_heads", s.kv_heads, 1);
  at_least("queries", s.queries, 0);
  at_least("keys", s.keys, 0);
  at_least("head_dim", s.head_dim, 1);
  at_least("value_dim", s.value_dim, 1);
  if (s.heads % s.kv_heads != 0) {
    refuse("heads (" + text(s.heads) + ") must be a multiple of kv_heads (" + text(s.kv_heads) +
           ").");
  }
  if (s.keys > kMostKeys) {
    refuse("keys is " + text(s.keys) + "; at most 2^30 are possible.");
  }
  if ((s.query_starts == nullptr) != (s.key_starts == nullptr)) {
    refuse("query_starts and key_starts go together; one of them is missing.");
  }
  if (s.query_starts) {
    check_starts("query_starts", s.query_starts, s.batch, "queries", s.queries);
    check_starts("key_starts", s.key_starts, s.batch, "keys", s.keys);
  }
}

template <typename T>
void check_tensor(const char* name, const HeadTensor<T>& x, const AttentionShape& s, int64_t heads,
                  int64_t rows, int64_t dim) {
  if (s.batch == 0 || rows == 0) return;
  if (!x.data) refuse(std::string(name) + " has no data.");
  if constexpr (!std::is_const_v<T>) {
    const auto apart = [&](const char* stride_name, int64_t count, int64_t stride) {
      if (count > 1 && std::abs(stride) < dim) {
        refuse(std::string(name) + " is written, but its " + stride_name + " (" + text(stride) +
               ") is smaller than a row of " + text(dim) + ", so that rows would overlap.");
      }
    };
    apart("row_stride", rows, x.row_stride);
    apart("head_stride", heads, x.head_stride);
    if (!s.query_starts) apart("batch_stride", s.batch, x.batch_stride);
  }
}

template <typename T>
void check_options(const AttentionShape& s, const AttentionOptions<T>& o,
                   const Parallel& parallel) {
  if (!std::isfinite(o.scale)) refuse("scale must be finite (0: 1 / sqrt(head_dim)).");
  if (!std::isfinite(o.softcap) || o.softcap < 0) {
    refuse("softcap is " + text(o.softcap) + "; it must be 0 (none) or positive and finite.");
  }
  if (!(o.dropout >= 0 && o.dropout < 1)) {
    refuse("dropout is " + text(o.dropout) + "; it must be at least 0 and less than 1.");
  }
  if (o.causal != Causal::offset && o.causal_offset != 0) {
    refuse("causal_offset is " + text(o.causal_offset) + " but causal is not Causal::offset.");
  }
  if (std::abs(o.causal_offset) > (int64_t{1} << 40)) {
    refuse("causal_offset is " + text(o.causal_offset) + "; at most 2^40 is possible.");
  }
  if (o.key_lengths) {
    for (int64_t b = 0; b < s.batch; ++b) {
      const int64_t keys = s.key_starts ? s.key_starts[b + 1] - s.key_starts[b] : s.keys;
      if (o.key_lengths[b] < 0 || o.key_lengths[b] > keys) {
        refuse("key_lengths[" + text(b) + "] is " + text(o.key_lengths[b]) +
               "; it must be from 0 to the number of keys (" + text(keys) + ").");
      }
    }
  }
  if (parallel.threads < 0) {
    refuse("threads is " + text(int64_t{parallel.threads}) + "; 0 means one per core.");
  }
}

void check_bias_stride(const char* name, int64_t count, int64_t of_bias, int64_t of_gradient) {
  if (count > 1 && of_bias != 0 && of_gradient == 0) {
    refuse(std::string("grad_bias repeats along the ") + name +
           " (stride 0) where the bias does not.");
  }
}

// What forward and backward share; `out` is written by one and read by the other.
template <typename Call, typename T>
void check_call(const Call& call, const AttentionOptions<T>& options, const Parallel& parallel) {
  const AttentionShape& s = call.shape;
  check_shape(s);
  check_tensor("q", call.q, s, s.heads, s.queries, s.head_dim);
  check_tensor("k", call.k, s, s.kv_heads, s.keys, s.head_dim);
  check_tensor("v", call.v, s, s.kv_heads, s.keys, s.value_dim);
  check_tensor("out", call.out, s, s.heads, s.queries, s.value_dim);
  check_options(s, options, parallel);
}

}  // namespace

template <typename E>
void check(const AttentionForward<E>& call, const AttentionOptions<Compute<E>>& options,
           const Parallel& parallel) {
  check_call(call, options, parallel);
  if (call.statistics.local_window < 0) {
    refuse("statistics.local_window is " + text(call.statistics.local_window) +
           "; it must be 0 or more.");
  }
}

template <typename E>
void check(const AttentionBackward<E>& call, const AttentionOptions<Compute<E>>& options,
           const Parallel& parallel) {
  using T = Compute<E>;
  check_call(call, options, parallel);
  const AttentionShape& s = call.shape;
  check_tensor("grad_out", call.grad_out, s, s.heads, s.queries, s.value_dim);
  if (!call.lse && s.batch * s.queries > 0) refuse("the backward pass needs lse of the forward.");
  if (call.grad_q.data) check_tensor("grad_q", call.grad_q, s, s.heads, s.queries, s.head_dim);
  if (call.grad_k.data) check_tensor("grad_k", call.grad_k, s, s.kv_heads, s.keys, s.head_dim);
  if (call.grad_v.data) check_tensor("grad_v", call.grad_v, s, s.kv_heads, s.keys, s.value_dim);
  if (call.grad_sinks && !options.sinks) refuse("grad_sinks is asked for without sinks.");
  if (call.grad_bias.data) {
    const ScoreTensor<const T>& bias = options.bias;
    if (!bias.data) refuse("grad_bias is asked for without a bias.");
    check_bias_stride("batch", s.batch, bias.batch_stride, call.grad_bias.batch_stride);
    check_bias_stride("heads", s.heads, bias.head_stride, call.grad_bias.head_stride);
    check_bias_stride("queries", s.queries, bias.query_stride, call.grad_bias.query_stride);
    check_bias_stride("keys", s.keys, bias.key_stride, call.grad_bias.key_stride);
  }
}

template void check(const AttentionForward<float>&, const AttentionOptions<float>&,
                    const Parallel&);
template void check(const AttentionBackward<float>&, const AttentionOptions<float>&,
                    const Parallel&);
template void check(const AttentionForward<double>&, const AttentionOptions<double>&,
                    const Parallel&);
template void check(const AttentionBackward<double>&, const AttentionOptions<double>&,
                    const Parallel&);
template void check(const AttentionForward<BFloat16>&, const AttentionOptions<float>&,
                    const Parallel&);
template void check(const AttentionBackward<BFloat16>&, const AttentionOptions<float>&,
                    const Parallel&);
template void check(const AttentionForward<Float16>&, const AttentionOptions<float>&,
                    const Parallel&);
template void check(const AttentionBackward<Float16>&, const AttentionOptions<float>&,
                    const Parallel&);

}  // namespace headlight::attention
