// Exact softmax attention on the CPU: forward and backward in O(N) memory.
//
// For every batch element b, query head h and query i, with g = h / (heads / kv_heads):
//
//   s_j = scale * <q_i, k_j>                        over the keys j of KV head g
//   s_j = softcap * tanh(s_j / softcap)             if softcap > 0
//   s_j = s_j + bias_ij + mask_ij
//   p_j = exp(s_j) / (sum_j' exp(s_j') + exp(sink)) over the keys that i may attend to
//   out_i = sum_j dropout(p_j) * v_j                lse_i = ln(the denominator)
//
// A query that may attend to no key gives out = 0, lse = -infinity (without a sink) and zero
// gradients. What a query may not attend to has no influence on it, not even as NaN; a NaN that it
// may attend to is visible in its result. A score of -infinity is a mask, one of +infinity makes
// the row NaN. Results do not depend on the number of threads, to the last bit.
//
// Tensors are float, double, or 16 bits wide (BFloat16, Float16). With 16 bits all arithmetic,
// masks, sinks, lse and statistics are float, and results are rounded once, to the nearest; where
// the machine multiplies pairs of BFloat16, the forward pass rounds weights to BFloat16 besides.
//
// Calls may come from any number of threads at once. A thread keeps its workspace from call to
// call: docs/attention.md has the bound.
#pragma once

#include <cstdint>
#include <type_traits>

