/* Attention as a C program calls it, for a test in C++ that compares. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* [batch, heads, tokens, dim], contiguous; statistics of the computing type; mask [tokens]. */
enum { kBatch = 2, kHeads = 4, kKvHeads = 2, kTokens = 19, kDim = 12 };

typedef struct {
  const void *q, *k, *v, *mask, *sinks, *grad_out;
  void *out, *lse, *entropy, *grad_q, *grad_k, *grad_v, *grad_sinks;
  int threads;
} CallFromC;

/* Forward, then backward; the first status that is not 0. */
int call_from_c(int data_type, const CallFromC* arrays);

#ifdef __cplusplus
}
#endif
