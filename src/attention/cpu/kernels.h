// The kernels of one instruction set behind plain function pointers.
//
// cpu/*.inl is the source of all of them. Each instruction set compiles it in one translation unit
// of its own (portable.cpp, avx2.cpp, avx512.cpp, avx512_bf16.cpp, neon.cpp), in an anonymous
// namespace and without functions of the standard library, so that no code for a newer machine can
// be linked into the rest of the program by accident. tests/attention/check_symbols.py holds them
// to it.
#pragma once

#include <cstdint>

#include "attention/cpu/problem.h"

namespace headlight::attention {

// Half-open.
struct Span {
  int64_t begin = 0;
  int64_t end = 0;
};

// For tensors of E. Workspaces are counted in Compute<E> and aligned to 64 bytes.
template <typename E>
struct Kernels {
  int64_t lanes = 0;  // of a vector
  int64_t tile = 0;   // queries that are worked on together

  int64_t (*forward_workspace)(const ForwardProblem<E>&) = nullptr;
  // Writes out, lse and statistics of rows for some queries of one head; `queries` starts at a
  // multiple of tile.
  void (*forward)(const ForwardProblem<E>&, int64_t batch, int64_t head, Span queries,
                  Compute<E>* workspace) = nullptr;
  // Writes statistics.received for some keys of one head, once all of key_lse is there.
  void (*received)(const ForwardProblem<E>&, int64_t batch, int64_t head, Span keys,
                   Compute<E>* workspace) = nullptr;

  // Few queries of rows that are whole vectors long: one part for each chunk of the keys of a KV
  // head, `decode_part_size` numbers each, then the merging of the parts of a KV head.
  int64_t (*decode_workspace)(const ForwardProblem<E>&) = nullptr;
  int64_t (*decode_part_size)(const ForwardProblem<E>&) = nullptr;
  void (*decode)(const ForwardProblem<E>&, int64_t batch, int64_t kv_head, Span keys,
                 Compute<E>* parts, int64_t part, Compute<E>* workspace) = nullptr;
  void (*merge_decoded)(const ForwardProblem<E>&, int64_t batch, int64_t kv_head, Compute<E>* parts,
                        int64_t first_part, int64_t count) = nullptr;

  int64_t (*backward_workspace)(const BackwardProblem<E>&, int64_t keys_per_chunk) = nullptr;
  // Writes grad_k and grad_v for some keys of one KV head, and what these keys add to grad_q.
  void (*backward)(const BackwardProblem<E>&, int64_t batch, int64_t kv_head, Span keys,
                   int64_t chunk, Compute<E>* workspace) = nullptr;

  // rows [count, dim] = the sum of the parts, `parts_stride` apart, in order.
  void (*sum_parts)(const Compute<E>* first, int64_t parts_stride, int64_t parts, int64_t count,
                    int64_t dim, E* rows, int64_t row_stride) = nullptr;

  // Adds to grad_bias what some queries of one head of one sequence contribute.
  void (*add_bias_gradient)(const BackwardProblem<E>&, int64_t batch, int64_t head, Span queries,
                            Compute<E>* workspace) = nullptr;
};

struct KernelTable {
  const char* name = nullptr;
  Kernels<float> for_float;
  Kernels<double> for_double;
  Kernels<BFloat16> for_bfloat16;
  Kernels<Float16> for_float16;
};

// Null where this build has none.
const KernelTable* portable_kernels();
const KernelTable* avx2_kernels();
const KernelTable* avx512_kernels();
const KernelTable* neon_kernels();

// What replaces the same kernels of avx512 where the machine multiplies pairs of BFloat16.
const Kernels<BFloat16>* avx512_bf16_kernels();

inline const Kernels<float>& of(const KernelTable& table, float) { return table.for_float; }
inline const Kernels<double>& of(const KernelTable& table, double) { return table.for_double; }
inline const Kernels<BFloat16>& of(const KernelTable& table, BFloat16) {
  return table.for_bfloat16;
}
inline const Kernels<Float16>& of(const KernelTable& table, Float16) { return table.for_float16; }

}  // namespace headlight::attention
