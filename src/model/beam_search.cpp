#include "model/beam_search.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "headlight/error.h"
#include "model/next_token.h"

namespace headlight::model {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

struct Beam {
  std::vector<int64_t> tokens;
  double score = 0;  // sum of logarithms
};

// A beam and a token to put behind it.
struct Candidate {
  double score = kNever;
  size_t beam = 0;
  int64_t token = 0;
};

// The search for one row of the batch.
struct Search {
  size_t source = 0;  // which row
  int64_t most = 0;   // tokens
  std::vector<Beam> running;
  std::vector<Hypothesis> finished;  // best first
};

// The best `count` candidates, best first; of equals the one that comes first.
std::vector<Candidate> best_candidates(const Search& search, const float* logits,
                                       const double* normalisers, int64_t vocabulary,
                                       size_t count) {
  const auto better = [](const Candidate& a, const Candidate& b) { return a.score > b.score; };
  std::vector<Candidate> best;
  for (size_t b = 0; b < search.running.size(); ++b) {
    const double base = search.running[b].score - normalisers[b];
    const float* row = logits + static_cast<int64_t>(b) * vocabulary;
    double worst = best.size() < count ? kNever : best.back().score;
    // In the row's own units and rounded down, so that one comparison of floats rules most out.
    auto limit = static_cast<float>(worst - base);
    limit = std::nextafter(limit, -std::numeric_limits<float>::infinity());
    for (int64_t token = 0; token < vocabulary; ++token) {
      if (!(row[token] >= limit)) continue;
      const Candidate found{base + static_cast<double>(row[token]), b, token};
      if (best.size() == count && !(found.score > worst)) continue;
      if (found.score == kNever) continue;
      if (best.size() == count) best.pop_back();
      best.insert(std::upper_bound(best.begin(), best.end(), found, better), found);
      if (best.size() < count) continue;
      worst = best.back().score;
      limit =
          std::nextafter(static_cast<float>(worst - base), -std::numeric_limits<float>::infinity());
    }
  }
  return best;
}

bool is_end(const BeamSearch& how, int64_t token) {
  return std::find(how.end_tokens.begin(), how.end_tokens.end(), token) != how.end_tokens.end();
}

// Goes one token further; false if the search is over. `from` gets the beam that each of the new
// ones came from.
bool advance(Search& search, const std::vector<Candidate>& candidates, const BeamSearch& how,
             std::vector<size_t>& from) {
  const auto beams = static_cast<size_t>(how.beams);
  const auto length = static_cast<int64_t>(search.running[0].tokens.size()) + 1;
  const double divisor = std::pow(static_cast<double>(length), how.length_penalty);
  std::vector<Beam> running;
  from.clear();
  for (size_t rank = 0; rank < candidates.size(); ++rank) {
    const Candidate& candidate = candidates[rank];
    Beam beam{search.running[candidate.beam].tokens, candidate.score};
    beam.tokens.push_back(candidate.token);
    if (length < search.most && !is_end(how, candidate.token)) {
      if (running.size() == beams) continue;
      running.push_back(std::move(beam));
      from.push_back(candidate.beam);
    } else if (rank < beams) {
      search.finished.push_back({std::move(beam.tokens), beam.score / divisor});
    }
  }
  std::stable_sort(search.finished.begin(), search.finished.end(),
                   [](const Hypothesis& a, const Hypothesis& b) { return a.score > b.score; });
  if (search.finished.size() > beams) search.finished.resize(beams);
  search.running = std::move(running);
  if (search.running.empty()) return false;
  if (search.finished.size() < beams) return true;
  return !how.early_stopping && search.running[0].score / divisor > search.finished.back().score;
}

void check(const BeamSearch& how, int64_t rows) {
  if (how.beams < 1) throw Error(ErrorKind::usage, "beam search needs at least 1 beam");
  if (how.tokens.size() != 1 && static_cast<int64_t>(how.tokens.size()) != rows)
    throw Error(ErrorKind::usage,
                fmt::format("{} limits of tokens for {} rows", how.tokens.size(), rows));
}

}  // namespace

std::vector<std::vector<Hypothesis>> beam_search(const Transformer& model, const Inputs& inputs,
                                                 const BeamSearch& how) {
  NextToken next(model, inputs);
  const int64_t rows = next.rows();
  check(how, rows);
  const auto beams = static_cast<size_t>(how.beams);
  // One more than could be spent on ends, so that `beams` are left to go on with.
  const size_t count = beams * std::max<size_t>(2, 1 + how.end_tokens.size());
  std::vector<Search> searches;
  for (int64_t row = 0; row < rows; ++row) {
    const auto source = static_cast<size_t>(row);
    const int64_t most = how.tokens[how.tokens.size() == 1 ? 0 : source];
    searches.push_back({source, std::min(most, next.room()), {Beam{}}, {}});
  }
  std::vector<std::vector<Hypothesis>> results(static_cast<size_t>(rows));
  std::erase_if(searches, [](const Search& search) { return search.most < 1; });
  if (searches.size() != results.size())
    throw Error(ErrorKind::usage, "there is no room for a single new token");

  size_t width = 1;  // rows a search has in the batch; dead ones fill up
  while (!searches.empty()) {
    const auto [logits, normalisers] = next.choice(how.forbidden);
    const int64_t vocabulary = logits.size(1);
    std::vector<std::vector<Candidate>> candidates(searches.size());
    at::parallel_for(0, static_cast<int64_t>(searches.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i * static_cast<int64_t>(width);
        candidates[static_cast<size_t>(i)] = best_candidates(
            searches[static_cast<size_t>(i)], logits.const_data_ptr<float>() + row * vocabulary,
            normalisers.const_data_ptr<double>() + row, vocabulary, count);
      }
    });

    std::vector<Search> left;
    std::vector<int64_t> from_rows, tokens, sources;
    std::vector<size_t> from;
    for (size_t i = 0; i < searches.size(); ++i) {
      Search& search = searches[i];
      if (!advance(search, candidates[i], how, from)) {
        results[search.source] = std::move(search.finished);
        continue;
      }
      for (size_t beam = 0; beam < beams; ++beam) {
        const size_t one = std::min(beam, from.size() - 1);
        from_rows.push_back(static_cast<int64_t>(i * width + from[one]));
        tokens.push_back(search.running[one].tokens.back());
      }
      sources.push_back(static_cast<int64_t>(i));
      left.push_back(std::move(search));
    }
    searches = std::move(left);
    width = beams;
    if (!searches.empty()) next.go_on(from_rows, tokens, sources);
  }
  return results;
}

}  // namespace headlight::model
