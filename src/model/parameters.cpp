// The tensors of a Transformer: their shapes, names and first numbers.
#include "model/parameters.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>

#include "model/random.h"
#include "model/transformer.h"

namespace headlight::model {
namespace {

Linear linear_of(int64_t in, int64_t out, bool bias) {
  return {at::empty({out, in}), bias ? at::empty({out}) : at::Tensor()};
}

NormWeights norm_of(const Config& c) {
  return {at::ones({c.dim}),
          c.norm == Norm::layer && c.norm_bias ? at::zeros({c.dim}) : at::Tensor()};
}

Block block_of(const Config& c, Part part, int64_t layer, int64_t ffn) {
  const bool post = c.norm_place == NormPlace::both;
  Block block;
  LayerHeads h = block.attention.heads = layer_heads(c, part, layer);
  block.attention_norm = norm_of(c);
  block.attention.qkv = linear_of(c.dim, (h.heads + 2 * h.kv_heads) * h.head_dim, c.qkv_bias);
  if (c.query_key_norm) {
    block.attention.query_norm.gain = at::ones({h.head_dim});
    block.attention.key_norm.gain = at::ones({h.head_dim});
  }
  block.attention.out = linear_of(h.heads * h.head_dim, c.dim, c.attention_out_bias);
  if (post) block.attention_post_norm = norm_of(c);
  if (part == Part::decoder && c.kind == Kind::encoder_decoder) {
    h = block.cross.heads = layer_heads(c, Part::cross, layer);
    block.cross_norm = norm_of(c);
    block.cross.query = linear_of(c.dim, h.heads * h.head_dim, c.qkv_bias);
    block.cross.key_value = linear_of(c.dim, 2 * h.kv_heads * h.head_dim, c.qkv_bias);
    block.cross.out = linear_of(h.heads * h.head_dim, c.dim, c.attention_out_bias);
    if (post) block.cross_post_norm = norm_of(c);
  }
  block.ffn_norm = norm_of(c);
  block.ffn.up = linear_of(c.dim, (is_gated(c.activation) ? 2 : 1) * ffn, c.ffn_bias);
  block.ffn.down = linear_of(ffn, c.dim, c.ffn_bias);
  if (post) block.ffn_post_norm = norm_of(c);
  return block;
}

// Vaswani et al. 2017, section 3.5.
at::Tensor sinusoids(int64_t places, int64_t dim, bool halves) {
  const auto exact = at::TensorOptions(at::kDouble);
  const at::Tensor pair = at::arange((dim + 1) / 2, exact);
  const at::Tensor speed = at::exp(pair * (-2 * std::log(10000.0) / static_cast<double>(dim)));
  const at::Tensor angle = at::arange(places, exact).unsqueeze(1) * speed;
  const at::Tensor all = halves ? at::cat({angle.sin(), angle.cos()}, 1)
                                : at::stack({angle.sin(), angle.cos()}, 2).flatten(1);
  return all.narrow(1, 0, dim).to(at::kFloat).contiguous();
}

Stack stack_of(const Config& c, Part part, int64_t vocabulary, int64_t layers, int64_t ffn) {
  Stack stack;
  stack.name = c.kind != Kind::encoder_decoder ? "self"
               : part == Part::encoder         ? "encoder"
                                               : "decoder";
  const bool image = part == Part::encoder && c.patch > 0;
  if (image) {
    stack.patches = linear_of(c.channels * c.patch * c.patch, c.dim, true);
    stack.class_token = at::empty({c.dim});
  } else {
    stack.tokens = at::empty({vocabulary, c.dim});
  }
  if (c.position == Position::learned) {
    const int64_t before = c.position_offset + (c.padding_token >= 0 ? c.padding_token + 1 : 0);
    stack.positions = at::empty({image ? image_places(c) : before + c.positions, c.dim});
  }
  if (c.position == Position::sinusoidal || c.position == Position::sinusoidal_halves)
    stack.positions = sinusoids(image ? image_places(c) : c.positions, c.dim,
                                c.position == Position::sinusoidal_halves);
  if (c.token_types > 0) stack.token_types = at::empty({c.token_types, c.dim});
  if (c.sentence_tokens > 0) stack.sentence_mask = at::empty({c.sentence_tokens, c.dim});
  if (c.embedding_norm) stack.embedding_norm = norm_of(c);
  if (c.position == Position::relative) stack.relative = at::empty({c.relative_buckets, c.heads});
  for (int64_t i = 0; i < layers; ++i) stack.blocks.push_back(block_of(c, part, i, ffn));
  if (c.final_norm) stack.final_norm = norm_of(c);
  return stack;
}

void share(Transformer& model) {
  const Config& c = model.config;
  if (c.shared_layers)
    for (Stack* stack : {&model.encoder, &model.decoder})
      for (Block& block : stack->blocks) block = stack->blocks.front();
  if (c.kind == Kind::encoder_decoder && c.shared_tokens)
    model.decoder.tokens = model.encoder.tokens;
  if (c.output && c.tied)
    model.output.weight =
        c.kind == Kind::encoder_only ? model.encoder.tokens : model.decoder.tokens;
}

// What a tensor of the model is, which decides its first numbers.
enum class Role { embedding, weight, bias, gain, shift, mask };

// Visits every parameter of a model, const or not, once, in the fixed order of parameters();
// fan_in is that of the linear layer a weight or bias belongs to.
template <typename Model, typename F>
void each_parameter(Model& model, F visit) {
  const auto one = [&](const std::string& name, auto& tensor, Role role, int64_t fan_in = 0) {
    if (tensor.defined()) visit(name, tensor, role, fan_in);
  };
  const auto linear = [&](const std::string& name, auto& l) {
    const int64_t fan_in = l.weight.defined() ? l.weight.size(1) : 0;
    one(name + ".weight", l.weight, Role::weight, fan_in);
    one(name + ".bias", l.bias, Role::bias, fan_in);
  };
  const auto norm = [&](const std::string& name, auto& n) {
    one(name + ".gain", n.gain, Role::gain);
    one(name + ".shift", n.shift, Role::shift);
  };
  const Config& c = model.config;
  const auto stack = [&](const std::string& name, auto& s, bool shared) {
    if (!shared) one(name + ".tokens", s.tokens, Role::embedding);
    if (c.position == Position::learned) one(name + ".positions", s.positions, Role::embedding);
    one(name + ".token_types", s.token_types, Role::embedding);
    one(name + ".sentence_mask", s.sentence_mask, Role::mask);
    linear(name + ".patches", s.patches);
    one(name + ".class_token", s.class_token, Role::embedding);
    norm(name + ".embedding_norm", s.embedding_norm);
    one(name + ".relative", s.relative, Role::embedding);
    for (size_t i = 0; i < s.blocks.size(); ++i) {
      if (c.shared_layers && i > 0) break;  // the first one is all of them
      auto& block = s.blocks[i];
      const std::string at = fmt::format("{}.blocks.{}.", name, i);
      norm(at + "attention_norm", block.attention_norm);
      linear(at + "attention.qkv", block.attention.qkv);
      norm(at + "attention.query_norm", block.attention.query_norm);
      norm(at + "attention.key_norm", block.attention.key_norm);
      linear(at + "attention.out", block.attention.out);
      norm(at + "attention_post_norm", block.attention_post_norm);
      norm(at + "cross_norm", block.cross_norm);
      linear(at + "cross.query", block.cross.query);
      linear(at + "cross.key_value", block.cross.key_value);
      linear(at + "cross.out", block.cross.out);
      norm(at + "cross_post_norm", block.cross_post_norm);
      norm(at + "ffn_norm", block.ffn_norm);
      linear(at + "ffn.up", block.ffn.up);
      linear(at + "ffn.down", block.ffn.down);
      norm(at + "ffn_post_norm", block.ffn_post_norm);
    }
    norm(name + ".final_norm", s.final_norm);
  };
  stack("encoder", model.encoder, false);
  stack("decoder", model.decoder, c.kind == Kind::encoder_decoder && c.shared_tokens);
  linear("transform", model.transform);
  norm("transform_norm", model.transform_norm);
  if (!c.tied) {
    linear("output", model.output);
  } else {
    one("output.bias", model.output.bias, Role::bias, c.dim);
  }
}

void fill(const at::Tensor& tensor, Role role, int64_t fan_in, uint64_t seed) {
  if (role == Role::gain || role == Role::shift) return;  // 1 and 0 from the start
  float* const to = tensor.data_ptr<float>();
  const auto count = static_cast<uint64_t>(tensor.numel());
  if (role == Role::embedding || role == Role::mask) {
    // Box & Muller 1958: two uniform numbers make two normal ones.
    for (uint64_t i = 0; i < count; i += 2) {
      const double radius = std::sqrt(-2 * std::log(uniform(seed, i)));
      const double angle = 2 * M_PI * uniform(seed, i + 1);
      to[i] = static_cast<float>(radius * std::cos(angle));
      if (i + 1 < count) to[i + 1] = static_cast<float>(radius * std::sin(angle));
    }
    // Equal masks would not tell the order of words.
    for (uint64_t i = 0; role == Role::mask && i < count; ++i) to[i] = 1 + 0.5f * to[i];
  } else {
    const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
    for (uint64_t i = 0; i < count; ++i)
      to[i] = static_cast<float>((2 * uniform(seed, i) - 1) * bound);
  }
}

}  // namespace

Transformer unfilled(const Config& config) {
  Transformer model;
  model.config = completed(config);
  const Config& c = model.config;
  const bool both = c.kind == Kind::encoder_decoder;
  if (c.kind != Kind::decoder_only)
    model.encoder =
        stack_of(c, Part::encoder, both ? c.source_vocabulary : c.vocabulary, c.layers, c.ffn);
  if (c.kind != Kind::encoder_only)
    model.decoder = stack_of(c, Part::decoder, c.vocabulary, both ? c.decoder_layers : c.layers,
                             both ? c.decoder_ffn : c.ffn);
  if (c.transform) {
    model.transform = linear_of(c.dim, c.dim, true);
    if (c.transform_norm) model.transform_norm = norm_of(c);
  }
  if (c.output) {
    if (!c.tied) model.output.weight = at::empty({c.classes, c.dim});
    if (c.output_bias) model.output.bias = at::empty({c.classes});
  }
  share(model);
  each_parameter(model, [](const std::string&, const at::Tensor& tensor, Role, int64_t) {
    tensor.set_requires_grad(true);
  });
  return model;
}

Transformer initialised(const Config& config, uint64_t seed) {
  const Transformer model = unfilled(config);
  uint64_t place = 0;
  each_parameter(model,
                 [&](const std::string&, const at::Tensor& tensor, Role role, int64_t fan_in) {
                   fill(tensor, role, fan_in, stream_seed(seed, place++));
                 });
  // A table that is the output layer as well would begin with logits of ±sqrt(dim).
  if (model.config.tied && model.output.weight.defined()) {
    const c10::NoGradGuard no_gradients;
    const double scale = 1 / std::sqrt(static_cast<double>(model.config.dim));
    model.output.weight.mul_(scale);
    // Below a norm only proportions count: what is added to the tokens must not drown them.
    if (model.config.embedding_norm)
      for (const Stack* stack : {&model.encoder, &model.decoder})
        for (const at::Tensor& table : {stack->positions, stack->token_types})
          if (table.defined() && table.requires_grad()) table.mul_(scale);
  }
  return model;
}

std::vector<NamedTensor> parameters(const Transformer& model) {
  std::vector<NamedTensor> all;
  each_parameter(model, [&](const std::string& name, const at::Tensor& tensor, Role, int64_t) {
    all.push_back({name, tensor});
  });
  return all;
}

Transformer copy_of(const Transformer& model, at::ScalarType type, const std::string& device) {
  Transformer copy = model;
  const auto moved = [&](at::Tensor& tensor) {
    const bool learns = tensor.requires_grad();
    tensor = tensor.detach().to(at::Device(device), type, false, /*copy=*/true);
    tensor.set_requires_grad(learns);
  };
  each_parameter(copy,
                 [&](const std::string&, at::Tensor& tensor, Role, int64_t) { moved(tensor); });
  if (model.config.position != Position::learned)
    for (Stack* stack : {&copy.encoder, &copy.decoder})
      if (stack->positions.defined()) moved(stack->positions);
  share(copy);
  return copy;
}

Transformer copy_of(const Transformer& model) {
  const std::vector<NamedTensor> all = parameters(model);
  return copy_of(model, all.front().tensor.scalar_type(), all.front().tensor.device().str());
}

}  // namespace headlight::model
