// Learning to write or to read from files of text: everything that decides such a run.
#pragma once

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "headlight/error.h"
#include "model/config.h"
#include "train/settings.h"

namespace headlight::train {

// What is learned: to write a line's counterpart, to answer questions about a text, to say what a
// picture shows, or to go on with lines; to tell the label of a text, or to guess tokens of lines
// that are masked.
enum class TextKind { translate, summarize, answer, caption, lm, classify, mlm };

// As run.json and the command line name them, in the order of the enumeration.
inline const std::vector<std::string> kTextKinds{"translate", "summarize", "answer", "caption",
                                                 "lm",        "classify",  "mlm"};

// What is held out of data without a validation part.
inline constexpr double kHeldOutShare = 0.05;
inline constexpr int64_t kHeldOutMost = 1000;  // pairs

// "a and b": for messages.
std::string names_of(const std::vector<std::filesystem::path>& files);

// Whether only an encoder is trained.
inline bool only_reads(TextKind kind) {
  return kind == TextKind::classify || kind == TextKind::mlm;
}

struct TextRun {
  TextKind kind = TextKind::translate;
  bool facts = false;  // answer: of stories, fact by fact
  // A checkpoint to go on from, which then says vocabulary and sizes; empty: a new model.
  std::filesystem::path from;
  // Two parallel files or one with tabs; answer: what task::read_questions() reads;
  // caption: what task::read_captions() reads; lm, mlm: lines; classify: pairs of text and label.
  std::vector<std::filesystem::path> data;
  std::vector<std::filesystem::path> valid;  // the same; none: a part of the data is held out
  int64_t vocabulary = 8000;                 // pieces at most
  bool lower_case = false;                   // of what is read; what is written keeps its case
  int64_t length = 256;  // longer pairs are left out, in tokens (with facts: in sentences)
  int64_t layers = 4, dim = 128, heads = 4, ffn = 256;
  double dropout = 0.3;
  int64_t image_size = 32, patch = 4;  // caption: pixels of a side
  bool skip_bad = false;               // caption: pictures that cannot be read
  int threads = 1;
  model::Precision precision = model::Precision::float32;  // of training steps
  Settings settings;                                       // its batch counts tokens
};

// `size` is "small" (about 2 million parameters, for tens of thousands of pairs on a laptop) or
// "base" (that of Vaswani et al. 2017). Throws Error (usage) for other names.
TextRun defaults_of(TextKind kind, const std::string& size);
// Of answers fact by fact, which have one size.
TextRun defaults_of_facts();

// The model that a run trains. Encoder-decoder: a Pegasus of transformers (norms before each part,
// sinusoidal positions, one table for source, target and output), for captions with patches of
// images for a source and learned positions; language model: a Llama; classifier of so many classes
// and masked language model: a BERT; answers fact by fact: an encoder whose places are sentences of
// so many tokens and whose output reads the question. Throws Error (usage) for sizes that make no
// model.
model::Config config_of(const TextRun& run, int64_t vocabulary, int64_t classes = 2,
                        int64_t sentence_tokens = 1);
// For config_of() where sizes are to be checked before the vocabulary is known.
inline constexpr int64_t kAnyVocabulary = 1024;

// The labels of a classifier by class, in a config.json of transformers.
void set_classes(nlohmann::ordered_json& json, const std::vector<std::string>& labels);

// The config.json of transformers for a model that only reads, and a classifier's labels by class.
nlohmann::ordered_json bert_config(const model::Config& config,
                                   const std::vector<std::string>& labels);

template <typename J>
void to_json(J& json, TextKind kind) {
  json = kTextKinds[size_t(kind)];
}
template <typename J>
void from_json(const J& json, TextKind& kind) {
  const auto name = std::ranges::find(kTextKinds, json.template get<std::string>());
  if (name == kTextKinds.end())
    throw Error(ErrorKind::bad_input, "there is no kind " + json.dump());
  kind = TextKind(name - kTextKinds.begin());
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TextRun, kind, facts, from, data, valid, vocabulary, lower_case,
                                   length, layers, dim, heads, ffn, dropout, image_size, patch,
                                   skip_bad, threads, precision, settings)

}  // namespace headlight::train
