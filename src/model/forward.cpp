#include "model/forward.h"

#include <ATen/ATen.h>

#include <cmath>

#include "model/activation.h"
#include "model/attention_op.h"
#include "model/dropout.h"
#include "model/generate.h"
#include "model/linear.h"
#include "model/norm.h"
#include "model/random.h"
#include "model/relative_bias.h"
#include "model/rotary.h"
#include "model/stream_start.h"

namespace headlight::model {
namespace {

at::Tensor apply(const Linear& layer, const at::Tensor& x) {
  return linear(x, layer.weight, layer.bias);
}

// Which keys are there: none of both means all.
struct Keys {
  at::Tensor lengths;  // [B]
  at::Tensor allowed;  // [B, S] bool
};

// Padding at the end is a length, which costs attention nothing; padding elsewhere stays a mask.
Keys keys_of(const at::Tensor& lengths, const at::Tensor& mask) {
  if (!mask.defined()) return {lengths, {}};
  const at::Tensor real = mask.ne(0);
  if (real.all().item<bool>()) return {};
  const at::Tensor count = real.sum(1);
  const at::Tensor place = at::arange(real.size(1), count.options());
  if (at::equal(real, place < count.unsqueeze(1))) return {count.contiguous(), {}};
  return {{}, real.contiguous()};
}

// One pass over the model. Dropout sites are numbered in the order in which they are met, so each
// has a seed of its own.
class Passing {
 public:
  Passing(const Transformer& model, const Pass& pass)
      : model_(model), c_(model.config), pass_(pass), past_(past_of(pass)) {}

  at::Tensor run(const Inputs& in, const at::Tensor& rows) {
    rows_ = rows;
    const Keys keys = keys_of(in.lengths, in.mask);
    if (c_.kind != Kind::encoder_decoder) {
      const bool decodes = c_.kind == Kind::decoder_only;
      const Stack& s = decodes ? model_.decoder : model_.encoder;
      return stack(s, start(s, in), keys, decodes && c_.causal, {}, {});
    }
    const Keys source_keys = keys_of(in.source_lengths, in.source_mask);
    at::Tensor memory = pass_.cache ? pass_.cache->memory : at::Tensor();
    if (!memory.defined()) {
      Inputs source;
      source.tokens = in.source;
      source.pixels = in.pixels;
      Cache* const cache = std::exchange(cache_, nullptr);
      const int64_t past = std::exchange(past_, 0);
      const at::Tensor kept_rows = std::exchange(rows_, {});
      memory = stack(model_.encoder, start(model_.encoder, source), source_keys, false, {}, {});
      cache_ = cache, past_ = past, rows_ = kept_rows;
      if (cache_) cache_->memory = memory;
    }
    return stack(model_.decoder, start(model_.decoder, in), keys, c_.causal, memory, source_keys);
  }

 private:
  uint64_t next_seed() { return stream_seed(pass_.dropout_seed, site_++); }
  double rate(double probability) const { return pass_.training ? probability : 0; }

  at::Tensor norm(const NormWeights& weights, const at::Tensor& x) const {
    return normalised(x, weights, c_.norm, c_.norm_epsilon);
  }

  at::Tensor start(const Stack& s, const Inputs& in) {
    const uint64_t seed = next_seed();
    const at::Tensor x = s.patches.weight.defined()
                             ? embedded_image(c_, s, in.pixels)
                             : embedded_tokens(c_, s, in.tokens, in.token_types, past_);
    return dropped(x, rate(c_.embedding_dropout), seed);
  }

