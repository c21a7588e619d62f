/* Exact attention for C and every language that can call C: attention.h with plain structs.
 *
 * Meaning, shapes and defaults of all fields are those of attention.h. No exception leaves these
 * functions, they never print or exit, and they may be called from any number of threads.
 *
 * Start structs from the initializers below, which hold the defaults that are not zero:
 *
 *   headlight_attention_options options = HEADLIGHT_ATTENTION_OPTIONS;
 *   options.causal = HEADLIGHT_CAUSAL_TOP_LEFT;
 */
#ifndef HEADLIGHT_ATTENTION_C_H
#define HEADLIGHT_ATTENTION_C_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* 0, or why nothing was computed; headlight_last_error() says it in words. */
enum {
  HEADLIGHT_OK = 0,
  HEADLIGHT_WRONG_USAGE = 2,  /* an argument makes no sense */
  HEADLIGHT_NO_RESOURCES = 4, /* not enough memory or threads */
  HEADLIGHT_BUG = 70          /* please report it */
};

/* Of the elements of q, k, v, out and their gradients. What "compute" is below: double for
 * HEADLIGHT_FLOAT64, otherwise float. */
enum {
  HEADLIGHT_FLOAT32 = 0,
  HEADLIGHT_FLOAT64 = 1,
  HEADLIGHT_BFLOAT16 = 2,
  HEADLIGHT_FLOAT16 = 3
};

enum {
  HEADLIGHT_CAUSAL_NONE = 0,
  HEADLIGHT_CAUSAL_TOP_LEFT = 1,
  HEADLIGHT_CAUSAL_BOTTOM_RIGHT = 2,
  HEADLIGHT_CAUSAL_OFFSET = 3
};

typedef struct {
  int64_t batch, heads, kv_heads, queries, keys, head_dim, value_dim;
  const int64_t* query_starts; /* [batch + 1], or null */
  const int64_t* key_starts;   /* [batch + 1], or null */
} headlight_attention_shape;

/* [batch, heads, rows, dim], strides in elements, the last dimension contiguous. */
typedef struct {
  const void* data;
  int64_t batch_stride, head_stride, row_stride;
} headlight_input;

typedef struct {
  void* data;
  int64_t batch_stride, head_stride, row_stride;
} headlight_output;

/* Broadcasts to [batch, heads, queries, keys]; a stride of 0 repeats. Absent if data is null. */
typedef struct {
  const void* data;
  int64_t batch_stride, head_stride, query_stride, key_stride;
} headlight_score_input;

typedef struct {
  void* data;
  int64_t batch_stride, head_stride, query_stride, key_stride;
} headlight_score_output;

typedef struct {
  double scale; /* 0: 1 / sqrt(head_dim) */
  double softcap;
  int32_t causal; /* HEADLIGHT_CAUSAL_... */
  int64_t causal_offset;
  int64_t window_left, window_right; /* negative: unlimited */
  const int64_t* key_lengths;        /* [batch] */
  headlight_score_input allowed;     /* bool: one byte, 0 or 1 */
  headlight_score_input mask;        /* compute */
  headlight_score_input bias;        /* compute */
  const void* sinks;                 /* compute, [heads] */
  double dropout;
  uint64_t seed;
} headlight_attention_options;

/* [batch, heads, queries] of compute each; a null one is not wanted. */
typedef struct {
  void *entropy, *distance, *first, *self, *previous, *next, *local, *top;
  int64_t* top_key;
  void* sink;
  void* received; /* [batch, heads, keys] */
  int64_t local_window;
} headlight_attention_statistics;

/* run(pool, tasks, body, context) calls body(context, task) for every task from 0 to tasks - 1 and
 * returns when all are done. run null: headlight's own threads, `threads` of them (0: one per
 * core). */
typedef struct {
  void (*run)(void* pool, int64_t tasks, void (*body)(void* context, int64_t task), void* context);
  void* pool;
  int32_t threads;
} headlight_parallel;

typedef struct {
  headlight_attention_shape shape;
  headlight_input q, k, v;
  headlight_output out;
  void* lse; /* compute, [batch, heads, queries], or null */
  headlight_attention_statistics statistics;
} headlight_forward;

typedef struct {
  headlight_attention_shape shape;
  headlight_input q, k, v, out, grad_out;
  const void* lse;
  headlight_output grad_q, grad_k, grad_v; /* not computed where data is null */
  headlight_score_output grad_bias;
  void* grad_sinks;
} headlight_backward;

/* In the order of the fields, so that C++ takes them too. */
#define HEADLIGHT_ATTENTION_OPTIONS \
  { .window_left = -1, .window_right = -1 }
#define HEADLIGHT_ATTENTION_STATISTICS \
  { .local_window = 8 }

/* Compute into the caller's memory and return a status. data_type is one of HEADLIGHT_FLOAT32 ...;
 * options and parallel may be null for the defaults. */
int headlight_attention_forward(int data_type, const headlight_forward* call,
                                const headlight_attention_options* options,
                                const headlight_parallel* parallel);
int headlight_attention_backward(int data_type, const headlight_backward* call,
                                 const headlight_attention_options* options,
                                 const headlight_parallel* parallel);

/* What the last call of this thread that failed had to say: the argument, what is wrong with it and
 * what would be right. "" if none has failed. Stays until the next failure in this thread. */
const char* headlight_last_error(void);

/* The instruction set that runs, as attention_isa(); null if HEADLIGHT_ISA names none. */
const char* headlight_attention_isa(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
