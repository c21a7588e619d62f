// What a ranking has found so far, on disk: a later one of the same model and data takes it up.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lab/example.h"
#include "model/transformer.h"

namespace headlight::lab {

struct RankingState {
  struct Loss {
    double loss = 0;           // of the data set
    std::vector<double> nats;  // by example; empty where only the loss is of interest
  };
  std::vector<std::vector<double>> gradients;  // as gate_gradients(); empty: not yet
  std::map<std::string, Loss> losses;          // by what was removed
};

// Of the weights, the config, the tokens and the labels: other numbers, another print.
uint64_t fingerprint(const model::Transformer& model, const std::vector<Example>& examples);

// One JSON file, replaced as a whole. load() gives an empty state where there is no file, and
// throws Error (bad_input) for a file that is none of these or belongs to another print.
void save(const RankingState& state, uint64_t print, const std::filesystem::path& path);
RankingState load_ranking_state(const std::filesystem::path& path, uint64_t print);

}  // namespace headlight::lab
