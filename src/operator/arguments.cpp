#include "operator/arguments.h"

#include <ATen/ATen.h>

namespace headlight::op {
namespace {

// Symbols that are not known yet are taken at their word and checked at run time.
bool holds(const c10::SymBool& condition) { return condition.expect_true(__FILE__, __LINE__); }

void check_rows(const char* name, const at::Tensor& x, const at::Tensor& q) {
  TORCH_CHECK_VALUE(x.dim() == 4, "attention: ", name, " has ", x.dim(),
                    " dimensions; it must be [batch, heads, rows, dim].");
  TORCH_CHECK_VALUE(x.scalar_type() == q.scalar_type(), "attention: ", name, " is ",
                    x.scalar_type(), " and q is ", q.scalar_type(), "; they must be alike.");
  TORCH_CHECK_VALUE(x.device() == q.device(), "attention: ", name, " is on ", x.device(),
                    " and q on ", q.device(), ".");
}

void check_equal(const char* what, const c10::SymInt& a, const char* as_in, const c10::SymInt& b) {
  TORCH_CHECK_VALUE(holds(a.sym_eq(b)), "attention: ", what, " is ", a, " but in ", as_in,
                    " it is ", b, ".");
}

void check_score(const char* name, const OptionalTensor& x, const Arguments& a) {
  if (!x) return;
  TORCH_CHECK_VALUE(!a.query_starts, "attention: ", name,
                    " cannot be combined with packed sequences.");
  TORCH_CHECK_VALUE(x->dim() <= 4, "attention: ", name, " has ", x->dim(),
                    " dimensions; it must broadcast to [batch, heads, queries, keys].");
  TORCH_CHECK_VALUE(x->device() == a.q.device(), "attention: ", name, " is on ", x->device(),
                    " and q on ", a.q.device(), ".");
  const std::array<c10::SymInt, 4> full = {a.q.sym_size(0), a.q.sym_size(1), a.q.sym_size(2),
                                           a.k.sym_size(2)};
  for (int64_t d = 1; d <= x->dim(); ++d) {
    const c10::SymInt size = x->sym_size(-d);
    TORCH_CHECK_VALUE(holds(size.sym_eq(1).sym_or(size.sym_eq(full[static_cast<size_t>(4 - d)]))),
                      "attention: ", name, " ", x->sym_sizes(),
                      " does not broadcast to [batch, heads, queries, keys] = [", full[0], ", ",
                      full[1], ", ", full[2], ", ", full[3], "].");
  }
}

void check_numbers(const char* name, const OptionalTensor& x, const c10::SymInt& count) {
  if (!x) return;
  TORCH_CHECK_VALUE(x->dim() == 1 && holds(x->sym_size(0).sym_eq(count)), "attention: ", name, " ",
                    x->sym_sizes(), " must be [", count, "].");
  TORCH_CHECK_VALUE(x->device().is_cpu() || x->is_meta(), "attention: ", name,
                    " must be on the CPU.");
}

void check_integers(const char* name, const OptionalTensor& x) {
  TORCH_CHECK_VALUE(!x || x->scalar_type() == at::kLong || x->scalar_type() == at::kInt,
                    "attention: ", name, " must be of int32 or int64.");
}

// A gradient lies in memory as its tensor does, where that can be written row by row.
at::Tensor gradient_like(const at::Tensor& x, bool wanted) {
  if (!wanted) return at::empty({0}, x.options());
  auto whole = x.sym_stride(-1) == 1 ? at::empty_like(x) : at::Tensor();
  if (whole.defined() && whole.sym_stride(-1) == 1) return whole;
  return at::empty_symint(x.sym_sizes(), x.options());
}

}  // namespace

void check(const Arguments& a) {
  const at::ScalarType type = a.q.scalar_type();
  TORCH_CHECK_VALUE(
      type == at::kFloat || type == at::kDouble || type == at::kBFloat16 || type == at::kHalf,
      "attention: q is ", type, "; it must be float32, float64, bfloat16 or float16.");
  check_rows("q", a.q, a.q);
  check_rows("k", a.k, a.q);
  check_rows("v", a.v, a.q);
  check_equal("batch of k", a.k.sym_size(0), "q", a.q.sym_size(0));
  check_equal("batch of v", a.v.sym_size(0), "q", a.q.sym_size(0));
  check_equal("heads of v", a.v.sym_size(1), "k", a.k.sym_size(1));
  check_equal("keys of v", a.v.sym_size(2), "k", a.k.sym_size(2));
  check_equal("head dimension of k", a.k.sym_size(3), "q", a.q.sym_size(3));
  const c10::SymInt heads = a.q.sym_size(1), kv_heads = a.k.sym_size(1);
  TORCH_CHECK_VALUE(holds(kv_heads.sym_gt(0)) && holds((heads % kv_heads).sym_eq(0)),
                    "attention: q has ", heads, " heads, which is no multiple of the ", kv_heads,
                    " heads of k and v.");
  check_score("mask", a.mask, a);
  check_score("bias", a.bias, a);
  TORCH_CHECK_VALUE(
      !a.mask || a.mask->scalar_type() == at::kBool || at::isFloatingType(a.mask->scalar_type()),
      "attention: mask is ", a.mask->scalar_type(), "; it must be boolean or float.");
  TORCH_CHECK_VALUE(!a.bias || at::isFloatingType(a.bias->scalar_type()), "attention: bias is ",
                    a.bias->scalar_type(), "; it must be float.");
  check_numbers("sinks", a.sinks, heads);
  TORCH_CHECK_VALUE(!a.sinks || at::isFloatingType(a.sinks->scalar_type()), "attention: sinks are ",
                    a.sinks->scalar_type(), "; they must be float.");
  check_numbers("key_lengths", a.key_lengths, a.q.sym_size(0));
  check_integers("key_lengths", a.key_lengths);
  TORCH_CHECK_VALUE(a.query_starts.has_value() == a.key_starts.has_value(),
                    "attention: packed sequences need the starts of both queries and keys.");
  if (a.query_starts) {
    TORCH_CHECK_VALUE(a.query_starts->dim() == 1 && holds(a.query_starts->sym_size(0).sym_gt(0)),
                      "attention: the starts of queries must be [sequences + 1].");
    check_numbers("starts of queries", a.query_starts, a.query_starts->sym_size(0));
    check_numbers("starts of keys", a.key_starts, a.query_starts->sym_size(0));
    check_integers("starts of queries", a.query_starts);
    check_integers("starts of keys", a.key_starts);
    check_equal("batch of packed q", a.q.sym_size(0), "packed sequences", 1);
    TORCH_CHECK_VALUE(!a.key_lengths,
                      "attention: packed sequences have their lengths in the starts of keys.");
  }
  TORCH_CHECK_VALUE(a.dropout == 0 || a.seed, "attention: dropout needs a seed.");
  TORCH_CHECK_VALUE(
      !a.seed || (a.seed->scalar_type() == at::kLong && holds(a.seed->sym_numel().sym_eq(1))),
      "attention: seed must be one int64.");
}

void check(const Backward& backward, const Arguments& a) {
  check(a);
  check_rows("grad_out", backward.grad_out, a.q);
  check_rows("out", backward.out, a.q);
  const std::array<c10::SymInt, 4> sizes = {a.q.sym_size(0), a.q.sym_size(1), a.q.sym_size(2),
                                            a.v.sym_size(3)};
  for (int64_t d = 0; d < 4; ++d) {
    check_equal("a size of grad_out", backward.grad_out.sym_size(d), "the forward pass",
                sizes[static_cast<size_t>(d)]);
    check_equal("a size of out", backward.out.sym_size(d), "the forward pass",
                sizes[static_cast<size_t>(d)]);
    if (d < 3) {
      check_equal("a size of lse", backward.lse.sym_size(d), "the forward pass",
                  sizes[static_cast<size_t>(d)]);
    }
  }
}

Outputs empty_outputs(const Arguments& a) {
  const c10::SymInt batch = a.q.sym_size(0), heads = a.q.sym_size(1), rows = a.q.sym_size(2);
  const auto options = a.q.options().dtype(compute_type(a.q));
  const auto numbers = a.q.options().dtype(at::kLong);
  const at::Tensor out =
      at::empty_symint({batch, rows, heads, a.v.sym_size(3)}, a.q.options()).transpose(1, 2);
  const at::Tensor lse = at::empty_symint({batch, heads, rows}, options);
  if (!a.statistics) {
    return {out, lse, at::empty({0}, options), at::empty({0}, numbers), at::empty({0}, options)};
  }
  return {out, lse, at::empty_symint({kRowStatistics, batch, heads, rows}, options),
          at::empty_symint({batch, heads, rows}, numbers),
          at::empty_symint({batch, heads, a.k.sym_size(2)}, options)};
}

Gradients empty_gradients(const Backward& backward, const Arguments& a) {
  const auto dense_like = [&](const OptionalTensor& x, bool wanted) {
    return x && wanted ? at::empty_symint(x->sym_sizes(), x->options())
                       : at::empty({0}, a.q.options());
  };
  return {gradient_like(a.q, backward.wanted[0]), gradient_like(a.k, backward.wanted[1]),
          gradient_like(a.v, backward.wanted[2]), dense_like(a.bias, backward.wanted[3]),
          dense_like(a.sinks, backward.wanted[4])};
}

}  // namespace headlight::op