  at::Tensor stack(const Stack& s, at::Tensor x, const Keys& keys, bool causal,
                   const at::Tensor& memory, const Keys& memory_keys) {
    if (cache_) cache_->layers.resize(s.blocks.size());
    bias_ = at::Tensor();
    if (s.relative.defined())
      bias_ = relative_bias(s.relative, x.size(1), past_ + x.size(1), past_, !causal,
                            c_.relative_distance);
    capture(s.name, 0, x);
    for (size_t i = 0; i < s.blocks.size(); ++i) {
      const Block& block = s.blocks[i];
      layer_ = static_cast<int64_t>(i);
      const bool last = rows_.defined() && i + 1 == s.blocks.size();
      const at::Tensor beside =
          c_.parallel ? ffn_part(block, norm(block.ffn_norm, last ? kept(x) : x)) : at::Tensor();
      x = joined(x, block.attention_norm, block.attention_post_norm, [&](const at::Tensor& y) {
        return self_part(block.attention, y, causal, keys, s.name, last && !memory.defined());
      });
      if (memory.defined())
        x = joined(x, block.cross_norm, block.cross_post_norm, [&](const at::Tensor& y) {
          return cross_part(block.cross, y, memory, memory_keys, last);
        });
      x = c_.parallel ? x + beside
                      : joined(x, block.ffn_norm, block.ffn_post_norm,
                               [&](const at::Tensor& y) { return ffn_part(block, y); });
      capture(s.name, layer_ + 1, x);
    }
    if (cache_) cache_->length += x.size(1);
    return c_.final_norm ? norm(s.final_norm, x) : x;
  }

  // The stream after one more part of a block; the part sees its normalised input.
  template <typename F>
  at::Tensor joined(const at::Tensor& x, const NormWeights& before, const NormWeights& behind,
                    F part) {
    const uint64_t seed = next_seed();
    const bool post = c_.norm_place == NormPlace::post;
    at::Tensor branch = part(post ? x : norm(before, x));
    if (behind.gain.defined()) branch = norm(behind, branch);
    // A part that keeps some rows only has told so by its shape.
    const at::Tensor stream = branch.dim() == x.dim() ? x : kept(x);
    const at::Tensor sum = add_dropped(stream, branch, rate(c_.dropout), seed);
    return post ? norm(before, sum) : sum;
  }

  at::Tensor kept(const at::Tensor& x) const { return x.flatten(0, 1).index_select(0, rows_); }

  at::Tensor ffn_part(const Block& block, const at::Tensor& x) const {
    if (c_.only_first_attends && x.size(1) > 1)
      return for_first(ffn_part(block, x.narrow(1, 0, 1)), x);
    const at::Tensor up = c_.activation == Activation::relu
                              ? linear(x, block.ffn.up.weight, block.ffn.up.bias, After::relu)
                              : activated(apply(block.ffn.up, x), c_.activation);
    return apply(block.ffn.down, up);
  }

  AttentionSettings settings(const LayerHeads& h, bool causal, const Keys& keys) {
    AttentionSettings s;
    s.heads = h.heads;
    s.kv_heads = h.kv_heads;
    s.causal = causal;
    s.past = causal ? past_ : 0;
    s.window = causal ? h.window : 0;
    s.scale = h.scale;
    s.softcap = c_.score_softcap;
    s.dropout = rate(c_.attention_dropout);
    s.seed = next_seed();
    s.key_lengths = keys.lengths;
    s.key_allowed = keys.allowed;
    return s;
  }

  at::Tensor self_part(const SelfAttention& part, const at::Tensor& x, bool causal,
                       const Keys& keys, const std::string& stack, bool keep_rows) {
    const LayerHeads& h = part.heads;
    AttentionSettings s = settings(h, causal, keys);
    if (h.heads == 0 && c_.only_first_attends)
      return for_first(without_heads(part.out, x.narrow(1, 0, 1), false), x);
    if (h.heads == 0) return without_heads(part.out, x, keep_rows);
    const int64_t inner = h.heads * h.head_dim, inner_kv = h.kv_heads * h.head_dim;
    at::Tensor qkv = apply(part.qkv, x);
    if (part.query_norm.gain.defined()) qkv = with_normal_heads(part, qkv);
    if (c_.position == Position::rotary)
      qkv = turned(qkv, h.heads + h.kv_heads, h.head_dim, angles(h, x));
    if (bias_.defined())
      s.bias = h.numbers.empty()
                   ? bias_
                   : bias_.index_select(0, at::tensor(h.numbers, at::kLong).to(bias_.device()));
    at::Tensor query = qkv.narrow(2, 0, inner);
    if (c_.only_first_attends) query = query.narrow(1, 0, 1);
    at::Tensor key_value = qkv.narrow(2, inner, 2 * inner_kv);
    at::Tensor lse, *const wanted = pass_.capture ? &lse : nullptr;
    if (cache_) key_value = remembered(key_value);
    at::Tensor heads = cache_ || c_.only_first_attends
                           ? cross_attention(query, key_value, s, wanted)
                           : self_attention(qkv, s, wanted);
    capture(stack, h, query, key_value, part.out, s, lse);
    heads = gated(heads, stack, h);
    if (c_.only_first_attends) return for_first(apply(part.out, heads), x);
    return projected(part.out, heads, keep_rows);
  }

