#include "model/sampling.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "headlight/error.h"
#include "headlight/splitmix64.h"
#include "model/next_token.h"

namespace headlight::model {
namespace {

void check(const Sampling& how, size_t rows) {
  const auto refuse = [](const std::string& message) { throw Error(ErrorKind::usage, message); };
  if (!(how.temperature >= 0 && std::isfinite(how.temperature)))
    refuse(fmt::format("a temperature of {}; it must be 0 (the likeliest token) or more",
                       how.temperature));
  if (how.top_k < 0) refuse(fmt::format("top k is {}; it must be 0 (all) or more", how.top_k));
  if (!(how.top_p > 0 && how.top_p <= 1))
    refuse(fmt::format("top p is {}; it must be above 0 and at most 1", how.top_p));
  for (const size_t size : {how.seeds.size(), how.tokens.size()})
    if (size != 1 && size != rows)
      refuse(fmt::format("{} seeds or limits for {} rows", size, rows));
}

int64_t largest(const float* logits, int64_t vocabulary) {
  return std::max_element(logits, logits + vocabulary) - logits;
}

// `share` from 0 to 1 decides.
int64_t drawn(const float* logits, int64_t vocabulary, const Sampling& how, double share) {
  std::vector<int64_t> order(static_cast<size_t>(vocabulary));
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto likelier = [&](int64_t a, int64_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  if (how.top_k > 0 && how.top_k < vocabulary) {
    std::nth_element(order.begin(), order.begin() + (how.top_k - 1), order.end(), likelier);
    // transformers keeps equals of the last one that is in.
    const float last = logits[order[static_cast<size_t>(how.top_k - 1)]];
    std::erase_if(order, [&](int64_t token) { return logits[token] < last; });
    std::sort(order.begin(), order.end());
  }
  const float top = logits[largest(logits, vocabulary)];
  const auto weight = [&](int64_t token) {
    return std::exp(static_cast<double>(logits[token] - top) / how.temperature);
  };
  if (how.top_p < 1) {
    std::sort(order.begin(), order.end(), likelier);
    double total = 0, above = 0;
    for (const int64_t token : order) total += weight(token);
    size_t kept = 0;
    while (kept < order.size() && (kept == 0 || above < how.top_p * total))
      above += weight(order[kept++]);
    order.resize(kept);
  }
  double total = 0;
  for (const int64_t token : order) total += weight(token);
  double left = share * total;
  for (const int64_t token : order) {
    left -= weight(token);
    if (left < 0) return token;
  }
  return order.back();
}

}  // namespace

std::vector<Hypothesis> sample(const Transformer& model, const Inputs& inputs,
                               const Sampling& how) {
  NextToken next(model, inputs);
  const int64_t rows = next.rows();
  check(how, static_cast<size_t>(rows));
  std::vector<Hypothesis> results(static_cast<size_t>(rows));
  std::vector<size_t> running(results.size());  // which result each row of the batch writes
  std::iota(running.begin(), running.end(), size_t{0});
  std::vector<int64_t> most;
  for (const size_t row : running)
    most.push_back(std::min(how.tokens[how.tokens.size() == 1 ? 0 : row], next.room()));
  if (std::ranges::any_of(most, [](int64_t tokens) { return tokens < 1; }))
    throw Error(ErrorKind::usage, "there is no room for a single new token");

  while (!running.empty()) {
    const auto [logits, normalisers] = next.choice(how.forbidden);
    const int64_t vocabulary = logits.size(1);
    std::vector<int64_t> rows_left, tokens;
    std::vector<size_t> still;
    for (size_t i = 0; i < running.size(); ++i) {
      const float* row = logits.const_data_ptr<float>() + static_cast<int64_t>(i) * vocabulary;
      Hypothesis& written = results[running[i]];
      int64_t token = 0;
      if (how.temperature == 0) {
        token = largest(row, vocabulary);
      } else {
        const uint64_t seed = how.seeds[how.seeds.size() == 1 ? 0 : running[i]];
        const uint64_t bits = SplitMix64::finalized(
            SplitMix64::finalized(seed) + (written.tokens.size() + 1) * SplitMix64::kGamma);
        token = drawn(row, vocabulary, how, static_cast<double>(bits >> 11) * 0x1p-53);
      }
      written.score += static_cast<double>(row[token]) - normalisers.const_data_ptr<double>()[i];
      written.tokens.push_back(token);
      const bool ended = std::ranges::find(how.end_tokens, token) != how.end_tokens.end();
      if (ended || static_cast<int64_t>(written.tokens.size()) >= most[running[i]]) continue;
      rows_left.push_back(static_cast<int64_t>(i));
      tokens.push_back(token);
      still.push_back(running[i]);
    }
    running = std::move(still);
    if (!running.empty()) next.go_on(rows_left, tokens, rows_left);
  }
  return results;
}

}  // namespace headlight::model
