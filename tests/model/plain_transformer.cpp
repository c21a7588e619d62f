#include "plain_transformer.h"

#include <ATen/ATen.h>

#include <cmath>

#include "compare.h"
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

at::Tensor gelu_tanh(const at::Tensor& x) {
  return 0.5 * x * (1 + at::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

at::Tensor activated(Activation activation, const at::Tensor& x) {
  const int64_t half = x.size(-1) / 2;
  const auto gate = [&] { return x.narrow(-1, 0, half); };
  const auto up = [&] { return x.narrow(-1, half, half); };
  switch (activation) {
    case Activation::relu:
      return x.clamp_min(0);
    case Activation::gelu:
      return 0.5 * x * (1 + at::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return gelu_tanh(x);
    case Activation::silu:
      return x * at::sigmoid(x);
    case Activation::swiglu:
      return gate() * at::sigmoid(gate()) * up();
    case Activation::reglu:
      return gate().clamp_min(0) * up();
    case Activation::geglu:
      return 0.5 * gate() * (1 + at::erf(gate() / std::sqrt(2.0))) * up();
    case Activation::geglu_tanh:
      return gelu_tanh(gate()) * up();
    case Activation::quick_gelu:
      return x * at::sigmoid(1.702 * x);
    case Activation::tanh:
      return at::tanh(x);
  }
  return {};
}

int64_t bucket(int64_t offset, bool sided, int64_t buckets, int64_t longest) {
  if (sided) buckets /= 2;
  const int64_t side = sided && offset > 0 ? buckets : 0, exact = buckets / 2;
  const int64_t distance = sided ? std::abs(offset) : std::max<int64_t>(0, -offset);
  if (distance < exact) return side + distance;
  const float grown = std::log(static_cast<float>(distance) / static_cast<float>(exact)) /
                      static_cast<float>(std::log(static_cast<double>(longest) / exact)) *
                      static_cast<float>(buckets - exact);
  return side + std::min(buckets - 1, exact + static_cast<int64_t>(grown));
}

struct Keys {
  at::Tensor lengths, mask;
};

// visible [B, 1, N, S] from rules written down one by one.
at::Tensor visible(int64_t batch, int64_t queries, int64_t keys, bool causal, int64_t window,
                   const Keys& given) {
  at::Tensor all = at::ones({batch, 1, queries, keys}, at::kBool);
  auto cell = all.accessor<bool, 4>();
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < queries; ++i)
      for (int64_t j = 0; j < keys; ++j) {
        if (causal && j > i) cell[b][0][i][j] = false;
        if (causal && window > 0 && j + window <= i) cell[b][0][i][j] = false;
        if (given.lengths.defined() && j >= given.lengths[b].item<int64_t>())
          cell[b][0][i][j] = false;
        if (given.mask.defined() && given.mask[b][j].item<int64_t>() == 0) cell[b][0][i][j] = false;
      }
  return all;
}

at::Tensor attend(const Config& c, const LayerHeads& h, at::Tensor q, at::Tensor k, at::Tensor v,
                  const SelfAttention* self, bool causal, const Keys& keys,
                  const at::Tensor& relative) {
  const int64_t queries = q.size(1), all = k.size(1);
  q = q.unflatten(2, {h.heads, h.head_dim});
  k = k.unflatten(2, {h.kv_heads, h.head_dim});
  v = v.unflatten(2, {h.kv_heads, h.head_dim}).transpose(1, 2);
  if (self && c.query_key_norm) {
    q = plain::normalised(q, self->query_norm, Norm::rms, c.norm_epsilon);
    k = plain::normalised(k, self->key_norm, Norm::rms, c.norm_epsilon);
  }
  if (self && c.position == Position::rotary) {
    const int64_t width = c.rotary_width > 0 ? c.rotary_width : h.head_dim;
    const Angles a =
        rotary_angles(queries, width, h.rotary_theta, q.options().requires_grad(false));
    const auto turn = [&](const at::Tensor& x) {
      return at::cat({plain::turned(x.narrow(3, 0, width), a.cosines, a.sines),
                      x.narrow(3, width, h.head_dim - width)},
                     3);
    };
    q = turn(q);
    k = turn(k);
  }
  const int64_t group = h.heads / h.kv_heads;
  k = k.transpose(1, 2).repeat_interleave(group, 1);
  at::Tensor scores = at::matmul(q.transpose(1, 2), k.transpose(2, 3)) * h.scale;
  if (c.score_softcap > 0) scores = c.score_softcap * at::tanh(scores / c.score_softcap);
  if (self && relative.defined()) {
    at::Tensor index = at::empty({queries, all}, at::kLong);
    for (int64_t i = 0; i < queries; ++i)
      for (int64_t j = 0; j < all; ++j)
        index[i][j] = bucket(j - i, !causal, c.relative_buckets, c.relative_distance);
    at::Tensor bias = at::embedding(relative, index).permute({2, 0, 1});
    if (!h.numbers.empty()) bias = bias.index_select(0, at::tensor(h.numbers));
    scores = scores + bias.unsqueeze(0);
  }
  const at::Tensor hidden = visible(q.size(0), queries, all, causal, h.window, keys).logical_not();
  const at::Tensor weights = at::softmax(scores.masked_fill(hidden, -1e30), -1);
  return at::matmul(weights.masked_fill(hidden, 0), v.repeat_interleave(group, 1))
      .transpose(1, 2)
      .flatten(2);
}

at::Tensor start(const Config& c, const Stack& s, const at::Tensor& tokens,
                 const at::Tensor& types) {
  at::Tensor x = at::embedding(s.tokens, tokens) * c.embedding_scale;
  if (c.sentence_tokens > 0) {
    const at::Tensor words = x;
    x = at::zeros_like(words.select(2, 0));
    for (int64_t w = 0; w < c.sentence_tokens; ++w)
      x = x + (words.select(2, w) * s.sentence_mask[w])
                  .masked_fill(tokens.select(2, w).eq(0).unsqueeze(2), 0);
  }
  if (s.positions.defined()) {
    at::Tensor place =
        at::arange(tokens.size(1)).expand({tokens.size(0), tokens.size(1)}) + c.position_offset;
    if (c.padding_token >= 0) {
      place = at::empty_like(tokens);
      for (int64_t b = 0; b < tokens.size(0); ++b)
        for (int64_t i = 0, seen = 0; i < tokens.size(1); ++i) {
          const bool padding = tokens[b][i].item<int64_t>() == c.padding_token;
          place[b][i] = c.padding_token + (padding ? 0 : ++seen);
        }
    }
    x = x + at::embedding(s.positions, place);
  }
  if (s.token_types.defined())
    x = x + at::embedding(s.token_types, types.defined() ? types : at::zeros_like(tokens));
  return c.embedding_norm ? norm(c, s.embedding_norm, x) : x;
}

// Patches as a convolution whose kernels do not overlap.
at::Tensor image_start(const Config& c, const Stack& s, const at::Tensor& pixels) {
  const at::Tensor kernels = s.patches.weight.view({c.dim, c.channels, c.patch, c.patch});
  const at::Tensor patches =
      at::conv2d(pixels, kernels, s.patches.bias, c.patch).flatten(2).transpose(1, 2);
  at::Tensor x = at::cat({s.class_token.expand({pixels.size(0), 1, c.dim}), patches}, 1);
  if (s.positions.defined()) x = x + s.positions;
  return c.embedding_norm ? norm(c, s.embedding_norm, x) : x;
}

at::Tensor stack(const Config& c, const Stack& s, at::Tensor x, const Keys& keys, bool causal,
                 const at::Tensor& memory, const Keys& memory_keys) {
  const bool post = c.norm_place == NormPlace::post, both = c.norm_place == NormPlace::both;
  const auto joined = [&](const NormWeights& before, const NormWeights& behind, auto part) {
    at::Tensor y = part(post ? x : norm(c, before, x));
    if (both) y = norm(c, behind, y);
    if (c.only_first_attends) y = y * at::arange(y.size(1)).eq(0).unsqueeze(1);
    x = post ? norm(c, before, x + y) : x + y;
  };
  for (const Block& b : s.blocks) {
    const LayerHeads& h = b.attention.heads;
    const int64_t inner = h.heads * h.head_dim, inner_kv = h.kv_heads * h.head_dim;
    const auto feed_forward = [&](const at::Tensor& y) {
      return apply(b.ffn.down, activated(c.activation, apply(b.ffn.up, y)));
    };
    const at::Tensor beside = c.parallel ? feed_forward(norm(c, b.ffn_norm, x)) : at::Tensor();
    joined(b.attention_norm, b.attention_post_norm, [&](const at::Tensor& y) {
      if (h.heads == 0)
        return b.attention.out.bias.defined() ? at::zeros_like(x) + b.attention.out.bias
                                              : at::zeros_like(x);
      const at::Tensor qkv = apply(b.attention.qkv, y);
      return apply(b.attention.out,
                   attend(c, h, qkv.narrow(2, 0, inner), qkv.narrow(2, inner, inner_kv),
                          qkv.narrow(2, inner + inner_kv, inner_kv), &b.attention, causal, keys,
                          s.relative));
    });
    if (memory.defined())
      joined(b.cross_norm, b.cross_post_norm, [&](const at::Tensor& y) {
        const LayerHeads& across = b.cross.heads;
        const int64_t width = across.kv_heads * across.head_dim;
        const at::Tensor kv = apply(b.cross.key_value, memory);
        return apply(b.cross.out,
                     attend(c, across, apply(b.cross.query, y), kv.narrow(2, 0, width),
                            kv.narrow(2, width, width), nullptr, false, memory_keys, {}));
      });
    if (c.parallel)
      x = x + beside;
    else
      joined(b.ffn_norm, b.ffn_post_norm, feed_forward);
  }
  return c.final_norm ? norm(c, s.final_norm, x) : x;
}

}  // namespace

at::Tensor plain_logits(const Transformer& model, const Inputs& in) {
  const Config& c = model.config;
  const Keys keys = {in.lengths, in.mask}, source_keys = {in.source_lengths, in.source_mask};
  at::Tensor x;
  if (c.kind == Kind::encoder_only)
    x = stack(c, model.encoder, start(c, model.encoder, in.tokens, in.token_types), keys, false, {},
              {});
  if (c.kind == Kind::decoder_only)
    x = stack(c, model.decoder, start(c, model.decoder, in.tokens, in.token_types), keys, c.causal,
              {}, {});
  if (c.kind == Kind::encoder_decoder) {
    const at::Tensor source = c.patch > 0 ? image_start(c, model.encoder, in.pixels)
                                          : start(c, model.encoder, in.source, {});
    x = stack(c, model.decoder, start(c, model.decoder, in.tokens, in.token_types), keys, c.causal,
              stack(c, model.encoder, source, source_keys, false, {}, {}), source_keys);
  }
  if (c.transform) {
    x = activated(c.transform_activation, apply(model.transform, x));
    if (c.transform_norm) x = norm(c, model.transform_norm, x);
  }
  x = apply(model.output, x * c.output_scale);
  return c.output_softcap > 0 ? c.output_softcap * at::tanh(x / c.output_softcap) : x;
}

void expect_the_plain_one(const Transformer& model, const Inputs& inputs, const at::Tensor& labels,
                          std::vector<at::Tensor> others) {
  int64_t count = 0;
  for (const NamedTensor& p : parameters(model)) {
    others.push_back(p.tensor);
    count += p.tensor.numel();
  }
  EXPECT_EQ(count, parameter_count(model.config));
  const at::Tensor expected = plain_logits(model, inputs);
  expect_close(logits(model, inputs), expected, 1e-10);
  const auto of_plain =
      gradients_of(at::cross_entropy_loss(expected.flatten(0, 1), labels.flatten()), others);
  const auto of_fused = gradients_of(loss(model, inputs, labels), others);
  for (size_t i = 0; i < others.size(); ++i) expect_close(of_fused[i], of_plain[i], 1e-9);
}

}  // namespace headlight::model::testing
