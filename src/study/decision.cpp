#include "study/decision.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "heads/bootstrap.h"
#include "heads/verdict.h"

namespace headlight::study {
namespace {

// The same for every comparison and in every language (metrics.md, F).
constexpr uint64_t kBootstrapSeed = 2025;

using ItemsBySeed = std::vector<std::vector<double>>;

using Items = std::vector<double> RunResult::*;

// What a task is judged by.
Items items_of(const TaskPlan& plan) {
  return judged_by_loss(plan) ? &RunResult::item_losses : &RunResult::items;
}

heads::Interval interval_of(const Settings& settings, const Cell& cell, Items items) {
  ItemsBySeed by_seed;
  for (const FinishedRun* run : cell.runs) by_seed.push_back(run->result.*items);
  return heads::two_level_bootstrap(by_seed, settings.replicates, kBootstrapSeed);
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

// Over seeds; of a single one it says nothing.
std::optional<double> standard_deviation(const std::vector<double>& values) {
  if (values.size() < 2) return std::nullopt;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / double(values.size() - 1));
}

void summarise(const Settings& settings, Cell& cell) {
  std::vector<double> accuracies, losses, steps, scores;
  double seconds = 0, steps_done = 0;
  for (const FinishedRun* run : cell.runs) {
    const RunResult& r = run->result;
    accuracies.push_back(r.test_accuracy);
    losses.push_back(r.test_loss);
    if (r.steps_to_target) steps.push_back(double(*r.steps_to_target));
    if (!r.curve.empty() && r.curve.back().score >= 0) scores.push_back(r.curve.back().score);
    seconds += r.seconds;
    steps_done += double(r.steps);
  }
  cell.accuracy_mean = mean_of(accuracies);
  cell.loss_mean = mean_of(losses);
  cell.reached = int64_t(steps.size());
  if (!steps.empty()) cell.steps_to_target_mean = mean_of(steps);
  cell.milliseconds_per_step = steps_done > 0 ? 1e3 * seconds / steps_done : 0;
  cell.accuracy_sd = standard_deviation(accuracies);
  if (!scores.empty()) cell.score_mean = mean_of(scores);
  cell.score_sd = standard_deviation(scores);
  const heads::Interval interval = interval_of(settings, cell, &RunResult::items);
  cell.accuracy_low = interval.low;
  cell.accuracy_high = interval.high;
  if (!judged_by_loss(settings.tasks[cell.task])) return;
  const heads::Interval losses_interval = interval_of(settings, cell, &RunResult::item_losses);
  cell.loss_low = losses_interval.low;
  cell.loss_high = losses_interval.high;
}

// Of several rates of one head count, the runs of the one with the lowest mean validation loss.
void keep_best_rate(Cell& cell) {
  std::vector<double> rates;
  for (const FinishedRun* run : cell.runs)
    if (std::find(rates.begin(), rates.end(), run->key.rate) == rates.end())
      rates.push_back(run->key.rate);
  double lowest = INFINITY;
  for (const double rate : rates) {
    double sum = 0;
    int64_t count = 0;
    for (const FinishedRun* run : cell.runs) {
      if (run->key.rate != rate) continue;
      sum += run->result.validation_loss;
      ++count;
    }
    if (sum / double(count) >= lowest) continue;
    lowest = sum / double(count);
    cell.rate = rate;
  }
  std::erase_if(cell.runs, [&](const FinishedRun* run) { return run->key.rate != cell.rate; });
}

std::vector<Cell> cells_of(const Settings& settings, const std::vector<FinishedRun>& runs) {
  std::vector<Cell> cells;
  for (size_t t = 0; t < settings.tasks.size(); ++t)
    for (const int64_t heads : settings.heads) {
      Cell cell{.task = t, .heads = heads};
      for (const FinishedRun& run : runs)
        if (run.key.task == t && run.key.heads == heads) cell.runs.push_back(&run);
      if (cell.runs.empty()) continue;
      keep_best_rate(cell);
      cells.push_back(std::move(cell));
    }
  // Intervals take millions of draws each.
  at::parallel_for(0, int64_t(cells.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) summarise(settings, cells[c]);
  });
  return cells;
}

// Differences between runs of the same seed on the same test sequence. Empty if no seed has both.
ItemsBySeed differences(const Cell& cell, const Cell& against, Items of) {
  ItemsBySeed all;
  for (const FinishedRun* run : cell.runs)
    for (const FinishedRun* other : against.runs) {
      if (run->key.seed != other->key.seed) continue;
      const std::vector<double>&here = run->result.*of, &there = other->result.*of;
      std::vector<double> items(here.size());
      std::transform(here.begin(), here.end(), there.begin(), items.begin(), std::minus<>());
      all.push_back(std::move(items));
    }
  return all;
}

std::optional<Comparison> compare(const Settings& settings, const Cell& cell, const Cell& against) {
  const TaskPlan& plan = settings.tasks[cell.task];
  const ItemsBySeed items = differences(cell, against, items_of(plan));
  if (items.empty()) return std::nullopt;
  const heads::Interval interval =
      heads::two_level_bootstrap(items, settings.replicates, kBootstrapSeed);
  Comparison c{.task = cell.task, .heads = cell.heads, .against = against.heads};
  c.difference = interval.mean;
  c.low = interval.low;
  c.high = interval.high;
  c.p = interval.p;
  const double margin = margin_of(settings, plan);
  // Of losses, less is better.
  c.verdict = judged_by_loss(plan) ? heads::verdict(-interval.high, -interval.low, margin)
                                   : heads::verdict(interval.low, interval.high, margin);
  if (c.verdict == "not decided") c.more_seeds = heads::seeds_to_halve(int64_t(items.size()));
  return c;
}

// All `cells` but `against` with it, in their order.
std::vector<Comparison> compare_all(const Settings& settings, const std::vector<const Cell*>& cells,
                                    const Cell* against) {
  std::vector<std::optional<Comparison>> all(cells.size());
  at::parallel_for(0, int64_t(cells.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c)
      if (cells[c] != against) all[c] = compare(settings, *cells[c], *against);
  });
  std::vector<Comparison> made;
  for (std::optional<Comparison>& one : all)
    if (one) made.push_back(std::move(*one));
  return made;
}

