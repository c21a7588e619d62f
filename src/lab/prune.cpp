#include "lab/prune.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "headlight/error.h"
#include "lab/removal_losses.h"
#include "lab/twins.h"
#include "model/checkpoint.h"
#include "model/cut_heads.h"
#include "model/run.h"
#include "model/uniform_heads.h"
#include "tensorfile/atomic_folder.h"

namespace headlight::lab {
namespace {

using model::HeadPlace;
using model::Transformer;

// Float32 sums in another order; what is wrong is wrong by much more.
constexpr double kAgreement = 1e-4;  // of the largest logit
constexpr size_t kSample = 16;       // examples that logits and times are compared on

class Pruner {
 public:
  Pruner(const PruneSettings& settings, const PruneData& data, const PruneAdvanced& advanced)
      : settings_(settings), data_(data), advanced_(advanced), whole_(data.model) {}

  Pruning run() {
    const model::Config& config = data_.model.config;
    choose();
    found_.removed = model::whole_groups(config, found_.removed);
    if (found_.removed.size() == model::all_heads(config).size())
      throw Error(ErrorKind::usage,
                  "--heads names every head of the model, and without any no token would read "
                  "another one; leave one out");
    tensorfile::AtomicFolder folder(settings_.out);
    write(folder.path());
    folder.commit();
    return std::move(found_);
  }

 private:
  Transformer measured(const Transformer& model) const {
    return data_.readout ? model::with_readout(model, data_.readout->weight, data_.readout->bias)
                         : model;
  }

  std::vector<Batch> batches(const std::vector<Example>& examples) const {
    const model::Config& config = data_.model.config;
    return batches_of(config, examples, tokens_at_once(config));
  }

  double loss(const Transformer& model, const std::vector<Batch>& examples,
              const std::vector<HeadPlace>& without = {}) const {
    const model::Gates gates = model::closed_gates(model, without);
    return mean_loss(losses_of(measured(model), examples, &gates));
  }

  void choose() {
    if (settings_.heads)
      found_.removed = *settings_.heads;
    else if (settings_.redundant)
      choose_twins();
    else
      choose_by_loss();
  }

  void choose_by_loss() {
    RemovalPlan plan =
        plan_removal(measured(data_.model), data_.examples.chosen_on,
                     settings_.kind == model::PrunedKind::uniform, settings_.seed,
                     [&](double done, double all) { advanced_(done, all, "losses"); });
    if (settings_.kind == model::PrunedKind::uniform) leave_out_what_no_config_says(plan);
    const auto heads = static_cast<int64_t>(model::all_heads(data_.model.config).size());
    size_t step = step_keeping(plan, heads, settings_.keep.value_or(1));
    if (settings_.max_loss_increase) {
      const double limit = *settings_.max_loss_increase;
      step = step_within(plan.losses, limit, step);
      // The limit is to hold for examples that had no part in the choice, too.
      const std::vector<Batch> others = batches(data_.examples.measured_on);
      const double before = loss(data_.model, others);
      const size_t allowed = plan.steps[step].size();
      while (step > 0 && !(loss(data_.model, others, plan.steps[step]) <= before + limit)) --step;
      found_.held_back = static_cast<int64_t>(allowed - plan.steps[step].size());
    }
    found_.greedy = plan.greedy;
    found_.removed = plan.steps[step];
  }

  void leave_out_what_no_config_says(RemovalPlan& plan) const {
    RemovalPlan possible{.greedy = plan.greedy};
    for (size_t step = 0; step < plan.steps.size(); ++step)
      if (step == 0 || model::takes_heads(settings_.type,
                                          model::cut_heads(data_.model, plan.steps[step]).config)) {
        possible.steps.push_back(plan.steps[step]);
        possible.losses.push_back(plan.losses[step]);
      }
    plan = std::move(possible);
  }

