#include "from_c.h"

#include "headlight/attention_c.h"

static headlight_input input(const void* data, int64_t heads) {
  headlight_input x = {data, heads * kTokens * kDim, kTokens * kDim, kDim};
  return x;
}

static headlight_output output(void* data, int64_t heads) {
  headlight_output x = {data, heads * kTokens * kDim, kTokens * kDim, kDim};
  return x;
}

int call_from_c(int data_type, const CallFromC* a) {
  const headlight_attention_shape shape = {.batch = kBatch,
                                           .heads = kHeads,
                                           .kv_heads = kKvHeads,
                                           .queries = kTokens,
                                           .keys = kTokens,
                                           .head_dim = kDim,
                                           .value_dim = kDim};
  headlight_attention_options options = HEADLIGHT_ATTENTION_OPTIONS;
  options.causal = HEADLIGHT_CAUSAL_TOP_LEFT;
  options.window_left = 7;
  options.softcap = 3;
  options.dropout = 0.25;
  options.seed = 42;
  options.mask.data = a->mask;
  options.mask.key_stride = 1;
  options.sinks = a->sinks;
  const headlight_parallel parallel = {.threads = a->threads};

  headlight_forward forward = {.shape = shape,
                               .q = input(a->q, kHeads),
                               .k = input(a->k, kKvHeads),
                               .v = input(a->v, kKvHeads),
                               .out = output(a->out, kHeads),
                               .lse = a->lse,
                               .statistics = HEADLIGHT_ATTENTION_STATISTICS};
  forward.statistics.entropy = a->entropy;
  const int status = headlight_attention_forward(data_type, &forward, &options, &parallel);
  if (status != HEADLIGHT_OK) return status;

  const headlight_backward backward = {.shape = shape,
                                       .q = forward.q,
                                       .k = forward.k,
                                       .v = forward.v,
                                       .out = input(a->out, kHeads),
                                       .grad_out = input(a->grad_out, kHeads),
                                       .lse = a->lse,
                                       .grad_q = output(a->grad_q, kHeads),
                                       .grad_k = output(a->grad_k, kKvHeads),
                                       .grad_v = output(a->grad_v, kKvHeads),
                                       .grad_sinks = a->grad_sinks};
  return headlight_attention_backward(data_type, &backward, &options, &parallel);
}
