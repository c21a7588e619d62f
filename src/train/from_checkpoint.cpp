#include "train/from_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "headlight/error.h"
#include "model/checkpoint.h"
#include "model/pruned_record.h"
#include "tensorfile/atomic_file.h"
#include "tensorfile/json_file.h"

namespace headlight::train {
namespace {

using Json = nlohmann::ordered_json;

bool is_text_encoder(const model::Config& c) {
  return c.kind == model::Kind::encoder_only && c.patch == 0 && c.sentence_tokens == 0;
}

bool writes_from_text(const model::Config& c) {
  return c.kind == model::Kind::encoder_decoder && c.patch == 0 && c.output && c.start_token >= 0;
}

bool is_classifier(const model::Config& c) {
  return is_text_encoder(c) && c.output && c.output_place != model::OutputPlace::every;
}

// The encoder below an output of what transformers calls `head`, which has learned nothing yet.
void give_output(FromCheckpoint& from, const TextRun& run, const char* head) {
  static const std::map<std::string, std::string> kNames = {
      {"bert", "Bert"}, {"roberta", "Roberta"}, {"distilbert", "DistilBert"}};
  const auto type = from.config.at("model_type").get<std::string>();
  const auto name = kNames.find(type);
  if (name == kNames.end())
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: a model of type {} gets no new output; bert, roberta and "
                            "distilbert do",
                            run.from.string(), type));
  from.config["architectures"] = {name->second + head};
  from.model = model::with_new_output(from.model, from.config, run.settings.seed);
}

// What a kind goes on from, in words; null where a model is one.
const char* misses(TextKind kind, const model::Config& c) {
  switch (kind) {
    case TextKind::translate:
    case TextKind::summarize:
      return writes_from_text(c) ? nullptr
                                 : "an encoder-decoder of text (Marian, Pegasus, BART, T5)";
    case TextKind::answer:
      return writes_from_text(c) || is_text_encoder(c)
                 ? nullptr
                 : "an encoder-decoder of text (T5, BART, Marian, Pegasus) or an encoder (BERT, "
                   "RoBERTa, DistilBERT)";
    case TextKind::lm:
      return c.predicts_next && c.output && !c.end_tokens.empty()
                 ? nullptr
                 : "a language model (GPT-2, Llama and their like) with an eos_token_id";
    case TextKind::classify:
      return is_text_encoder(c) && (!is_classifier(c) || (c.exclusive && c.classes > 1))
                 ? nullptr
                 : "an encoder of text (BERT, RoBERTa, DistilBERT) whose labels, if it has some, "
                   "exclude one another";
    case TextKind::caption:
    case TextKind::mlm:
      break;
  }
  return "no checkpoint";
}

}  // namespace

FromCheckpoint from_checkpoint(const TextRun& run, const std::vector<std::string>& labels) {
  FromCheckpoint from{.folder = run.from,
                      .model = model::load(run.from),
                      .config = tensorfile::read_ordered_json_file(run.from / "config.json"),
                      .labels = {}};
  if (const char* needed = misses(run.kind, from.model.config))
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: --kind {} goes on from {}, which this is not", run.from.string(),
                            kTextKinds[size_t(run.kind)], needed));
  for (const char* type : {"dtype", "torch_dtype"})
    if (from.config.contains(type)) from.config[type] = "float32";  // what is written
  if (run.kind == TextKind::classify) {
    if (is_classifier(from.model.config))
      from.labels = model::class_names(run.from, from.model.config.classes);
    const bool known = std::ranges::all_of(labels, [&](const std::string& label) {
      return std::ranges::count(from.labels, label) > 0;
    });
    if (!known) {
      from.labels = labels;
      set_classes(from.config, labels);
      give_output(from, run, "ForSequenceClassification");
    }
  }
  if (run.kind == TextKind::answer && is_text_encoder(from.model.config) &&
      !model::marks_spans(from.model.config)) {
    for (const char* of_classes : {"id2label", "label2id", "num_labels", "problem_type"})
      from.config.erase(of_classes);
    give_output(from, run, "ForQuestionAnswering");
  }
  model::Config& config = from.model.config;
  if (run.dropout != config.dropout)
    config.dropout = config.embedding_dropout = config.attention_dropout = run.dropout;
  return from;
}

void save_like(const FromCheckpoint& from, const model::Transformer& model,
               const std::filesystem::path& folder) {
  if (from.config.at("model_type") != "headlight") {
    model::save_as(from.config, model, folder);
  } else {
    model::save(model, folder);
    Json config = tensorfile::read_ordered_json_file(folder / "config.json");
    for (const char* key : {model::kClassNames, model::kPrunedRecord})
      if (from.config.contains(key)) config[key] = from.config.at(key);
    tensorfile::write_file_atomically(folder / "config.json", config.dump(2) + "\n");
  }
  model::copy_beside_weights(from.folder, folder);
}

}  // namespace headlight::train
