// One forward pass with all that a user may want to see of it, under the names of traces.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>

#include "model/transformer.h"

namespace headlight::model {

struct Ask {
  bool hidden_states = true;
  bool attentions = false;  // [B, H, N, S] each
  bool lse = true;
  bool logits = true;  // if the model has an output layer
  at::Tensor labels;   // for "loss"; as transformers takes them, see own_labels()
  const Gates* gates = nullptr;
};

// Hands over every tensor as soon as it is there, without gradients and keeping none:
//   hidden_states.{l} [B, N, D], l = 0 the embedding, the last one after the final norm (an encoder
//   of images has it before, as in transformers); attentions.{l} and lse.{l} [B, H, N] of layer l;
//   last_hidden_state [B, N, D] after the final norm; pooler_output [B, D] of a base model that has
//   a transform; logits; loss, a scalar.
// Models of two stacks: encoder_hidden_states.{l}, decoder_attentions.{l}, cross_lse.{l}, ...
void run(const Transformer& model, const Inputs& inputs, const Ask& ask,
         const std::function<void(const std::string& name, const at::Tensor&)>& sink);
std::map<std::string, at::Tensor> run(const Transformer& model, const Inputs& inputs,
                                      const Ask& ask = {});

// Labels as transformers takes them, in the places where loss() scores them: a model that predicts
// the next token gets every label one place earlier.
at::Tensor own_labels(const Config& config, const at::Tensor& labels);

// The same model with this output in place of its own: weight [classes, D] and bias [classes] read
// the first token after the final norm.
Transformer with_readout(Transformer model, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace headlight::model
