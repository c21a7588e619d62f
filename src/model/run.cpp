#include "model/run.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "headlight/error.h"
#include "model/cross_entropy.h"
#include "model/norm.h"

namespace headlight::model {

at::Tensor own_labels(const Config& config, const at::Tensor& labels) {
  if (!config.predicts_next || labels.dim() != 2 || labels.size(1) == 0) return labels;
  return at::cat({labels.narrow(1, 1, labels.size(1) - 1),
                  at::full({labels.size(0), 1}, kUnscored, labels.options())},
                 1);
}

Transformer with_readout(Transformer model, const at::Tensor& weight, const at::Tensor& bias) {
  Config& c = model.config;
  if (weight.dim() != 2 || weight.size(1) != c.dim || bias.dim() != 1 ||
      bias.size(0) != weight.size(0))
    throw Error(
        ErrorKind::bad_input,
        fmt::format("readout_weight must be [classes, {}] and readout_bias [classes]", c.dim));
  c.output = c.output_bias = c.exclusive = true;
  c.tied = c.transform = c.predicts_next = false;
  c.output_place = OutputPlace::first;
  c.classes = weight.size(0);
  c.output_scale = 1;
  c.output_softcap = 0;
  model.transform = {};
  model.transform_norm = {};
  model.output = {weight, bias};
  return model;
}

void run(const Transformer& model, const Inputs& inputs, const Ask& ask,
         const std::function<void(const std::string& name, const at::Tensor&)>& sink) {
  c10::NoGradGuard no_grad;
  const Config& c = model.config;
  const auto prefix = [&](const std::string& stack) {
    return c.kind == Kind::encoder_decoder ? stack + "_" : "";
  };
  Capture capture;
  capture.on_layer = [&](Capture::Layer&& layer) {
    const auto name = [&](const char* what) {
      return fmt::format("{}{}.{}", prefix(layer.stack), what, layer.layer);
    };
    if (ask.lse) sink(name("lse"), layer.lse);
    if (ask.attentions) sink(name("attentions"), probabilities(layer));
  };
  capture.on_hidden = [&](const std::string& stack, int64_t layer, const at::Tensor& x) {
    if (!ask.hidden_states) return;
    const Stack& s = stack == model.encoder.name ? model.encoder : model.decoder;
    const bool last = layer == static_cast<int64_t>(s.blocks.size());
    const bool normed = last && c.final_norm && !s.patches.weight.defined();
    sink(fmt::format("{}hidden_states.{}", prefix(stack), layer),
         normed ? normalised(x, s.final_norm, c.norm, c.norm_epsilon) : x);
  };
  Pass pass;
  pass.gates = ask.gates;
  if (ask.hidden_states || ask.attentions || ask.lse) pass.capture = &capture;
  const at::Tensor last = hidden(model, inputs, pass);
  if (ask.hidden_states) sink("last_hidden_state", last);
  if (!c.output) {
    if (c.transform && ask.logits) sink("pooler_output", transformed(model, last, inputs));
    if (ask.labels.defined()) output(model, last);  // says that there is none
    return;
  }
  if (!ask.logits && !ask.labels.defined()) return;
  const at::Tensor logits = output(model, transformed(model, last, inputs));
  if (ask.logits) sink("logits", logits);
  if (ask.labels.defined()) sink("loss", loss_of(model, logits, own_labels(c, ask.labels)));
}

std::map<std::string, at::Tensor> run(const Transformer& model, const Inputs& inputs,
                                      const Ask& ask) {
  std::map<std::string, at::Tensor> all;
  run(model, inputs, ask,
      [&](const std::string& name, const at::Tensor& tensor) { all[name] = tensor; });
  return all;
}

}  // namespace headlight::model