std::string heads_text(int64_t heads) {
  return fmt::format("{} head{}", heads, heads == 1 ? "" : "s");
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

// Without a minus before a zero.
std::string points(double share) {
  const double rounded = std::round(1000 * share) / 10;
  return fmt::format("{:.1f}", rounded == 0 ? 0.0 : rounded);
}

// "1 head", "1 and 2 heads", "1, 2 and 4 heads"
std::string list_text(const std::vector<int64_t>& heads) {
  if (heads.size() == 1) return heads_text(heads[0]);
  const std::vector<int64_t> first(heads.begin(), heads.end() - 1);
  return fmt::format("{} and {} heads", fmt::join(first, ", "), heads.back());
}

// How results of one task are said: as accuracy in points, or as loss in nats.
struct Words {
  bool loss = false;

  // "98.1 % right", "a test loss of 1.234 nats"
  std::string result(const Cell& cell) const {
    return loss ? fmt::format("a test loss of {:.3f} nats", cell.loss_mean)
                : percent(cell.accuracy_mean) + " right";
  }
  std::string amount(double value) const {
    return loss ? fmt::format("{:.3f}", value) : points(value);
  }
  std::string unit() const { return loss ? "nats" : "points"; }
  std::string interval(const Cell& cell) const {
    return loss ? fmt::format("{} to {}", amount(*cell.loss_low), amount(*cell.loss_high))
                : fmt::format("{} to {}", amount(cell.accuracy_low), amount(cell.accuracy_high));
  }
  // How far behind, smallest and largest: a loss that is higher, an accuracy that is lower.
  std::string behind(const Comparison& c) const {
    return amount(loss ? c.difference : -c.difference);
  }
  std::string least(const Comparison& c) const { return amount(loss ? c.low : -c.high); }
  std::string most(const Comparison& c) const { return amount(loss ? c.high : -c.low); }
};

std::string sentence(const Settings& settings, size_t task, const std::vector<const Cell*>& cells,
                     const std::vector<Comparison>& with_best, const Cell* best) {
  const TaskPlan& plan = settings.tasks[task];
  const Words words{.loss = judged_by_loss(plan)};
  const std::string after = fmt::format("After {} steps", plan.steps);
  if (cells.size() == 1)
    return fmt::format("{} {} {} {} (95 % interval {}).", after, heads_text(best->heads),
                       best->heads == 1 ? "gets" : "get", words.result(*best),
                       words.interval(*best));

  std::vector<int64_t> equal;
  std::vector<const Comparison*> worse, open;
  for (const Comparison& c : with_best) {
    if (c.verdict == "worse")
      worse.push_back(&c);
    else if (c.verdict == "no difference")
      equal.push_back(c.heads);
    else
      open.push_back(&c);
  }
  if (worse.empty() && open.empty())
    return fmt::format(
        "{} the number of heads makes no difference: {} to {} heads all get {}, within {} {} of "
        "one another.",
        after, cells.front()->heads, cells.back()->heads, words.result(*best),
        words.amount(margin_of(settings, plan)), words.unit());

  int64_t enough = best->heads;
  for (const int64_t heads : equal) enough = std::min(enough, heads);
  const Cell* enough_cell =
      *std::find_if(cells.begin(), cells.end(), [&](const Cell* c) { return c->heads == enough; });
  std::string text = fmt::format("{} {} {} enough ({})", after, heads_text(enough),
                                 enough == 1 ? "is" : "are", words.result(*enough_cell));
  std::vector<int64_t> others;
  for (const int64_t heads : equal)
    if (heads != enough) others.push_back(heads);
  if (best->heads != enough) others.push_back(best->heads);
  std::sort(others.begin(), others.end());
  if (!others.empty())
    text += fmt::format("; {} {} no difference", list_text(others),
                        others.size() == 1 && others[0] == 1 ? "makes" : "make");
  for (const Comparison* c : worse)
    text += fmt::format("; {} {} worse by {} {} (95 % interval {} to {})", heads_text(c->heads),
                        c->heads == 1 ? "is" : "are", words.behind(*c), words.unit(),
                        words.least(*c), words.most(*c));
  for (const Comparison* c : open)
    text += fmt::format(
        "{}{} ({} {} behind, {} to {})",
        c == open.front() ? fmt::format("; {} seeds cannot decide about ", settings.seeds)
                          : " and ",
        heads_text(c->heads), words.behind(*c), words.unit(), words.least(*c), words.most(*c));
  return text + ".";
}

}  // namespace

