#include "model/config.h"

#include <fmt/format.h>

#include <cmath>

#include "headlight/error.h"

namespace headlight::model {
namespace {

[[noreturn]] void refuse_config(const std::string& message) {
  throw Error(ErrorKind::usage, message);
}

void need_positive(int64_t value, const char* name) {
  if (value <= 0) refuse_config(fmt::format("{} is {}; it must be at least 1", name, value));
}

void need_probability(double value, const char* name) {
  if (!(value >= 0 && value < 1))
    refuse_config(fmt::format("{} is {}; it must be at least 0 and below 1", name, value));
}

std::string divisors(int64_t number) {
  std::string names;
  for (int64_t d = 1; d <= number; ++d)
    if (number % d == 0) names += fmt::format("{}{}", names.empty() ? "" : ", ", d);
  return names;
}

int64_t position_rows(const Config& c, bool image) {
  if (image) return image_places(c);
  return c.positions + c.position_offset + (c.padding_token >= 0 ? c.padding_token + 1 : 0);
}

// Sizes beyond this are mistakes; products of a few of them still fit into 64 bits.
constexpr int64_t kLargest = int64_t{1} << 24;

void need_reasonable(int64_t value, const char* name) {
  need_positive(value, name);
  if (value > kLargest)
    refuse_config(fmt::format("{} is {}; the largest supported is {}", name, value, kLargest));
}

// In int64_t exactly, in double to see whether that would overflow.
template <typename T>
T count_of(const Config& c) {
  const T dim = c.dim, gates = is_gated(c.activation) ? 2 : 1;
  const T norm = dim * (c.norm == Norm::layer && c.norm_bias ? 2 : 1);
  const T norms = c.norm_place == NormPlace::both ? 2 * norm : norm;
  const auto attention = [&](Part part, int64_t layer) {
    const LayerHeads h = layer_heads(c, part, layer);
    const T inner = T(h.heads) * h.head_dim, inner_kv = T(h.kv_heads) * h.head_dim;
    const T qk_norm = c.query_key_norm && part != Part::cross ? 2 * h.head_dim : 0;
    return dim * (2 * inner + 2 * inner_kv) + (c.qkv_bias ? inner + 2 * inner_kv : 0) +
           (c.attention_out_bias ? dim : 0) + qk_norm + norms;
  };
  // How many layers have weights of their own.
  const auto own = [&](int64_t layers) {
    return c.shared_layers ? std::min<int64_t>(layers, 1) : layers;
  };
  const auto all_attention = [&](Part part, int64_t layers) {
    if (c.attention_of(part).empty()) return T(own(layers)) * attention(part, 0);
    T count = 0;
    for (int64_t i = 0; i < layers; ++i) count += attention(part, i);
    return count;
  };
  const auto feed_forward = [&](T ffn) {
    return (gates + 1) * dim * ffn + (c.ffn_bias ? gates * ffn + dim : 0) + norms;
  };
  const auto stack = [&](Part part, int64_t layers, T vocabulary, T ffn) {
    const bool image = part == Part::encoder && c.patch > 0;
    T count = vocabulary * dim + (c.final_norm ? norm : 0);
    if (c.position == Position::learned) count += T(position_rows(c, image)) * dim;
    if (c.position == Position::relative) count += T(c.relative_buckets) * c.heads;
    if (image) count += T(c.channels) * c.patch * c.patch * dim + 2 * dim;
    if (c.embedding_norm) count += norm;
    return count + all_attention(part, layers) + T(own(layers)) * feed_forward(ffn) +
           T(c.token_types + c.sentence_tokens) * dim;
  };
  const bool both = c.kind == Kind::encoder_decoder;
  T count = 0;
  if (c.kind != Kind::decoder_only)
    count += stack(Part::encoder, c.layers, both ? c.source_vocabulary : c.vocabulary, c.ffn);
  if (c.kind != Kind::encoder_only)
    count += stack(Part::decoder, both ? c.decoder_layers : c.layers,
                   both && c.shared_tokens ? 0 : c.vocabulary, both ? c.decoder_ffn : c.ffn);
  if (both) count += all_attention(Part::cross, c.decoder_layers);
  if (c.transform) count += dim * dim + dim + (c.transform_norm ? norm : 0);
  if (!c.output) return count;
  return count + (c.tied ? 0 : c.classes * dim) + (c.output_bias ? c.classes : 0);
}

void check_layers(const Config& c, const std::vector<LayerHeads>& all, int64_t layers,
                  const char* name) {
  if (all.empty()) return;
  if (static_cast<int64_t>(all.size()) != layers)
    refuse_config(fmt::format("{} describes {} layers of {}", name, all.size(), layers));
  for (size_t i = 0; i < all.size(); ++i) {
    const LayerHeads& h = all[i];
    const auto no = [&](const std::string& what) {
      refuse_config(fmt::format("{}, layer {}: {}", name, i, what));
    };
    if (h.heads < 0 || h.heads > kLargest || h.kv_heads < 0 || h.kv_heads > h.heads ||
        (h.heads > 0 && (h.kv_heads == 0 || h.heads % h.kv_heads != 0)))
      no(fmt::format("{} key-value heads do not divide {} heads evenly", h.kv_heads, h.heads));
    if (h.head_dim < 1 || h.head_dim > kLargest)
      no(fmt::format("head_dim is {}; it must be at least 1", h.head_dim));
    if (h.window < 0) no(fmt::format("window is {}; 0 means none", h.window));
    if (!std::isfinite(h.scale)) no("scale is not finite");
    if (!(h.rotary_theta > 0 && std::isfinite(h.rotary_theta)))
      no(fmt::format("rotary_theta is {}; it must be positive", h.rotary_theta));
    if (!h.numbers.empty() && static_cast<int64_t>(h.numbers.size()) != h.heads)
      no(fmt::format("{} numbers are given for {} heads", h.numbers.size(), h.heads));
    for (const int64_t number : h.numbers)
      if (number < 0 || number >= kLargest ||
          (c.position == Position::relative && number >= c.heads))
        no(fmt::format("there is no head {}", number));
    if (c.position == Position::rotary && c.rotary_width > h.head_dim)
      no(fmt::format("rotary_width is {}, more than head_dim {}", c.rotary_width, h.head_dim));
  }
}

void check_extras(const Config& c) {
  const auto positive = [](double value, const char* name) {
    if (!(value > 0 && std::isfinite(value)))
      refuse_config(fmt::format("{} is {}; it must be positive", name, value));
  };
  const auto not_negative = [](double value, const char* name) {
    if (!(value >= 0 && value <= static_cast<double>(kLargest)))
      refuse_config(fmt::format("{} is {}; it must be at least 0 and reasonable", name, value));
  };
  positive(c.embedding_scale, "embedding_scale");
  positive(c.output_scale, "output_scale");
  not_negative(c.score_softcap, "score_softcap");
  not_negative(c.output_softcap, "output_softcap");
  not_negative(static_cast<double>(c.token_types), "token_types");
  not_negative(static_cast<double>(c.sentence_tokens), "sentence_tokens");
  not_negative(static_cast<double>(c.position_offset), "position_offset");
  not_negative(static_cast<double>(c.rotary_width), "rotary_width");
  not_negative(static_cast<double>(c.padding_token + 1), "padding_token");
  if (c.sentence_tokens > 0 && (c.kind != Kind::encoder_only || c.patch > 0 || c.tied ||
                                c.token_types > 0 || c.padding_token >= 0))
    refuse_config(
        "places of several tokens are read by an encoder_only without patches, tied output, "
        "token_types and padding_token");
  if (c.only_first_attends &&
      (c.kind != Kind::encoder_only || c.output_place != OutputPlace::first || c.parallel ||
       c.norm_place != NormPlace::pre || c.position == Position::relative))
    refuse_config(
        "only_first_attends is for an encoder_only whose output reads the first place, with its "
        "norms before the parts, one after the other, and positions that are not relative");
  if (c.shared_layers &&
      !(c.encoder_attention.empty() && c.decoder_attention.empty() && c.cross_attention.empty()))
    refuse_config("layers that share their weights (shared_layers) cannot have heads of their own");
  if (c.rotary_width % 2 != 0)
    refuse_config(fmt::format("rotary_width is {}, not even", c.rotary_width));
  if (c.position != Position::learned && (c.position_offset > 0 || c.padding_token >= 0))
    refuse_config("position_offset and padding_token are for learned positions");
  if (c.position == Position::relative) {
    need_reasonable(c.relative_buckets, "relative_buckets");
    need_reasonable(c.relative_distance, "relative_distance");
    // Half of the buckets are exact; the encoder has a set for each side.
    if (c.relative_buckets < 4 || c.relative_distance <= c.relative_buckets / 2)
      refuse_config(
          fmt::format("{} buckets up to distance {}: there must be at least 4, and the distance "
                      "more than half of them",
                      c.relative_buckets, c.relative_distance));
  }
  if (c.patch > 0) {
    for (const int64_t size : {c.channels, c.image_height, c.image_width})
      need_reasonable(size, "channels, image_height or image_width");
    if (c.image_height % c.patch != 0 || c.image_width % c.patch != 0)
      refuse_config(fmt::format("patches of {} pixels do not divide an image of {} by {} evenly",
                                c.patch, c.image_height, c.image_width));
    if (c.kind == Kind::decoder_only)
      refuse_config("patches are read by an encoder: kind must be encoder_only or encoder_decoder");
    if (c.source_vocabulary > 0 || c.shared_tokens || c.token_types > 0)
      refuse_config(
          "an encoder of images has no tokens: leave source_vocabulary, shared_tokens and "
          "token_types away");
    if (c.kind == Kind::encoder_only && c.positions != image_places(c))
      refuse_config(fmt::format("positions is {}, but the patches and the class token are {}",
                                c.positions, image_places(c)));
  }
  const bool both = c.kind == Kind::encoder_decoder;
  check_layers(c, c.encoder_attention, c.kind == Kind::decoder_only ? 0 : c.layers,
               "encoder_attention");
  check_layers(c, c.decoder_attention,
               both ? c.decoder_layers : (c.kind == Kind::decoder_only ? c.layers : 0),
               "decoder_attention");
  check_layers(c, c.cross_attention, both ? c.decoder_layers : 0, "cross_attention");
}

}  // namespace

bool is_gated(Activation activation) {
  return activation == Activation::swiglu || activation == Activation::reglu ||
         activation == Activation::geglu || activation == Activation::geglu_tanh;
}

const std::vector<LayerHeads>& Config::attention_of(Part part) const {
  return part == Part::encoder   ? encoder_attention
         : part == Part::decoder ? decoder_attention
                                 : cross_attention;
}

LayerHeads layer_heads(const Config& c, Part part, int64_t layer) {
  const std::vector<LayerHeads>& own = c.attention_of(part);
  LayerHeads heads;
  if (own.empty()) {
    heads.heads = c.heads;
    heads.kv_heads = c.kv_heads;
    heads.head_dim = c.head_dim;
    heads.rotary_theta = c.rotary_theta;
  } else {
    heads = own.at(static_cast<size_t>(layer));
  }
  if (heads.scale == 0) heads.scale = 1 / std::sqrt(static_cast<double>(heads.head_dim));
  return heads;
}

int64_t image_places(const Config& c) {
  return c.patch > 0 ? 1 + (c.image_height / c.patch) * (c.image_width / c.patch) : 0;
}

Config completed(Config c) {
  const bool both = c.kind == Kind::encoder_decoder;
  if (c.patch == 0 || both) need_reasonable(c.vocabulary, "vocabulary");
  const bool source_tokens = both && c.patch == 0;
  if (c.source_vocabulary == 0 && source_tokens) c.source_vocabulary = c.vocabulary;
  if (source_tokens) need_reasonable(c.source_vocabulary, "source_vocabulary");
  if (!both && c.source_vocabulary != 0)
    refuse_config("source_vocabulary is for encoder_decoder models only; leave it at 0");
  if (c.classes == 0) c.classes = c.vocabulary;
  if (c.output) need_reasonable(c.classes, "classes");
  need_reasonable(c.dim, "dim");
  need_reasonable(c.layers, "layers");
  if (!both && c.decoder_layers != 0)
    refuse_config(
        "decoder_layers is for encoder_decoder models only; leave it at 0 and set layers");
  if (both && c.decoder_layers == 0) c.decoder_layers = c.layers;
  if (both) need_reasonable(c.decoder_layers, "decoder_layers");
  need_reasonable(c.heads, "heads");
  if (c.head_dim == 0) {
    if (c.dim % c.heads != 0)
      refuse_config(fmt::format("{} heads do not divide dim {} evenly; heads can be {}", c.heads,
                                c.dim, divisors(c.dim)));
    c.head_dim = c.dim / c.heads;
  }
  need_reasonable(c.head_dim, "head_dim");
  if (c.kv_heads == 0) c.kv_heads = c.heads;
  need_reasonable(c.kv_heads, "kv_heads");
  if (c.heads % c.kv_heads != 0)
    refuse_config(
        fmt::format("{} key-value heads do not divide {} heads evenly; kv_heads can be {}",
                    c.kv_heads, c.heads, divisors(c.heads)));
  need_reasonable(c.ffn, "ffn");
  if (both && c.decoder_ffn == 0) c.decoder_ffn = c.ffn;
  if (both) need_reasonable(c.decoder_ffn, "decoder_ffn");
  if (!c.linear_bias) c.qkv_bias = c.attention_out_bias = c.ffn_bias = false;
  need_reasonable(c.positions, "positions");
  if (c.position == Position::rotary && c.rotary_width == 0 && c.head_dim % 2 != 0)
    refuse_config(
        fmt::format("rotary positions need an even head_dim, and it is {}; choose other heads or "
                    "another position",
                    c.head_dim));
  if (c.position == Position::rotary && !(c.rotary_theta > 0 && std::isfinite(c.rotary_theta)))
    refuse_config(fmt::format("rotary_theta is {}; it must be positive", c.rotary_theta));
  if (!(c.norm_epsilon >= 0 && std::isfinite(c.norm_epsilon)))
    refuse_config(fmt::format("norm_epsilon is {}; it must not be negative", c.norm_epsilon));
  need_probability(c.dropout, "dropout");
  need_probability(c.attention_dropout, "attention_dropout");
  need_probability(c.embedding_dropout, "embedding_dropout");
  check_extras(c);
  if (c.output && c.tied && c.classes != c.vocabulary)
    refuse_config(
        fmt::format("a tied output has one class per token: classes is {} and vocabulary {}; "
                    "make them equal or set tied to false",
                    c.classes, c.vocabulary));
  if (const double count = count_of<double>(c); count > 1e12)
    refuse_config(
        fmt::format("these sizes make {:.0f} parameters; at most 10^12 are supported", count));
  return c;
}

int64_t parameter_count(const Config& config) { return count_of<int64_t>(completed(config)); }

}  // namespace headlight::model
