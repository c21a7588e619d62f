#include "model/generate.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "headlight/error.h"

namespace headlight::model {

void select_rows(Cache& cache, const at::Tensor& rows) {
  for (Cache::Layer& layer : cache.layers) {
    if (!layer.key_value.defined()) continue;
    // Only what is in use is worth copying.
    const at::Tensor& old = layer.key_value;
    at::Tensor chosen = at::empty({rows.size(0), old.size(1), old.size(2)}, old.options());
    chosen.narrow(1, 0, cache.length).copy_(old.narrow(1, 0, cache.length).index_select(0, rows));
    layer.key_value = chosen;
  }
}

void select_sources(Cache& cache, const at::Tensor& sources) {
  if (cache.memory.defined()) cache.memory = cache.memory.index_select(0, sources);
  for (Cache::Layer& layer : cache.layers)
    if (layer.cross.defined()) layer.cross = layer.cross.index_select(0, sources);
}

at::Tensor generate(const Transformer& model, const Inputs& inputs, const Generation& how) {
  const Config& c = model.config;
  if (c.kind == Kind::encoder_only || !c.causal || c.output_place != OutputPlace::every)
    throw Error(ErrorKind::usage, "this model does not generate text: it is no causal decoder");
  c10::NoGradGuard no_grad;
  Inputs now = inputs;
  if (!now.tokens.defined() && c.kind == Kind::encoder_decoder && source_of(c, now).defined()) {
    if (c.start_token < 0)
      throw Error(ErrorKind::usage, "the model does not say which token decoding starts with");
    now.tokens = at::full({source_of(c, now).size(0), 1}, c.start_token, at::kLong);
  }
  Cache cache;
  Pass pass;
  pass.cache = &cache;
  std::vector<at::Tensor> all;
  at::Tensor ended;
  for (int64_t step = 0; step < how.tokens; ++step) {
    const at::Tensor states = hidden(model, now, pass);
    const at::Tensor last = states.narrow(1, states.size(1) - 1, 1);
    at::Tensor next = output(model, transformed(model, last, {})).argmax(2);
    if (ended.defined()) next = at::where(ended, how.padding, next);
    all.push_back(next);
    for (const int64_t end : how.end_tokens) {
      const at::Tensor is_end = next.eq(end);
      ended = ended.defined() ? ended.logical_or(is_end) : is_end;
    }
    if (ended.defined() && ended.all().item<bool>()) break;
    now.tokens = next;
    if (now.mask.defined())
      now.mask = at::cat({now.mask, at::ones_like(now.mask.narrow(1, 0, 1))}, 1);
  }
  if (all.empty()) return at::empty({now.tokens.defined() ? now.tokens.size(0) : 0, 0}, at::kLong);
  return at::cat(all, 1);
}

}  // namespace headlight::model
