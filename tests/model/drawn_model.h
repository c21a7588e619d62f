// Models with options drawn at random, in double precision, and something for them to read.
#pragma once

#include <ATen/ATen.h>

#include <random>

#include "model/transformer.h"

namespace headlight::model::testing {

class Drawing {
 public:
  explicit Drawing(unsigned seed) : random_(seed) {}
  int64_t below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random_); }
  bool coin() { return below(2) == 1; }

  Config config() {
    Config c;
    c.kind = static_cast<Kind>(below(3));
    const bool both = c.kind == Kind::encoder_decoder;
    c.vocabulary = 9 + below(9);
    c.dim = 8 * (1 + below(2));
    c.layers = 1 + below(2);
    c.heads = 4;
    c.kv_heads = coin() ? 4 : 2;
    c.head_dim = 4 + 2 * below(2);
    c.ffn = 5 + below(9);
    c.positions = 12;
    c.norm = static_cast<Norm>(below(2));
    c.parallel = below(4) == 0;
    c.norm_place = c.parallel ? NormPlace::pre : static_cast<NormPlace>(below(3));
    c.norm_epsilon = 1e-5;
    c.final_norm = coin();
    c.activation = static_cast<Activation>(below(10));
    c.position = static_cast<Position>(below(6));
    c.query_key_norm = coin();
    c.qkv_bias = coin();
    c.attention_out_bias = coin();
    c.ffn_bias = coin();
    c.score_softcap = coin() ? 2.5 : 0;
    c.rotary_width = c.position == Position::rotary && coin() ? 2 : 0;
    c.relative_buckets = 8;
    c.relative_distance = 9;
    c.position_offset = c.position == Position::learned && coin() ? 2 : 0;
    if (c.position == Position::learned && below(3) == 0) {
      c.padding_token = 1;
      c.position_offset = 0;
    }
    c.token_types = both ? 0 : below(3);
    if (c.kind == Kind::encoder_only && c.padding_token < 0 && coin()) {
      c.sentence_tokens = 1 + below(4);
      c.token_types = 0;
    }
    c.embedding_scale = coin() ? 2 : 1;
    c.embedding_norm = coin();
    c.shared_tokens = both && coin();
    c.tied = coin() && c.sentence_tokens == 0;
    c.transform = coin();
    c.transform_norm = coin();
    c.transform_activation = coin() ? Activation::tanh : Activation::gelu;
    c.output_scale = coin() ? 0.5 : 1;
    c.output_softcap = coin() ? 3 : 0;
    c.shared_layers = below(4) == 0;
    if (!c.shared_layers && coin()) {
      const auto layers = [&](int64_t count) {
        std::vector<LayerHeads> all;
        for (int64_t i = 0; i < count; ++i) {
          LayerHeads h;
          h.kv_heads = 1 + below(2);
          h.heads = h.kv_heads * (1 + below(2));
          h.head_dim = 4;
          h.scale = coin() ? 0.7 : 0;
          h.window = coin() ? 3 : 0;
          h.rotary_theta = coin() ? 100 : 10000;
          for (int64_t head = 0; head < h.heads; ++head) h.numbers.push_back((head + 1) % 4);
          all.push_back(h);
        }
        return all;
      };
      if (c.kind != Kind::decoder_only) c.encoder_attention = layers(c.layers);
      if (c.kind != Kind::encoder_only) c.decoder_attention = layers(c.layers);
      if (both) c.cross_attention = layers(c.layers);
    }
    return c;
  }

 private:
  std::mt19937 random_;
};

inline Inputs random_inputs(const Config& c, int64_t batch, int64_t length) {
  Inputs in;
  in.tokens = c.sentence_tokens > 0
                  ? at::randint(c.vocabulary, {batch, length, c.sentence_tokens}, at::kLong)
                  : at::randint(c.vocabulary, {batch, length}, at::kLong);
  if (c.token_types > 0) in.token_types = at::randint(c.token_types, {batch, length}, at::kLong);
  if (c.kind == Kind::encoder_decoder)
    in.source = at::randint(c.vocabulary, {batch, length + 2}, at::kLong);
  return in;
}

inline Transformer exact(const Config& c, uint64_t seed) {
  return copy_of(initialised(c, seed), at::kDouble, "cpu");
}

}  // namespace headlight::model::testing
