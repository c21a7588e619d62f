#include "train/text_run.h"

#include <fmt/format.h>

#include <cmath>

#include "headlight/error.h"
#include "text/learned_pieces.h"

namespace headlight::train {

std::string names_of(const std::vector<std::filesystem::path>& files) {
  std::string names;
  for (const std::filesystem::path& file : files)
    names += (names.empty() ? "" : " and ") + file.string();
  return names;
}

TextRun defaults_of(TextKind kind, const std::string& size) {
  TextRun run;
  run.kind = kind;
  run.lower_case = kind == TextKind::translate;
  Settings& s = run.settings;
  s.steps = 12'000;
  s.batch = 2048;
  s.learning_rate = 3e-3;
  s.warmup = 1500;
  s.schedule = Schedule::inverse_sqrt;
  s.beta2 = 0.98;
  s.label_smoothing = 0.1;
  s.average = 8;
  s.evaluate_every = 500;
  s.checkpoint_seconds = 60;
  s.target_accuracy = 1;
  if (kind == TextKind::summarize) {
    run.length = 512;
    run.dropout = 0.1;
    s.batch = 4096;
    s.learning_rate = 2e-3;
  }
  if (kind == TextKind::answer) {
    run.vocabulary = 2000;
    run.length = 512;
    run.dropout = 0.1;
    s.batch = 4096;
    s.learning_rate = 1e-3;
    s.label_smoothing = 0;
  }
  if (kind == TextKind::caption) {
    run.vocabulary = 2000;
    run.length = 64;
    run.dropout = 0.1;
    s.batch = 4096;
    s.learning_rate = 1e-3;
  }
  if (kind == TextKind::lm) {
    run.ffn = 384;
    run.dropout = 0.1;
    s.label_smoothing = 0;
    s.learning_rate = 2e-3;
  }
  if (only_reads(kind)) {
    run.dropout = 0.1;
    s.batch = 4096;
    s.learning_rate = 1e-3;
    s.label_smoothing = 0;
  }
  if (kind == TextKind::classify) {
    s.steps = 3000;
    s.warmup = 500;
    s.evaluate_every = 250;
  }
  if (size == "base") {
    run.layers = 6;
    run.dim = 512;
    run.heads = 8;
    run.ffn = kind == TextKind::lm ? 1536 : 2048;
    run.dropout = 0.1;
    s.batch = 8192;
    s.learning_rate = 7e-4;
    s.warmup = 4000;
    s.steps = 100'000;
  } else if (size != "small") {
    throw Error(ErrorKind::usage,
                fmt::format("there is no size \"{}\"; there are small and base", size));
  }
  return run;
}

TextRun defaults_of_facts() {
  TextRun run = defaults_of(TextKind::answer, "small");
  run.facts = run.lower_case = true;
  run.length = 256;
  run.dim = 64;
  run.ffn = 128;
  run.dropout = 0.25;
  Settings& s = run.settings;
  s.steps = 24'000;
  s.batch = 512;
  s.learning_rate = 2e-3;
  s.warmup = 500;
  s.schedule = Schedule::cosine;
  s.clip_norm = 1;
  s.evaluate_every = 1000;
  return run;
}

namespace {

model::Config config_of_facts(const TextRun& run, int64_t vocabulary, int64_t classes,
                              int64_t sentence_tokens) {
  model::Config c;
  c.kind = model::Kind::encoder_only;
  c.vocabulary = vocabulary;
  c.classes = classes;
  c.sentence_tokens = sentence_tokens;
  c.only_first_attends = c.shared_layers = true;
  c.output_place = model::OutputPlace::first;
  c.dim = run.dim;
  c.layers = run.layers;
  c.heads = run.heads;
  c.ffn = run.ffn;
  c.positions = run.length;
  c.norm = model::Norm::layer;
  c.norm_epsilon = 1e-5;
  c.final_norm = true;
  c.dropout = run.dropout;
  return model::completed(c);
}

}  // namespace

model::Config config_of(const TextRun& run, int64_t vocabulary, int64_t classes,
                        int64_t sentence_tokens) {
  if (run.facts) return config_of_facts(run, vocabulary, classes, sentence_tokens);
  model::Config c;
  c.vocabulary = vocabulary;
  c.dim = run.dim;
  c.layers = run.layers;
  c.heads = run.heads;
  c.ffn = run.ffn;
  c.positions = run.length;
  c.tied = run.kind != TextKind::classify;
  c.final_norm = !only_reads(run.kind);
  c.dropout = c.embedding_dropout = run.dropout;
  if (!only_reads(run.kind)) c.end_tokens = {text::kEnd};
  if (only_reads(run.kind)) {
    c.kind = model::Kind::encoder_only;
    c.norm = model::Norm::layer;
    c.norm_place = model::NormPlace::post;
    c.norm_epsilon = 1e-12;
    c.embedding_norm = true;
    c.activation = model::Activation::gelu;
    c.position = model::Position::learned;
    c.token_types = 2;
    c.transform = true;
    if (run.kind == TextKind::classify) {
      c.classes = classes;
      c.output_place = model::OutputPlace::first;
      c.transform_activation = model::Activation::tanh;
    } else {
      c.transform_norm = true;
    }
  } else if (run.kind == TextKind::lm) {
    c.kind = model::Kind::decoder_only;
    c.norm = model::Norm::rms;
    c.activation = model::Activation::swiglu;
    c.position = model::Position::rotary;
    c.linear_bias = c.output_bias = false;
    c.predicts_next = true;
  } else {
    c.kind = model::Kind::encoder_decoder;
    c.norm = model::Norm::layer;
    c.norm_epsilon = 1e-5;
    c.activation = model::Activation::relu;
    c.position = model::Position::sinusoidal_halves;
    c.embedding_scale = std::sqrt(static_cast<double>(run.dim));
    c.shared_tokens = run.kind != TextKind::caption;
    c.start_token = text::kBegin;
  }
  if (run.kind == TextKind::caption) {
    if (run.patch < 1)
      throw Error(ErrorKind::usage,
                  fmt::format("patches are {} pixels wide; 1 or more make sense", run.patch));
    c.position = model::Position::learned;  // of patches in two directions
    c.patch = run.patch;
    c.channels = 3;
    c.image_height = c.image_width = run.image_size;
  }
  return model::completed(c);
}

void set_classes(nlohmann::ordered_json& json, const std::vector<std::string>& labels) {
  json["problem_type"] = "single_label_classification";
  json["id2label"] = json["label2id"] = nlohmann::ordered_json::object();
  for (size_t i = 0; i < labels.size(); ++i) {
    json["id2label"][std::to_string(i)] = labels[i];
    json["label2id"][labels[i]] = i;
  }
  json.erase("num_labels");
}

nlohmann::ordered_json bert_config(const model::Config& c, const std::vector<std::string>& labels) {
  nlohmann::ordered_json json = {
      {"architectures", {labels.empty() ? "BertForMaskedLM" : "BertForSequenceClassification"}},
      {"model_type", "bert"},
      {"vocab_size", c.vocabulary},
      {"hidden_size", c.dim},
      {"num_hidden_layers", c.layers},
      {"num_attention_heads", c.heads},
      {"intermediate_size", c.ffn},
      {"hidden_act", "gelu"},
      {"max_position_embeddings", c.positions},
      {"type_vocab_size", c.token_types},
      {"layer_norm_eps", c.norm_epsilon},
      {"hidden_dropout_prob", c.dropout},
      {"attention_probs_dropout_prob", c.attention_dropout},
      {"tie_word_embeddings", c.tied},
      {"pad_token_id", text::kPadding}};
  if (labels.empty()) return json;
  set_classes(json, labels);
  return json;
}

}  // namespace headlight::train
