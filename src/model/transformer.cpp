#include "model/transformer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "headlight/error.h"
#include "model/activation.h"
#include "model/cross_entropy.h"
#include "model/forward.h"
#include "model/linear.h"
#include "model/norm.h"
#include "model/output_loss.h"
#include "model/sentence_pairs.h"

namespace headlight::model {
namespace {

[[noreturn]] void refuse_model(const std::string& message) {
  throw Error(ErrorKind::bad_input, message);
}

void check_sequence(const Config& c, const at::Tensor& tokens, const at::Tensor& lengths,
                    const at::Tensor& mask, int64_t past, const char* name) {
  const int64_t sentence = c.sentence_tokens;
  if (!tokens.defined() || tokens.dim() != (sentence > 0 ? 3 : 2) ||
      (sentence > 0 && tokens.size(2) != sentence) || tokens.scalar_type() != at::kLong)
    refuse_model(fmt::format("{} must be a [batch, length{}] tensor of int64", name,
                             sentence > 0 ? fmt::format(", {}", sentence) : ""));
  if (tokens.numel() == 0) refuse_model(fmt::format("{} are empty", name));
  if (lengths.defined() && (lengths.dim() != 1 || lengths.size(0) != tokens.size(0) ||
                            lengths.scalar_type() != at::kLong))
    refuse_model(fmt::format("lengths of {} must be one int64 a row", name));
  if (mask.defined() && mask.sizes() != at::IntArrayRef({tokens.size(0), past + tokens.size(1)}))
    refuse_model(fmt::format("the mask of {} must be [{}, {}], as they are", name, tokens.size(0),
                             past + tokens.size(1)));
}

void check(const Transformer& model, const Inputs& inputs, const Pass& pass) {
  const Config& c = model.config;
  // embedded_image() looks at the pixels.
  if (c.patch == 0 || c.kind != Kind::encoder_only)
    check_sequence(c, inputs.tokens, inputs.lengths, inputs.mask, past_of(pass), "tokens");
  if (c.kind != Kind::encoder_decoder) return;
  if (c.patch == 0)
    check_sequence(c, inputs.source, inputs.source_lengths, inputs.source_mask, 0, "source tokens");
  else if (!inputs.pixels.defined() || inputs.pixels.dim() != 4 || inputs.pixels.numel() == 0)
    refuse_model("there are no pixels for the encoder to read");
  const int64_t sources = source_of(c, inputs).size(0);
  const bool shared = pass.cache && inputs.tokens.size(0) % sources == 0;
  if (sources != inputs.tokens.size(0) && !shared)
    refuse_model("source and target must have the same number of rows");
}

void check_labels(const Config& c, const at::Tensor& labels, at::IntArrayRef places) {
  if (c.output && (c.classes == 1 || !c.exclusive))
    refuse_model(
        "the outputs of this model are no classes that exclude one another: there is no cross "
        "entropy");
  if (labels.scalar_type() != at::kLong || labels.sizes() != places)
    refuse_model(places.size() == 2 ? "labels must be int64 in the shape of the tokens"
                                    : "labels must be int64, one a row");
}

at::Tensor transform(const Transformer& model, const at::Tensor& x) {
  const Config& c = model.config;
  if (!c.transform) return x;
  const at::Tensor y =
      activated(linear(x, model.transform.weight, model.transform.bias), c.transform_activation);
  return c.transform_norm ? normalised(y, model.transform_norm, c.norm, c.norm_epsilon) : y;
}

// The last token of every row that is not padding.
at::Tensor last_places(const Inputs& inputs, int64_t length) {
  if (inputs.lengths.defined()) return inputs.lengths - 1;
  if (!inputs.mask.defined()) return at::full({1}, length - 1, at::kLong);
  const at::Tensor place = at::arange(1, length + 1) * inputs.mask.ne(0).to(at::kLong);
  return std::get<0>(place.max(1)) - 1;
}

}  // namespace

const at::Tensor& source_of(const Config& c, const Inputs& inputs) {
  return c.patch > 0 ? inputs.pixels : inputs.source;
}

at::Tensor hidden(const Transformer& model, const Inputs& inputs, const Pass& pass) {
  check(model, inputs, pass);
  return forward(model, inputs, pass, {});
}

at::Tensor transformed(const Transformer& model, const at::Tensor& x, const Inputs& inputs) {
  switch (model.config.output_place) {
    case OutputPlace::first:
      return transform(model, x.select(1, 0));
    case OutputPlace::last: {
      const at::Tensor place = last_places(inputs, x.size(1)).clamp_min(0);
      return transform(
          model, x.gather(1, place.view({-1, 1, 1}).expand({x.size(0), 1, x.size(2)})).squeeze(1));
    }
    case OutputPlace::every:
      break;
  }
  return transform(model, x);
}

at::Tensor output(const Transformer& model, const at::Tensor& x) {
  const Config& c = model.config;
  if (!c.output)
    throw Error(ErrorKind::usage,
                "this model has no output layer: it is a base model that ends with its hidden "
                "states; a checkpoint with a head on it is needed for logits and losses");
  at::Tensor logits =
      linear(c.output_scale == 1 ? x : x * c.output_scale, model.output.weight, model.output.bias);
  if (c.output_softcap > 0) logits = at::tanh(logits / c.output_softcap) * c.output_softcap;
  return logits;
}

at::Tensor logits(const Transformer& model, const Inputs& inputs, const Pass& pass) {
  if (tells_partners(model.config, inputs)) return partner_logits(model, inputs, pass);
  return output(model, transformed(model, hidden(model, inputs, pass), inputs));
}

bool marks_spans(const Config& c) {
  return c.output && !c.exclusive && c.classes == 2 && c.patch == 0 &&
         c.kind == Kind::encoder_only && c.output_place == OutputPlace::every;
}

at::Tensor loss_of(const Transformer& model, const at::Tensor& logits, const at::Tensor& labels) {
  check_labels(model.config, labels, logits.sizes().slice(0, logits.dim() - 1));
  return cross_entropy(logits.flatten(0, -2), labels.reshape({-1}), false);
}

namespace {

// Which token begins the answer and which ends it, [2 B, N]: no padding does.
at::Tensor span_logits(const Transformer& model, const Inputs& inputs, const Pass& pass) {
  const at::Tensor both = logits(model, inputs, pass).transpose(1, 2);  // [B, 2, N]
  if (!inputs.lengths.defined()) return both.reshape({-1, both.size(2)});
  const at::Tensor padding = at::arange(both.size(2), inputs.lengths.options())
                                 .unsqueeze(0)
                                 .ge(inputs.lengths.unsqueeze(1));
  return both.masked_fill(padding.unsqueeze(1), -std::numeric_limits<double>::infinity())
      .reshape({-1, both.size(2)});
}

// What labels [rows] are about: of all places, or of those that have a label alone, whose places in
// the flattened labels are then `places`. Either what the output layer reads [rows, D], or logits.
struct Judged {
  at::Tensor read, logits, labels, places;
};

Judged judged(const Transformer& model, const Inputs& inputs, const at::Tensor& labels,
              const Pass& pass) {
  check(model, inputs, pass);
  if (marks_spans(model.config)) {
    if (labels.scalar_type() != at::kLong ||
        labels.sizes() != at::IntArrayRef({inputs.tokens.size(0), 2}))
      refuse_model("labels must be int64, two a row: the first token of the answer and the last");
    return {{}, span_logits(model, inputs, pass), labels.reshape({-1}), {}};
  }
  const bool image = model.config.patch > 0 && model.config.kind == Kind::encoder_only;
  const at::Tensor& read = image ? inputs.pixels : inputs.tokens;
  const bool every =
      model.config.output_place == OutputPlace::every && !tells_partners(model.config, inputs);
  check_labels(model.config, labels, read.sizes().slice(0, every ? 2 : 1));
  const at::Tensor flat = labels.reshape({-1});
  if (!every) return {{}, logits(model, inputs, pass), flat, {}};
  const at::Tensor scored = flat.ne(kUnscored).nonzero().squeeze(1);
  // Gathering rows costs two passes over them: worth it from a fifth on.
  if (!pass.capture && scored.numel() > 0 && scored.numel() * 5 <= flat.numel() * 4) {
    const at::Tensor x = forward(model, inputs, pass, scored);
    return {transform(model, x), {}, flat.index_select(0, scored), scored};
  }
  return {transform(model, forward(model, inputs, pass, {}).flatten(0, 1)), {}, flat, {}};
}

}  // namespace

at::Tensor loss(const Transformer& model, const Inputs& inputs, const at::Tensor& labels,
                const Pass& pass) {
  const Config& c = model.config;
  const Judged all = judged(model, inputs, labels, pass);
  if (all.read.defined() && c.output && c.output_softcap == 0 &&
      output_loss_pays(all.read, model.output.weight))
    return output_loss(c.output_scale == 1 ? all.read : all.read * c.output_scale,
                       model.output.weight, model.output.bias, all.labels, pass.label_smoothing);
  return cross_entropy(all.read.defined() ? output(model, all.read) : all.logits, all.labels, true,
                       pass.label_smoothing);
}

Evaluation evaluate(const Transformer& model, const Inputs& inputs, const at::Tensor& labels,
                    const Pass& pass) {
  c10::NoGradGuard no_grad;
  const Judged part = judged(model, inputs, labels, pass);
  Scores all = scores(part.read.defined() ? output(model, part.read) : part.logits, part.labels);
  if (part.places.defined()) {
    const at::Tensor places = part.places.cpu();
    all.nats = at::zeros({labels.numel()}, at::kDouble).index_copy_(0, places, all.nats);
    all.largest = at::zeros({labels.numel()}, at::kLong).index_copy_(0, places, all.largest);
  }
  const at::Tensor host = labels.cpu().reshape({labels.size(0), -1});
  const at::Tensor is_scored = host.ne(kUnscored);
  const at::Tensor right = all.largest.view(host.sizes()).eq(host).logical_and(is_scored);
  return {all.nats.view(host.sizes()).sum(1), right.sum(1), is_scored.sum(1)};
}

}  // namespace headlight::model
