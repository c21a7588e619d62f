#include <ATen/ATen.h>

#include "model/relative_bias.h"
#include "model/transformer.h"

namespace headlight::model {

at::Tensor probabilities(const Capture::Layer& l) {
  const int64_t queries = l.q.size(2), keys = l.k.size(2);
  if (l.q.size(1) == 0) return at::empty({l.q.size(0), 0, queries, keys}, l.q.options());
  const at::Tensor k = l.k.repeat_interleave(l.q.size(1) / l.k.size(1), 1);
  at::Tensor scores = at::matmul(l.q, k.transpose(2, 3)).mul_(l.scale);
  if (l.softcap > 0) scores.div_(l.softcap).tanh_().mul_(l.softcap);
  if (l.bias.defined()) scores = scores + bias_matrix(l.bias, keys);
  const at::Tensor key = at::arange(keys);
  at::Tensor hidden = at::zeros({1, 1, queries, keys}, at::kBool);
  if (l.causal) {
    const at::Tensor at = at::arange(queries).unsqueeze(1) + l.past;
    hidden = hidden.logical_or(key > at);
    if (l.window > 0) hidden = hidden.logical_or(key <= at - l.window);
  }
  if (l.key_lengths.defined()) hidden = hidden.logical_or(key >= l.key_lengths.view({-1, 1, 1, 1}));
  if (l.key_allowed.defined())
    hidden = hidden.logical_or(l.key_allowed.logical_not().unsqueeze(1).unsqueeze(1));
  scores.masked_fill_(hidden, -std::numeric_limits<double>::infinity());
  // A query that sees nothing would be 0 / 0.
  return at::softmax(scores, -1).masked_fill_(hidden, 0);
}

}  // namespace headlight::model