  // The work of twins that go is merged into the one that stays where that leaves a smaller loss
  // than doing without.
  void choose_twins() {
    const std::vector<Twins> all = find_twins(
        data_.model, data_.examples.chosen_on, settings_.threads,
        [&](int64_t done, int64_t layers) { advanced_(double(done), double(layers), "layers"); });
    for (const Twins& twins : all)
      found_.removed.insert(found_.removed.end(), twins.gone.begin(), twins.gone.end());
    const std::vector<Batch> examples = batches(data_.examples.chosen_on);
    double least = loss(whole_, examples, found_.removed);
    for (size_t i = 0; i < all.size(); ++i) {
      advanced_(double(i), double(all.size()), "merges");
      const Transformer merged = with_merged(whole_, all[i], examples);
      const double now = loss(merged, examples, found_.removed);
      if (!(now < least)) continue;
      least = now;
      whole_ = merged;
      found_.merged.insert(found_.merged.end(), all[i].gone.begin(), all[i].gone.end());
    }
  }

  // Throws unless the two compute the same.
  Difference agreeing(const Transformer& model, const std::vector<HeadPlace>& closed,
                      const Transformer& other, const std::vector<Batch>& sample) const {
    const Difference found = logit_difference(measured(model), model::closed_gates(model, closed),
                                              measured(other), sample);
    if (found.largest <= kAgreement * std::max(found.scale, 1e-3)) return found;
    throw std::runtime_error(fmt::format(
        "the pruned model's logits differ by {:.3g} from those of the model with these heads' "
        "gates at zero (the largest is {:.3g}); nothing was written",
        found.largest, found.scale));
  }

  std::vector<Batch> sample() {
    std::vector<Example> some = data_.examples.measured_on;
    if (some.size() > kSample) some.resize(kSample);
    found_.sample = static_cast<int64_t>(some.size());
    if (some.empty()) some = random_examples(data_.model.config, settings_.seed);
    return batches(some);
  }

  Cost cost_of(const Transformer& model, const std::filesystem::path& folder) const {
    Cost cost;
    cost.heads = static_cast<int64_t>(model::all_heads(model.config).size());
    cost.parameters = model::parameter_count(model.config);
    cost.bytes = model::weight_bytes(folder);
    if (!data_.examples.measured_on.empty())
      cost.loss = loss(model, batches(data_.examples.measured_on));
    return cost;
  }

  void write(const std::filesystem::path& folder) {
    const std::vector<Batch> some = sample();
    Transformer cut = model::cut_heads(whole_, found_.removed);
    found_.difference = agreeing(whole_, found_.removed, cut, some);
    if (settings_.finetune.steps > 0)
      cut = finetuned(cut, data_.examples.chosen_on, settings_.finetune, [&](int64_t step, double) {
        advanced_(double(step), double(settings_.finetune.steps), "steps");
      });
    model::write_pruned(
        {.from = settings_.from, .original = data_.model, .heads = found_.removed, .cut = cut},
        settings_.kind, folder);
    const Transformer back = model::load(folder);
    const Difference file = agreeing(cut, {}, back, some);
    found_.difference.largest = std::max(found_.difference.largest, file.largest);
    found_.before = cost_of(data_.model, settings_.from);
    found_.after = cost_of(back, folder);
    found_.after.heads = found_.before.heads - static_cast<int64_t>(found_.removed.size());
    const ForwardSeconds seconds = forward_seconds(measured(data_.model), measured(back), some);
    found_.before.forward_seconds = seconds.first;
    found_.after.forward_seconds = seconds.second;
  }

  const PruneSettings& settings_;
  const PruneData& data_;
  const PruneAdvanced& advanced_;
  Transformer whole_;  // with the work of merged heads in those that stay
  Pruning found_;
};

}  // namespace

Pruning prune(const PruneSettings& settings, const PruneData& data, const PruneAdvanced& advanced) {
  return Pruner(settings, data, advanced).run();
}

}  // namespace headlight::lab