  // What the first places get, and the others of x nothing.
  at::Tensor for_first(const at::Tensor& y, const at::Tensor& x) const {
    return at::constant_pad_nd(y, {0, 0, 0, x.size(1) - 1});
  }

  at::Tensor cross_part(const CrossAttention& part, const at::Tensor& x, const at::Tensor& memory,
                        const Keys& keys, bool keep_rows) {
    const LayerHeads& h = part.heads;
    const AttentionSettings s = settings(h, false, keys);
    if (h.heads == 0) return without_heads(part.out, x, keep_rows);
    at::Tensor query = apply(part.query, x);
    at::Tensor key_value =
        cache_ ? cache_->layers[static_cast<size_t>(layer_)].cross : at::Tensor();
    if (!key_value.defined()) key_value = apply(part.key_value, memory);
    if (cache_) cache_->layers[static_cast<size_t>(layer_)].cross = key_value;
    at::Tensor lse;
    // Rows that read one source are queries of one row.
    query = query.view({key_value.size(0), -1, query.size(2)});
    const at::Tensor heads = cross_attention(query, key_value, s, pass_.capture ? &lse : nullptr)
                                 .reshape({x.size(0), x.size(1), -1});
    capture("cross", h, query, key_value, part.out, s, lse);
    return projected(part.out, gated(heads, "cross", h), keep_rows);
  }

  at::Tensor projected(const Linear& out, const at::Tensor& heads, bool keep_rows) const {
    return apply(out, keep_rows ? kept(heads) : heads);
  }

  // What is left of a layer whose heads have all been pruned.
  at::Tensor without_heads(const Linear& out, const at::Tensor& x, bool keep_rows) const {
    const at::Tensor nothing = at::zeros_like(keep_rows ? kept(x) : x);
    return out.bias.defined() ? nothing + out.bias : nothing;
  }

  at::Tensor with_normal_heads(const SelfAttention& part, const at::Tensor& qkv) const {
    const LayerHeads& h = part.heads;
    const auto normal = [&](int64_t first, int64_t count, const NormWeights& weights) {
      const at::Tensor heads =
          qkv.narrow(2, first * h.head_dim, count * h.head_dim).unflatten(2, {count, h.head_dim});
      return normalised(heads, weights, Norm::rms, c_.norm_epsilon).flatten(2);
    };
    return at::cat({normal(0, h.heads, part.query_norm), normal(h.heads, h.kv_heads, part.key_norm),
                    qkv.narrow(2, (h.heads + h.kv_heads) * h.head_dim, h.kv_heads * h.head_dim)},
                   2);
  }

  // Layers that turn alike, and read as many tokens, share their angles.
  const Angles& angles(const LayerHeads& h, const at::Tensor& x) {
    for (const auto& [layer, found] : angles_)
      if (layer.rotary_theta == h.rotary_theta && layer.rotary_scaling == h.rotary_scaling &&
          layer.head_dim == h.head_dim && found.cosines.size(0) == x.size(1))
        return found;
    const int64_t width = c_.rotary_width > 0 ? c_.rotary_width : h.head_dim;
    angles_.emplace_back(h, rotary_angles(past_, x.size(1), width, h, c_.positions,
                                          x.options().requires_grad(false)));
    return angles_.back().second;
  }

