// One Transformer from one set of parts: decoder, encoder, or both. Its parts are plain values;
// gradients come from libtorch's autograd through the fused operations of this folder.
//
// B batch, N tokens, S source tokens, D dim, H heads, d head_dim.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "model/config.h"

namespace headlight::model {

struct Linear {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out], or undefined
};

struct NormWeights {
  at::Tensor gain;   // [D]
  at::Tensor shift;  // [D], or undefined
};

// Rows of the packed projections: all heads of q, then of k, then of v, head by head.
struct SelfAttention {
  LayerHeads heads;
  Linear qkv;                        // [(H + 2 Hkv) d, D]
  NormWeights query_norm, key_norm;  // [d], if the config has them
  Linear out;                        // [D, H d]
};

struct CrossAttention {
  LayerHeads heads;
  Linear query;      // [H d, D]
  Linear key_value;  // [2 Hkv d, D]
  Linear out;        // [D, H d]
};

struct FeedForward {
  Linear up;    // [F, D]; gated [2 F, D]: the gate's rows first
  Linear down;  // [D, F]
};

// The norms behind a part are there where the config's norm_place is both.
struct Block {
  NormWeights attention_norm;
  SelfAttention attention;
  NormWeights attention_post_norm;
  NormWeights cross_norm;  // in a decoder that has an encoder
  CrossAttention cross;
  NormWeights cross_post_norm;
  NormWeights ffn_norm;
  FeedForward ffn;
  NormWeights ffn_post_norm;
};

// What a config does not have is undefined.
struct Stack {
  std::string name;            // "self" (the only stack), "encoder" or "decoder"
  at::Tensor tokens;           // [vocabulary, D]
  at::Tensor positions;        // [rows, D] learned; a constant if sinusoidal
  at::Tensor token_types;      // [types, D]
  at::Tensor sentence_mask;    // [sentence_tokens, D]
  Linear patches;              // [D, channels * patch * patch]
  at::Tensor class_token;      // [D]
  NormWeights embedding_norm;  // [D]
  at::Tensor relative;         // [buckets, heads]: the bias of scores by distance
  std::vector<Block> blocks;
  NormWeights final_norm;
};

struct Transformer {
  Config config;               // completed
  Stack encoder;               // encoder_only and encoder_decoder
  Stack decoder;               // decoder_only and encoder_decoder
  Linear transform;            // [D, D], if the config has one
  NormWeights transform_norm;  // [D]
  Linear output;               // [classes, D]; tied: its weight is the embedding of the last stack
};

// Embeddings and learned positions N(0, 1); linear weights and biases uniform in
// ±1/sqrt(fan_in); gains 1, shifts 0, masks of sentences N(1, 1/4); a table that is tied to the
// output N(0, 1/D), and so is what an embedding norm adds up with it. Float32 on the CPU. Numbers
// depend on the seed, a tensor's place in parameters() and the place in the tensor alone: not on
// heads (while shapes are equal) nor on threads.
Transformer initialised(const Config& config, uint64_t seed);

struct NamedTensor {
  std::string name;  // "decoder.blocks.0.attention.qkv.weight", after the members above
  at::Tensor tensor;
};

// Every parameter once, in a fixed order; the tensors share memory with the model.
std::vector<NamedTensor> parameters(const Transformer& model);

// A copy of its own with parameters of that type on that device ("cpu", "cuda", "cuda:1").
Transformer copy_of(const Transformer& model, at::ScalarType type, const std::string& device);
Transformer copy_of(const Transformer& model);

struct Inputs {
  // [B, N] int64; encoder_decoder: what the decoder reads; with sentence_tokens W: [B, N, W].
  at::Tensor tokens;
  at::Tensor lengths;         // [B] int64: tokens from there on are padding; undefined: none are
  at::Tensor source;          // [B, S] int64; encoder_decoder, and sentence_pairs.h
  at::Tensor source_lengths;  // [B] int64, or undefined
  // Instead of lengths, for padding anywhere: [B, N] and [B, S], 0 is padding.
  at::Tensor mask, source_mask;
  at::Tensor token_types;  // [B, N] int64; undefined: all 0
  at::Tensor pixels;       // [B, C, height, width], instead of tokens (encoder_decoder: of source)
};

// What the encoder of an encoder_decoder reads: source, or pixels.
const at::Tensor& source_of(const Config& config, const Inputs& inputs);

