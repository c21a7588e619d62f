#include "report/study_report.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "report/number.h"
#include "study/folder.h"

namespace headlight::report {
namespace {

using Json = nlohmann::ordered_json;
using study::or_null;

// A number of a layer's combined graph: its mean over sequences, or the median where some are
// infinite. Empty if undefined.
std::optional<double> flow_number(const Json& layer, const char* key) {
  const auto flow = layer.find("flow");
  if (flow == layer.end() || !flow->is_object()) return std::nullopt;
  const auto combined = flow->find("combined_output_norm");
  if (combined == flow->end() || !combined->is_object()) return std::nullopt;
  const auto spread = combined->find(key);
  if (spread == combined->end()) return std::nullopt;
  for (const char* kind : {"mean", "median"})
    if (spread->is_object() && spread->contains(kind) && spread->at(kind).is_number())
      return spread->at(kind).get<double>();
  return std::nullopt;
}

std::optional<double> effective_heads(const Json& layer) {
  const auto redundancy = layer.find("redundancy");
  if (redundancy == layer.end() || !redundancy->is_object()) return std::nullopt;
  const auto number = redundancy->find("effective_heads");
  if (number == redundancy->end() || !number->is_number()) return std::nullopt;
  return number->get<double>();
}

struct Mean {
  double sum = 0;
  int64_t count = 0;
  void add(const std::optional<double>& value) {
    if (!value) return;
    sum += *value;
    ++count;
  }
  Json json() const { return count > 0 ? Json(sum / double(count)) : Json(nullptr); }
};

constexpr const char* kFlowKeys[] = {"hitting_mean", "mixing_published", "fidelity_published",
                                     "fidelity"};

// Means over runs and layers of what the table shows of heads.
Json head_means(const study::Cell& cell, Json study::RunResult::*layers) {
  Mean flow[std::size(kFlowKeys)], effective;
  for (const study::FinishedRun* run : cell.runs)
    for (const Json& layer : run->result.*layers) {
      for (size_t i = 0; i < std::size(kFlowKeys); ++i)
        flow[i].add(flow_number(layer, kFlowKeys[i]));
      effective.add(effective_heads(layer));
    }
  Json means;
  for (size_t i = 0; i < std::size(kFlowKeys); ++i) means[kFlowKeys[i]] = flow[i].json();
  means["effective_heads"] = effective.json();
  return means;
}

// How many heads of all runs have each role.
Json role_counts(const study::Cell& cell) {
  std::map<std::string, int64_t> counts;
  for (const study::FinishedRun* run : cell.runs)
    for (const Json& layer : run->result.layers)
      if (layer.contains("roles"))
        for (const Json& roles : layer.at("roles"))
          if (!roles.empty()) ++counts[roles.front().get<std::string>()];
  return counts;
}

Json summary_of(const study::Settings& settings, const study::Cell& cell) {
  Json row = {{"task", settings.tasks[cell.task].name},
              {"heads", cell.heads},
              {"learning_rate", cell.rate},
              {"parameters", cell.runs.front()->result.parameters},
              {"accuracy_mean", cell.accuracy_mean},
              {"accuracy_low", cell.accuracy_low},
              {"accuracy_high", cell.accuracy_high},
              {"accuracy_sd", or_null(cell.accuracy_sd)},
              {"loss_mean", cell.loss_mean},
              {"loss_low", or_null(cell.loss_low)},
              {"loss_high", or_null(cell.loss_high)},
              {"steps_to_target_mean", or_null(cell.steps_to_target_mean)},
              {"reached", cell.reached},
              {"of", cell.runs.size()},
              {"milliseconds_per_step", cell.milliseconds_per_step}};
  if (cell.score_mean) {
    row["score_mean"] = *cell.score_mean;
    row["score_sd"] = or_null(cell.score_sd);
  }
  row.update(head_means(cell, &study::RunResult::layers));
  row["untrained"] = head_means(cell, &study::RunResult::untrained_layers);
  row["roles"] = role_counts(cell);
  return row;
}

std::string about(const study::TaskPlan& plan, const study::Material& material) {
  if (!material.text) return material.task->info().about;
  return fmt::format(
      "What headlight train --kind {} learns, from {} lines; {} others are held out.", plan.name,
      whole(material.text->pairs), whole(material.text->held_out_pairs));
}

// "bleu" and so on; null where there is none.
Json score_name(const study::TaskPlan& plan, const study::Material& material) {
  if (!material.text) return nullptr;
  const std::string name = train::score_name(Json(plan.name).get<train::TextKind>());
  // Accuracy has a column already.
  return name.empty() || name == "accuracy" ? Json(nullptr) : Json(name);
}

Json task_json(const study::TaskPlan& plan, const study::Material& material) {
  const task::TaskInfo& info = material.task->info();
  const int64_t pieces = material.text ? material.text->config.vocabulary : 0;
  return {{"name", plan.name},
          {"about", about(plan, material)},
          {"note", info.note},
          {"steps", plan.steps},
          {"layers", plan.layers},
          {"evaluate_every", plan.evaluate_every},
          {"learning_rate", plan.learning_rate},
          {"length", info.length},
          {"symbols", pieces > 0 ? pieces : info.symbols},
          {"classes", pieces > 0 ? material.text->config.classes : info.classes},
          {"chance", info.chance},
          {"ceiling", info.accuracy_ceiling},
          {"space", info.space},
          {"measure", study::judged_by_loss(plan) ? "nats" : "accuracy"},
          {"score", score_name(plan, material)},
          {"test_samples", material.test.size}};
}

Json settings_json(const StudyReportInputs& in) {
  const study::Settings& s = in.settings;
  Json tasks = Json::array();
  for (size_t t = 0; t < s.tasks.size(); ++t)
    tasks.push_back(task_json(s.tasks[t], in.material[t]));
  const train::Settings& training = s.training;
  return {{"heads", s.heads},
          {"seeds", s.seeds},
          {"first_seed", s.first_seed},
          {"dim", s.dim},
          {"ffn", s.ffn},
          {"batch", training.batch},
          {"rates", s.rates.empty() ? Json(nullptr) : Json(s.rates)},
          {"rate_choice", s.rates.empty()
                              ? "the same learning rate for every head count"
                              : "each head count takes the rate with the lowest validation loss"},
          {"optimizer", training.optimizer},
          {"schedule", training.schedule},
          {"warmup", training.warmup},
          {"weight_decay", training.weight_decay},
          {"clip_norm", training.clip_norm},
          {"dropout", s.dropout},
          {"norm", s.norm},
          {"norm_place", s.norm_place},
          {"activation", s.activation},
          {"position", s.position},
          {"samples", s.samples},
          {"noise", s.noise},
          {"analysis_sequences", s.analysis_sequences},
          {"margin", s.margin},
          {"confidence", 0.95},
          {"replicates", s.replicates},
          {"target_accuracy", training.target_accuracy},
          {"tasks", tasks},
          {"data", s.data.kind.empty() ? Json(nullptr) : Json(nlohmann::json(s.data))},
          {"label_smoothing", training.label_smoothing},
          {"average", training.average}};
}

Json run_json(const study::Settings& settings, const study::FinishedRun& run) {
  const study::RunResult& r = run.result;
  return {{"task", settings.tasks[run.key.task].name},
          {"heads", run.key.heads},
          {"seed", run.key.seed},
          {"parameters", r.parameters},
          {"steps", r.steps},
          {"seconds", r.seconds},
          {"milliseconds_per_step", r.steps > 0 ? 1e3 * r.seconds / double(r.steps) : 0.0},
          {"learning_rate", run.key.rate},
          {"train_loss", r.curve.empty() ? Json(nullptr) : Json(r.curve.back().train_loss)},
          {"test_loss", r.test_loss},
          {"test_accuracy", r.test_accuracy},
          {"steps_to_target", or_null(r.steps_to_target)},
          {"checkpoint", "runs/" + study::run_name(settings, run.key)},
          {"curve", r.curve},
          {"layers", r.layers},
          {"untrained_layers", r.untrained_layers},
          {"maps", r.maps}};
}

std::vector<std::string> notes(const StudyReportInputs& in) {
  std::vector<std::string> all;
  const size_t planned = study::plan(in.settings).size();
  if (in.runs.size() < planned)
    all.push_back(fmt::format("This study is not complete: {} of {} runs are done.", in.runs.size(),
                              planned));
  all.push_back(
      "The tables compare how fast models learn with these steps and these learning rates. They "
      "do not say what a head count could reach with more steps, more layers or another rate.");
  all.push_back(
      "A gain of several heads in mixing time or fidelity means something only beside the same "
      "model before training: averaging several graphs lifts the smallest entry by itself.");
  if (in.settings.seeds < 5)
    all.push_back("Fewer than 5 seeds: the intervals are wide and may miss late learners.");
  return all;
}

}  // namespace

nlohmann::ordered_json study_report(const StudyReportInputs& in) {
  Json report = {{"schema", "headlight.study/1"},
                 {"made", in.made},
                 {"command", in.command},
                 {"settings", settings_json(in)}};
  report["runs"] = Json::array();
  for (const study::FinishedRun& run : in.runs)
    report["runs"].push_back(run_json(in.settings, run));
  report["comparisons"] = Json::array();
  for (const study::Comparison& c : in.decision.comparisons)
    report["comparisons"].push_back(
        {{"task", in.settings.tasks[c.task].name},
         {"heads", c.heads},
         {"against", c.against},
         {"difference", c.difference},
         {"low", c.low},
         {"high", c.high},
         {"p", c.p},
         {"p_holm", or_null(c.p_holm)},
         {"margin", study::margin_of(in.settings, in.settings.tasks[c.task])},
         {"verdict", c.verdict},
         {"more_seeds", or_null(c.more_seeds)}});
  report["summary"] = Json::array();
  for (const study::Cell& cell : in.decision.cells)
    report["summary"].push_back(summary_of(in.settings, cell));
  report["verdict"] = Json::object();
  for (size_t t = 0; t < in.settings.tasks.size(); ++t)
    report["verdict"][in.settings.tasks[t].name] = in.decision.sentences[t];
  report["notes"] = notes(in);
  return report;
}

std::string curves_csv(const study::Settings& settings,
                       const std::vector<study::FinishedRun>& runs) {
  std::string text = "task,heads,seed,learning_rate,step,train_loss,test_loss,test_accuracy\n";
  for (const study::FinishedRun& run : runs)
    for (const train::Point& p : run.result.curve)
      // The name of a task has commas in it.
      text += fmt::format("\"{}\",{},{},{},{},{},{},{}\n", settings.tasks[run.key.task].name,
                          run.key.heads, run.key.seed, run.key.rate, p.step, p.train_loss,
                          p.test_loss, p.test_accuracy);
  return text;
}

}  // namespace headlight::report