  // Appends to the layer's cache; returns everything in it.
  at::Tensor remembered(const at::Tensor& key_value) {
    at::Tensor& all = cache_->layers[static_cast<size_t>(layer_)].key_value;
    const int64_t length = past_ + key_value.size(1);
    if (!all.defined() || all.size(1) < length) {
      at::Tensor larger = at::empty(
          {key_value.size(0), std::max<int64_t>(2 * past_, length + 16), key_value.size(2)},
          key_value.options());
      if (all.defined()) larger.narrow(1, 0, past_).copy_(all.narrow(1, 0, past_));
      all = std::move(larger);
    }
    all.narrow(1, past_, key_value.size(1)).copy_(key_value);
    return all.narrow(1, 0, length);
  }

  at::Tensor gated(const at::Tensor& heads, const std::string& stack, const LayerHeads& h) const {
    if (!pass_.gates) return heads;
    const auto of_layer = [&](const auto& by_stack) {
      const auto found = by_stack.find(stack);
      const auto place = static_cast<size_t>(layer_);
      return found == by_stack.end() || place >= found->second.size() ? at::Tensor()
                                                                      : found->second[place];
    };
    const at::Tensor gate = of_layer(pass_.gates->factors), mean = of_layer(pass_.gates->means);
    if (!gate.defined()) return heads;
    const at::Tensor factor =
        gate.dim() == 1 ? gate.view({h.heads, 1}) : gate.view({gate.size(0), 1, h.heads, 1});
    at::Tensor slices = heads.unflatten(2, {h.heads, h.head_dim}) * factor;
    if (mean.defined()) slices = slices + (1 - factor) * mean;
    return slices.flatten(2);
  }

  void capture(const std::string& stack, const LayerHeads& h, const at::Tensor& query,
               const at::Tensor& key_value, const Linear& out, const AttentionSettings& s,
               const at::Tensor& lse) const {
    if (!pass_.capture) return;
    const int64_t d = h.head_dim, inner_kv = h.kv_heads * d;
    const auto split = [d](const at::Tensor& packed, int64_t heads) {
      return packed.detach().unflatten(2, {heads, d}).transpose(1, 2).contiguous();
    };
    Capture::Layer layer;
    layer.stack = stack;
    layer.layer = layer_;
    layer.q = split(query, h.heads);
    layer.k = split(key_value.narrow(2, 0, inner_kv), h.kv_heads);
    layer.v = split(key_value.narrow(2, inner_kv, inner_kv), h.kv_heads);
    layer.w_o = out.weight.detach().t().unflatten(0, {h.heads, d}).contiguous();
    layer.lse = lse;
    layer.causal = s.causal;
    layer.past = s.past;
    layer.window = s.window;
    layer.scale = s.scale;
    layer.softcap = s.softcap;
    layer.key_lengths = s.key_lengths;
    layer.key_allowed = s.key_allowed;
    layer.bias = s.bias.defined() ? s.bias.detach() : s.bias;
    layer.numbers = h.numbers;
    if (pass_.capture->on_layer)
      pass_.capture->on_layer(std::move(layer));
    else
      pass_.capture->layers.push_back(std::move(layer));
  }

  void capture(const std::string& stack, int64_t layer, const at::Tensor& x) const {
    if (!pass_.capture) return;
    if (pass_.capture->on_hidden)
      pass_.capture->on_hidden(stack, layer, x.detach());
    else
      pass_.capture->hidden.push_back(x.detach());
  }

  const Transformer& model_;
  const Config& c_;
  const Pass& pass_;
  Cache* cache_ = pass_.cache;
  int64_t past_ = 0;
  uint64_t site_ = 0;
  int64_t layer_ = 0;
  at::Tensor rows_;  // the only ones needed behind the last attention
  at::Tensor bias_;  // of the stack's scores, by distance
  std::vector<std::pair<LayerHeads, Angles>> angles_;
};

}  // namespace

at::Tensor forward(const Transformer& model, const Inputs& inputs, const Pass& pass,
                   const at::Tensor& rows) {
  return Passing(model, pass).run(inputs, rows);
}

int64_t past_of(const Pass& pass) { return pass.cache ? pass.cache->length : 0; }

}  // namespace headlight::model
