// A model that classifies texts, with its tokenizer and the names of its classes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "model/transformer.h"
#include "text/tokenizer.h"

namespace headlight::task {

struct TextClassifier {
  model::Transformer model;
  text::Tokenizer tokenizer;
  std::vector<std::string> labels;  // by class
};

// A folder that model::load() and text::read_tokenizer() read. Throws Error: usage for a model that
// gives texts no classes, bad_input if model and tokenizer do not belong together.
TextClassifier read_text_classifier(const std::filesystem::path& folder);

struct Classifying {
  int64_t batch = 32;  // lines at once
  bool cut = false;    // lines that are longer than the model reads; otherwise they are refused
};

// For every line the probability of every class, none for a line without text: by softmax, or where
// classes do not exclude each other each by itself. `where`, `first_line` and `progress` as for
// write_lines().
std::vector<std::vector<double>> classify_lines(
    const TextClassifier& classifier, const std::vector<std::string>& lines, const Classifying& how,
    const std::string& where = "", int64_t first_line = 1,
    const std::function<bool(int64_t done)>& progress = {});

}  // namespace headlight::task
