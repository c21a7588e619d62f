#include "train/from_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "headlight/error.h"
#include "model/checkpoint.h"
#include "tensorfile/json_file.h"

namespace headlight::train {
namespace {

using Json = nlohmann::ordered_json;

bool reads_only(const model::Config& c) {
  return c.kind == model::Kind::encoder_only && c.patch == 0;
}

bool is_classifier(const model::Config& c) {
  return reads_only(c) && c.output && c.output_place != model::OutputPlace::every;
}

// Encoders that get a new output, and how transformers names those that have one.
std::string class_for(const std::string& model_type, const char* head) {
  static const std::map<std::string, std::string> kNames = {
      {"bert", "Bert"}, {"roberta", "Roberta"}, {"distilbert", "DistilBert"}};
  const auto name = kNames.find(model_type);
  return name == kNames.end() ? "" : name->second + head;
}

void set_classes(Json& config, const std::vector<std::string>& labels) {
  config["problem_type"] = "single_label_classification";
  config["id2label"] = config["label2id"] = Json::object();
  for (size_t i = 0; i < labels.size(); ++i) {
    config["id2label"][std::to_string(i)] = labels[i];
    config["label2id"][labels[i]] = i;
  }
  config.erase("num_labels");
}

// What a kind goes on from, in words; null where a model is one.
const char* misses(TextKind kind, const model::Config& c) {
  switch (kind) {
    case TextKind::translate:
    case TextKind::summarize:
    case TextKind::answer:
      return c.kind == model::Kind::encoder_decoder && c.patch == 0 && c.start_token >= 0
                 ? nullptr
                 : "an encoder-decoder of text (Marian, Pegasus, BART, T5)";
    case TextKind::lm:
      return c.predicts_next && !c.end_tokens.empty()
                 ? nullptr
                 : "a language model (GPT-2, Llama and their like) with an eos_token_id";
    case TextKind::classify:
      return reads_only(c) ? nullptr : "an encoder of text (BERT, RoBERTa, DistilBERT)";
    case TextKind::caption:
    case TextKind::mlm:
      break;
  }
  return "nothing yet";
}

}  // namespace

FromCheckpoint from_checkpoint(const TextRun& run, const std::vector<std::string>& labels) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::bad_input, fmt::format("{}: {}", run.from.string(), why));
  };
  FromCheckpoint from{.model = model::load(run.from),
                      .config = tensorfile::read_ordered_json_file(run.from / "config.json"),
                      .labels = {}};
  if (const char* needed = misses(run.kind, from.model.config))
    refuse(fmt::format("--kind {} goes on from {}, which this is not", kTextKinds[size_t(run.kind)],
                       needed));
  for (const char* type : {"dtype", "torch_dtype"})
    if (from.config.contains(type)) from.config[type] = "float32";  // what is written
  if (run.kind == TextKind::classify) {
    if (is_classifier(from.model.config))
      from.labels = model::class_names(run.from, from.model.config.classes);
    const bool known = std::ranges::all_of(labels, [&](const std::string& label) {
      return std::ranges::count(from.labels, label) > 0;
    });
    if (!known) {
      const auto type = from.config.at("model_type").get<std::string>();
      const std::string name = class_for(type, "ForSequenceClassification");
      if (name.empty())
        refuse(
            fmt::format("a model of type {} gets no output for labels of its own; bert, "
                        "roberta and distilbert do",
                        type));
      from.labels = labels;
      from.config["architectures"] = {name};
      set_classes(from.config, labels);
      from.model = model::with_new_output(from.model, from.config, run.settings.seed);
    }
  }
  model::Config& config = from.model.config;
  config.dropout = config.embedding_dropout = run.dropout;
  return from;
}

void save_like(const FromCheckpoint& from, const model::Transformer& model,
               const std::filesystem::path& folder) {
  if (from.config.at("model_type") == "headlight")
    model::save(model, folder);
  else
    model::save_as(from.config, model, folder);
}

}  // namespace headlight::train