// What an analysis of heads needs to know about one forward pass.
struct Capture {
  struct Layer {
    std::string stack;   // "self", "encoder", "decoder" or "cross"
    int64_t layer = 0;   // within its stack
    at::Tensor q, k, v;  // [B, H or Hkv, N or S, d], q and k after rotary
    at::Tensor w_o;      // [H, d, D]: what head h adds to the stream is its output times w_o[h]
    at::Tensor lse;      // [B, H, N]: logarithm of the softmax's denominator
    bool causal = false;
    int64_t past = 0;  // causal: query i stands at key i + past
    int64_t window = 0;
    double scale = 1;
    double softcap = 0;
    at::Tensor key_lengths;        // [B], or undefined
    at::Tensor key_allowed;        // [B, S] bool, or undefined
    at::Tensor bias;               // [H, N + S - 1] by key - query, or undefined
    std::vector<int64_t> numbers;  // which heads these are, where pruning has left some only
  };
  std::vector<Layer> layers;
  // [B, N or S, D]: embedding, then every layer's output; the encoder's before the decoder's. The
  // last one of a stack is before the final norm.
  std::vector<at::Tensor> hidden;
  // Instead of keeping what would fill the lists, for texts whose layers do not fit together.
  std::function<void(Layer&&)> on_layer;
  std::function<void(const std::string& stack, int64_t layer, const at::Tensor&)> on_hidden;
};

// [B, H, N, S] of a captured layer: probabilities after softmax, zeros for a query without keys.
at::Tensor probabilities(const Capture::Layer& layer);

// Factors on what every head hands to the output projection, by stack ("self", "encoder",
// "decoder", "cross") and layer: [H], or [B, H] for other factors in every row. Gradients flow
// into them. An undefined tensor, or a stack that is not there, changes nothing.
struct Gates {
  std::map<std::string, std::vector<at::Tensor>> factors;
  // [H, d] by stack and layer: gate * slice + (1 - gate) * mean, where there are means.
  std::map<std::string, std::vector<at::Tensor>> means;
};

struct Cache;  // generate.h

struct Pass {
  bool training = false;       // dropout happens only in training
  uint64_t dropout_seed = 0;   // a new one for every step
  double label_smoothing = 0;  // of loss(): the share of a label that all classes get
  Capture* capture = nullptr;
  const Gates* gates = nullptr;
  // Keys and values of what was read before; the inputs are what follows, and masks cover both.
  Cache* cache = nullptr;
};

// [B, N, D], after the final norm if there is one.
at::Tensor hidden(const Transformer& model, const Inputs& inputs, const Pass& pass = {});
// [B, N, classes], or [B, classes] where the output reads one token a row, or [B, B] of the pairs
// of sentence_pairs.h. Throws Error (usage) for a model without an output.
at::Tensor logits(const Transformer& model, const Inputs& inputs, const Pass& pass = {});

// Whether the output is the beginning and the end of an answer, for every token of a text.
bool marks_spans(const Config& config);

// Labels are [B, N] int64 ([B] where logits are [B, classes]), each that of its own
// place; a label of -100 is not scored. Of a model that marks spans [B, 2]: the first token and the
// last.
inline constexpr int64_t kUnscored = -100;

// Mean cross entropy in nats over all scored places, a scalar with gradients. Work for places that
// are not scored is left out where that changes nothing.
at::Tensor loss(const Transformer& model, const Inputs& inputs, const at::Tensor& labels,
                const Pass& pass = {});

// What the model's output is of, from its hidden states (after the final norm).
at::Tensor transformed(const Transformer& model, const at::Tensor& hidden, const Inputs& inputs);
at::Tensor output(const Transformer& model, const at::Tensor& transformed);
// The loss of logits that are there already.
at::Tensor loss_of(const Transformer& model, const at::Tensor& logits, const at::Tensor& labels);

// Without gradients or dropout, sequence by sequence.
struct Evaluation {
  at::Tensor nats;     // [B] double: cross entropy summed over scored places
  at::Tensor correct;  // [B] int64: scored places whose largest logit (the first) is the label
  at::Tensor scored;   // [B] int64
};
Evaluation evaluate(const Transformer& model, const Inputs& inputs, const at::Tensor& labels,
                    const Pass& pass = {});

}  // namespace headlight::model
