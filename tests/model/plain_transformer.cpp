#include "plain_transformer.h"

#include <ATen/ATen.h>

#include <cmath>

#include "model/plain.h"
#include "model/rotary.h"

namespace headlight::model::testing {
namespace {

at::Tensor apply(const Linear& l, const at::Tensor& x) {
  return at::linear(x, l.weight, l.bias.defined() ? std::optional(l.bias) : std::nullopt);
}

at::Tensor norm(const Config& c, const NormWeights& w, const at::Tensor& x) {
  return plain::normalised(x, w, c.norm, c.norm_epsilon);
}

at::Tensor activated(const Config& c, const at::Tensor& x) {
  switch (c.activation) {
    case Activation::relu:
      return x.clamp_min(0);
    case Activation::gelu:
      return 0.5 * x * (1 + at::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + at::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::silu:
      return x * at::sigmoid(x);
    case Activation::swiglu: {
      const at::Tensor gate = x.narrow(-1, 0, c.ffn), up = x.narrow(-1, c.ffn, c.ffn);
      return gate * at::sigmoid(gate) * up;
    }
    default:
      return {};
  }
}

at::Tensor attend(const Config& c, at::Tensor q, at::Tensor k, at::Tensor v, bool turns,
                  bool causal, const at::Tensor& lengths) {
  q = q.unflatten(2, {c.heads, c.head_dim});
  k = k.unflatten(2, {c.kv_heads, c.head_dim});
  v = v.unflatten(2, {c.kv_heads, c.head_dim});
  if (turns && c.position == Position::rotary) {
    const Angles a =
        rotary_angles(q.size(1), c.head_dim, c.rotary_theta, q.options().requires_grad(false));
    q = plain::turned(q, a.cosines, a.sines);
    k = plain::turned(k, a.cosines, a.sines);
  }
  const at::Tensor out =
      plain::attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), causal,
                       1 / std::sqrt(static_cast<double>(c.head_dim)), lengths);
  return out.transpose(1, 2).flatten(2);
}

at::Tensor stack(const Config& c, const Stack& s, const at::Tensor& tokens,
                 const at::Tensor& lengths, bool causal, const at::Tensor& memory,
                 const at::Tensor& memory_lengths) {
  const int64_t inner = c.heads * c.head_dim, inner_kv = c.kv_heads * c.head_dim;
  const bool pre = c.norm_place == NormPlace::pre;
  at::Tensor x = plain::embedded(tokens, s.tokens, s.positions);
  for (const Block& b : s.blocks) {
    at::Tensor y = pre ? norm(c, b.attention_norm, x) : x;
    const at::Tensor qkv = apply(b.attention.qkv, y);
    y = attend(c, qkv.narrow(2, 0, inner), qkv.narrow(2, inner, inner_kv),
               qkv.narrow(2, inner + inner_kv, inner_kv), true, causal, lengths);
    x = x + apply(b.attention.out, y);
    if (!pre) x = norm(c, b.attention_norm, x);
    if (memory.defined()) {
      y = pre ? norm(c, b.cross_norm, x) : x;
      const at::Tensor kv = apply(b.cross.key_value, memory);
      y = attend(c, apply(b.cross.query, y), kv.narrow(2, 0, inner_kv),
                 kv.narrow(2, inner_kv, inner_kv), false, false, memory_lengths);
      x = x + apply(b.cross.out, y);
      if (!pre) x = norm(c, b.cross_norm, x);
    }
    y = pre ? norm(c, b.ffn_norm, x) : x;
    x = x + apply(b.ffn.down, activated(c, apply(b.ffn.up, y)));
    if (!pre) x = norm(c, b.ffn_norm, x);
  }
  return c.final_norm ? norm(c, s.final_norm, x) : x;
}

}  // namespace

at::Tensor plain_logits(const Transformer& model, const Inputs& in) {
  const Config& c = model.config;
  at::Tensor x;
  if (c.kind == Kind::encoder_only)
    x = stack(c, model.encoder, in.tokens, in.lengths, false, {}, {});
  if (c.kind == Kind::decoder_only)
    x = stack(c, model.decoder, in.tokens, in.lengths, c.causal, {}, {});
  if (c.kind == Kind::encoder_decoder)
    x = stack(c, model.decoder, in.tokens, in.lengths, c.causal,
              stack(c, model.encoder, in.source, in.source_lengths, false, {}, {}),
              in.source_lengths);
  return apply(model.output, x);
}

}  // namespace headlight::model::testing
