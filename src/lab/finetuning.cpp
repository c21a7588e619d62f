#include "lab/finetuning.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "headlight/error.h"
#include "headlight/splitmix64.h"
#include "model/adam_step.h"
#include "train/settings.h"

namespace headlight::lab {

model::Transformer finetuned(const model::Transformer& model, const std::vector<Example>& examples,
                             const FinetuneSettings& settings,
                             const std::function<void(int64_t, double)>& advanced) {
  model::Transformer trained = model::copy_of(model);
  const std::vector<model::NamedTensor> parameters = model::parameters(trained);
  model::AdamState moments = model::adam_state(parameters);
  const std::vector<Batch> batches = batches_of(trained.config, examples, settings.tokens);
  train::Settings schedule;
  schedule.steps = settings.steps;
  schedule.learning_rate = settings.learning_rate;
  schedule.schedule = train::Schedule::cosine;
  SplitMix64 random(settings.seed);
  std::vector<size_t> round;
  for (int64_t step = 0; step < settings.steps; ++step) {
    if (round.empty())
      for (size_t i = 0; i < batches.size(); ++i) round.push_back(i);
    const auto drawn = static_cast<std::ptrdiff_t>(random.index(int64_t(round.size())));
    const Batch& batch = batches[round[static_cast<size_t>(drawn)]];
    round.erase(round.begin() + drawn);
    model::Pass pass;
    pass.training = true;
    pass.dropout_seed = random.next();
    const at::Tensor loss = model::loss(trained, batch.inputs, batch.labels, pass);
    const double nats = loss.item<double>();
    loss.backward();
    model::AdamSettings adam;
    adam.learning_rate = train::learning_rate_at(schedule, step);
    adam.clip_norm = 1;
    if (!std::isfinite(nats) || !std::isfinite(model::adam_step(parameters, moments, adam)))
      throw Error(ErrorKind::bad_input,
                  fmt::format("--finetune: the loss is no number any more at step {}; lower "
                              "--learning-rate (it is {})",
                              step + 1, settings.learning_rate));
    advanced(step + 1, nats);
  }
  return trained;
}

}  // namespace headlight::lab