// Visible where the library is a shared one.
#pragma GCC visibility push(default)
namespace headlight {

struct BFloat16 {
  uint16_t bits = 0;
};

struct Float16 {
  uint16_t bits = 0;
};

// What a pass over tensors of T calculates in.
template <typename T>
using Compute = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Sizes of one attention call. heads must be a multiple of kv_heads: query head h reads KV head
// h / (heads / kv_heads). Any dims from 1; queries and keys may be 0; at most 2^30 keys.
struct AttentionShape {
  int64_t batch = 1;
  int64_t heads = 1;
  int64_t kv_heads = 1;
  int64_t queries = 0;
  int64_t keys = 0;
  int64_t head_dim = 0;   // of queries and keys
  int64_t value_dim = 0;  // of values and outputs
  // Sequences of uneven lengths without padding: sequence b is rows query_starts[b] up to
  // query_starts[b + 1] of q and out, rows key_starts[b] up to key_starts[b + 1] of k and v. Both
  // or neither, [batch + 1] each, from 0, never falling. Batch strides of q, k, v and out are then
  // unused, queries and keys are the numbers of all rows, and [batch, heads, queries] results
  // (lse, statistics) are [heads, queries].
  const int64_t* query_starts = nullptr;
  const int64_t* key_starts = nullptr;
};

// A [batch, heads, rows, dim] tensor in any layout whose last dimension is contiguous. Strides are
// in elements, so packed QKV is read in place and head-interleaved output is written in place.
template <typename T>
struct HeadTensor {
  T* data = nullptr;
  int64_t batch_stride = 0;
  int64_t head_stride = 0;
  int64_t row_stride = 0;
};

// A tensor that broadcasts to [batch, heads, queries, keys]; a stride of 0 repeats. Absent if data
// is null.
template <typename T>
struct ScoreTensor {
  T* data = nullptr;
  int64_t batch_stride = 0;
  int64_t head_stride = 0;
  int64_t query_stride = 0;
  int64_t key_stride = 0;
};

// Query i may attend to keys j <= i + offset, where the offset is
//   top_left 0, bottom_right keys - queries (with key_lengths: that length - queries), offset: a
//   number of the caller's, for example the length of the past in a cache.
enum class Causal { none, top_left, bottom_right, offset };

// What shapes the scores. Everything is optional. T is what the pass calculates in.
template <typename T>
struct AttentionOptions {
  double scale = 0;  // 0: 1 / sqrt(head_dim)
  double softcap = 0;
  Causal causal = Causal::none;
  int64_t causal_offset = 0;  // for Causal::offset
  // Query i sees keys i + offset - window_left ... i + offset + window_right, both included, with
  // the offset of the causal alignment (0 without one); negative: unlimited.
  int64_t window_left = -1;
  int64_t window_right = -1;
  const int64_t* key_lengths = nullptr;  // [batch]; keys from there on do not exist
  ScoreTensor<const bool> allowed = {};  // true: may attend
  ScoreTensor<const T> mask = {};        // added to the scores; -infinity: may not attend
  ScoreTensor<const T> bias = {};        // added to the scores; has a gradient
  const T* sinks = nullptr;              // [heads] logits that join the denominator only
  double dropout = 0;                    // probability, below 1, that a weight is set to 0
  uint64_t seed = 0;                     // of the dropout mask, the same in forward and backward
};

// Runs body(context, task) for every task in [0, tasks), in any order and on any threads, and
// returns when all are done. An absent `run` means headlight's own pool with `threads` threads
// (0: one per core).
struct Parallel {
  void (*run)(void* pool, int64_t tasks, void (*body)(void* context, int64_t task),
              void* context) = nullptr;
  void* pool = nullptr;
  int threads = 0;
};

// What the rows of the attention matrix look like, out of the same pass. [batch, heads, queries]
// contiguous each; null: not wanted. Of the weights p before dropout, divided by their sum where a
// sink takes a part. Query i stands at position i + offset of the causal alignment (0 without one).
// All are 0 for a row that may attend to nothing, with top_key -1.
template <typename A>
struct AttentionStatistics {
  A* entropy = nullptr;        // -sum p ln p, in nats
  A* distance = nullptr;       // sum p_j |j - position|
  A* first = nullptr;          // p of key 0
  A* self = nullptr;           // p of the key at the position
  A* previous = nullptr;       // p of the key before it
  A* next = nullptr;           // p of the key after it
  A* local = nullptr;          // sum of p with |j - position| <= local_window
  A* top = nullptr;            // the largest p
  int64_t* top_key = nullptr;  // its key, the first among equals
  A* sink = nullptr;           // what the sink takes of the row
  A* received =
      nullptr;  // [batch, heads, keys]: sum over queries of p; a second pass over the scores
  int64_t local_window = 8;
};

// T is float, double, BFloat16 or Float16. q [batch, heads, queries, head_dim],
// k [batch, kv_heads, keys, head_dim], v [batch, kv_heads, keys, value_dim],
// out [batch, heads, queries, value_dim].
template <typename T>
struct AttentionForward {
  AttentionShape shape;
  HeadTensor<const T> q, k, v;
  HeadTensor<T> out;
  Compute<T>* lse = nullptr;  // [batch, heads, queries] contiguous, or null
  AttentionStatistics<Compute<T>> statistics = {};
};

// out and lse are those of the forward pass with the same options. Gradients are written, not
// added; a null one is not computed.
template <typename T>
struct AttentionBackward {
  AttentionShape shape;
  HeadTensor<const T> q, k, v, out, grad_out;
  const Compute<T>* lse = nullptr;  // [batch, heads, queries] contiguous
  HeadTensor<T> grad_q = {}, grad_k = {}, grad_v = {};
  // In the broadcast layout of the bias: summed over the dimensions with stride 0. Dense in memory.
  ScoreTensor<Compute<T>> grad_bias = {};
  Compute<T>* grad_sinks = nullptr;  // [heads]
};

// Throws headlight::Error (usage) for shapes, strides or options that make no sense.
template <typename T>
void attention_forward(const AttentionForward<T>& call,
                       const AttentionOptions<Compute<T>>& options = {},
                       const Parallel& parallel = {});
template <typename T>
void attention_backward(const AttentionBackward<T>& call,
                        const AttentionOptions<Compute<T>>& options = {},
                        const Parallel& parallel = {});

// The instruction set that runs: "avx512_bf16", "avx512", "avx2", "neon" or "portable". Decided
// once: the best that this machine has, or what the variable HEADLIGHT_ISA names (an Error if it
// cannot).
const char* attention_isa();

}  // namespace headlight
#pragma GCC visibility pop
