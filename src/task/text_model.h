// A model that writes text, with the tokenizers that it reads and writes by: lines in, lines out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "model/transformer.h"
#include "text/tokenizer.h"

namespace headlight::task {

struct TextModel {
  model::Transformer model;
  text::Tokenizer source, target;  // the same for a language model and a reader of pictures
  std::vector<int64_t> end_tokens;
  std::vector<int64_t> forbidden;  // tokens that are never written, from "bad_words_ids"
};

// The file that holds the tokenizer of what a model writes, if that is another one than that of
// what it reads: target_tokenizer.json (headlight) or target.spm (Marian). Else the folder.
std::filesystem::path target_tokenizer_file(const std::filesystem::path& folder);

// The model of a folder, with the tokenizers that text::read_tokenizer() reads there. Throws Error
// (bad_input) if they do not belong together, usage for a model that writes no text.
TextModel text_model(model::Transformer model, const std::filesystem::path& folder);

struct Writing {
  int64_t beams = 5;          // 1: one way at a time, the likeliest token or a drawn one
  double length_penalty = 1;  // scores are logarithms divided by (tokens)^length_penalty
  bool early_stopping = false;
  double temperature = 0;  // with 1 beam: 0 is the likeliest token
  int64_t top_k = 0;       // 0: all
  double top_p = 1;
  uint64_t seed = 0;
  int64_t nbest = 1;        // texts a line
  int64_t most_tokens = 0;  // new ones; 0: by the length of the source, or 64 where that is no text
  int64_t batch = 32;       // lines at once
  bool cut = false;  // lines that are longer than the model reads; otherwise they are refused
};

struct Written {
  std::string text;  // one line; a language model's begins with what it was given
  double score = 0;
};

// For every line up to `nbest` texts, best first; none for a line without text. `where` begins
// messages about a line ("test.en"), whose numbers count from `first_line`. After each batch
// `progress` hears how many lines are done; false stops, and what is missing stays empty.
std::vector<std::vector<Written>> write_lines(
    const TextModel& model, const std::vector<std::string>& lines, const Writing& how,
    const std::string& where = "", int64_t first_line = 1,
    const std::function<bool(int64_t done)>& progress = {});

// The same for pictures [C, height, width] and a model that reads them; `first` counts as the
// number of the first one where texts are drawn.
std::vector<std::vector<Written>> write_captions(
    const TextModel& model, const std::vector<at::Tensor>& pictures, const Writing& how,
    int64_t first = 1, const std::function<bool(int64_t done)>& progress = {});

}  // namespace headlight::task