Decision decide(const Settings& settings, const std::vector<FinishedRun>& runs) {
  Decision decision;
  decision.cells = cells_of(settings, runs);
  for (size_t t = 0; t < settings.tasks.size(); ++t) {
    std::vector<const Cell*> cells;
    for (const Cell& cell : decision.cells)
      if (cell.task == t) cells.push_back(&cell);
    const Cell* best = nullptr;
    for (const Cell* cell : cells)
      if (!best || (judged_by_loss(settings.tasks[t]) ? cell->loss_mean < best->loss_mean
                                                      : cell->accuracy_mean > best->accuracy_mean))
        best = cell;

    if (cells.empty()) {
      decision.sentences.push_back("No run of this task is done yet.");
      continue;
    }
    // Every count with the fewest heads, Holm-corrected, …
    std::vector<Comparison> with_fewest = compare_all(settings, cells, cells[0]);
    std::vector<double> p;
    for (const Comparison& c : with_fewest) p.push_back(c.p);
    const std::vector<double> corrected = heads::holm(p);
    for (size_t i = 0; i < with_fewest.size(); ++i) with_fewest[i].p_holm = corrected[i];
    // … and with the best, which is what a person wants to know.
    const std::vector<Comparison> with_best =
        best == cells[0] ? with_fewest : compare_all(settings, cells, best);

    decision.sentences.push_back(sentence(settings, t, cells, with_best, best));
    decision.comparisons.insert(decision.comparisons.end(), with_fewest.begin(), with_fewest.end());
    if (best != cells[0])
      decision.comparisons.insert(decision.comparisons.end(), with_best.begin(), with_best.end());
  }
  return decision;
}

}  // namespace headlight::study
