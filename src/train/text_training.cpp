#include "train/text_training.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>

#include "headlight/error.h"
#include "model/checkpoint.h"
#include "model/next_token.h"
#include "score/answer.h"
#include "score/chrf.h"
#include "score/evaluation.h"
#include "score/rouge.h"
#include "task/captions.h"
#include "task/encoder_task.h"
#include "task/image_input.h"
#include "task/length_buckets.h"
#include "task/questions.h"
#include "task/random.h"
#include "task/sequences_task.h"
#include "task/text_model.h"
#include "task/token_lines.h"
#include "tensorfile/atomic_file.h"
#include "text/learned_pieces.h"
#include "text/letter_case.h"
#include "text/lines.h"
#include "train/fact_material.h"
#include "train/span_material.h"

namespace headlight::train {
namespace {

namespace fs = std::filesystem;

// All but captions is without pictures.
task::Captions read(const TextRun& run, const std::vector<fs::path>& files,
                    const fs::path& folder) {
  switch (run.kind) {
    case TextKind::caption:
      return task::read_captions(files, folder, config_of(run, kAnyVocabulary), run.skip_bad);
    case TextKind::lm:
    case TextKind::mlm:
      return {task::read_alone(files), {}, 0};
    case TextKind::answer:
      return {task::as_lines(task::read_questions(files)), {}, 0};
    default:
      return {task::read_pairs(files), {}, 0};
  }
}

std::vector<std::string> labels_of(const TextRun& run, const task::ParallelText& text) {
  const std::set<std::string> all(text.targets.begin(), text.targets.end());
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::bad_input, fmt::format("{}: {}", names_of(run.data), why));
  };
  if (all.size() == 1)
    refuse(fmt::format("every line has the label \"{}\"; a classifier needs two at least",
                       *all.begin()));
  if (!all.empty() && all.size() == text.targets.size())
    refuse(
        fmt::format("each of the {} lines has a label of its own, so these are no labels; on a "
                    "line the text comes first, then a tab and its label",
                    all.size()));
  return {all.begin(), all.end()};
}

// Labels for validation that nothing is learned about.
void check_labels(const TextRun& run, const task::ParallelText& valid,
                  const std::vector<std::string>& labels) {
  for (size_t i = 0; i < valid.targets.size(); ++i)
    if (!text::is_blank(valid.targets[i]) && std::ranges::count(labels, valid.targets[i]) == 0)
      throw Error(
          ErrorKind::bad_input,
          fmt::format("{}: line {}: the label \"{}\" is not among those to learn from: {}",
                      run.valid.back().string(), i + 1, valid.targets[i], fmt::join(labels, ", ")));
}

void learn_tokenizers(const TextRun& run, const task::ParallelText& text, const fs::path& folder) {
  std::vector<std::string> lines;
  if (run.kind != TextKind::caption)
    for (const std::string& source : text.sources)
      lines.push_back(run.lower_case ? text::lower_case_text(source) : source);
  if (run.kind != TextKind::classify)
    lines.insert(lines.end(), text.targets.begin(), text.targets.end());
  const text::Pieces pieces = text::learn_pieces(lines, run.vocabulary);
  const bool lm = run.kind == TextKind::lm;
  const auto write = [&](const char* name, const nlohmann::ordered_json& json) {
    tensorfile::write_file_atomically(folder / name, json.dump() + "\n");
  };
  nlohmann::ordered_json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                   {"pad_token", "<pad>"},
                                   {"eos_token", "</s>"},
                                   {"unk_token", "<unk>"},
                                   {"bos_token", "<s>"},
                                   {"clean_up_tokenization_spaces", false},
                                   {"model_input_names", {"input_ids", "attention_mask"}},
                                   {"model_max_length", run.length}};
  if (only_reads(run.kind)) config.update({{"cls_token", "<s>"}, {"sep_token", "</s>"}});
  if (run.kind == TextKind::mlm) config["mask_token"] = text::kMask;
  write("tokenizer_config.json", config);
  // So that transformers writes what headlight's verbs do by default.
  const bool searches = run.kind == TextKind::translate || run.kind == TextKind::summarize;
  nlohmann::ordered_json generation = {{"pad_token_id", text::kPadding},
                                       {"bos_token_id", text::kBegin},
                                       {"eos_token_id", text::kEnd},
                                       {"max_length", run.length},
                                       {"num_beams", searches ? 5 : 1}};
  if (!lm) generation["decoder_start_token_id"] = text::kBegin;
  if (run.kind != TextKind::caption && !only_reads(run.kind))
    write("generation_config.json", generation);
  if (run.lower_case) write("target_tokenizer.json", text::tokenizer_json(pieces, {}));
  // Last: a folder that has it has all.
  write("tokenizer.json", text::tokenizer_json(pieces, {.lower_case = run.lower_case,
                                                        .keep_spaces = lm,
                                                        .begin = lm || only_reads(run.kind),
                                                        .end = !lm,
                                                        .mask = run.kind == TextKind::mlm}));
}

task::Sequence encoded(const text::Tokenizer& tokenizer, const std::string& line) {
  const std::vector<int64_t> ids = text::encode(tokenizer, line).ids;
  return {ids.begin(), ids.end()};
}

// What a decoder reads first, what ends a text that a language model goes on with, and what rows
// are filled up with.
struct Marks {
  int64_t begin = text::kBegin, end = text::kEnd, padding = text::kPadding;
};

Marks marks_of(const model::Config& config, const text::Tokenizer& tokenizer) {
  Marks marks{.begin = config.start_token, .end = -1, .padding = 0};
  if (config.padding_token >= 0) marks.padding = config.padding_token;  // positions count from it
  if (config.kind != model::Kind::decoder_only) return marks;
  marks.end = config.end_tokens.front();
  const text::Encoding some = text::encode(tokenizer, "a");
  marks.begin = some.size() > 0 && some.special[0] ? some.ids[0] : marks.end;
  return marks;
}

struct Encoded {
  task::Sequences sequences;
  task::ParallelText text;  // of what was kept
  int64_t too_long = 0;
};

// A classifier's targets are numbers of labels.
Encoded encode_all(const TextRun& run, const task::Captions& data,
                   const std::vector<std::string>& labels, const text::Tokenizer& source,
                   const text::Tokenizer& target, const Marks& marks) {
  const bool alone = run.kind == TextKind::lm || run.kind == TextKind::mlm;
  Encoded all;
  const task::ParallelText& text = data.text;
  for (size_t i = 0; i < text.targets.size(); ++i) {
    task::Sequence from, to;
    if (run.kind == TextKind::classify)
      to = {static_cast<int32_t>(std::ranges::find(labels, text.targets[i]) - labels.begin())};
    else
      to = encoded(target, text.targets[i]);
    if (run.kind == TextKind::lm) {  // the tokenizer puts <s> before a prompt; targets end instead
      if (!to.empty() && to.front() == marks.begin) to.erase(to.begin());
      if (to.empty() || to.back() != marks.end) to.push_back(static_cast<int32_t>(marks.end));
    } else if (!alone && run.kind != TextKind::caption) {
      from = encoded(source, text.sources[i]);
    }
    if (static_cast<int64_t>(std::max(from.size(), to.size())) > run.length) {
      ++all.too_long;
      continue;
    }
    all.sequences.targets.push_back(std::move(to));
    all.text.targets.push_back(text.targets[i]);
    if (alone) continue;
    all.text.sources.push_back(text.sources[i]);
    if (run.kind == TextKind::caption)
      all.sequences.pictures.push_back(data.pictures.at(text.sources[i]));
    else
      all.sequences.sources.push_back(std::move(from));
  }
  return all;
}

// What the model writes for what is judged.
std::vector<std::string> texts_of(const TextRun& run, const TextMaterial& material,
                                  const model::Transformer& model) {
  const task::TextModel writer{model, material.source, material.target, model.config.end_tokens,
                               material.forbidden};
  const task::Writing how{.beams = 1, .batch = 128, .cut = true};
  std::vector<std::vector<task::Written>> all;
  if (run.kind == TextKind::caption) {
    std::vector<at::Tensor> pictures;
    for (const std::string& name : material.judged.sources)
      pictures.push_back(material.pictures.at(name));
    all = task::write_captions(writer, pictures, how);
  } else {
    all = task::write_lines(writer, material.judged.sources, how);
  }
  std::vector<std::string> texts;
  for (const auto& written : all) texts.push_back(written.empty() ? "" : written[0].text);
  return texts;
}

// What an encoder learns from.
task::ReadTexts texts_to_read(const TextRun& run, task::Sequences sequences) {
  if (run.kind == TextKind::mlm) return {std::move(sequences.targets), {}};
  task::ReadTexts read{std::move(sequences.sources), {}};
  for (const task::Sequence& label : sequences.targets) read.classes.push_back(label[0]);
  return read;
}

double judged(const TextRun& run, const TextMaterial& material, const model::Transformer& model) {
  if (!material.asked.empty()) return exact_spans(material, model);
  const std::vector<std::string> texts = texts_of(run, material, model);
  const std::vector<std::string>& right = material.judged.targets;
  if (run.kind == TextKind::translate) return score::corpus_bleu(texts, right);
  if (run.kind == TextKind::caption) {
    score::ChrfCounts counts;
    for (size_t i = 0; i < texts.size(); ++i) counts += score::chrf_counts(texts[i], right[i]);
    return score::chrf(counts);
  }
  double sum = 0;
  for (size_t i = 0; i < texts.size(); ++i)
    sum += run.kind == TextKind::answer ? double(score::compare_answers(texts[i], right[i]).exact)
                                        : score::rouge(texts[i], right[i]).longest;
  return 100 * sum / static_cast<double>(texts.size());
}

TextMaterial prepared(const TextRun& run, const fs::path& folder) {
  if (run.facts) return prepare_facts(run, folder);
  std::optional<FromCheckpoint> from;
  if (!run.from.empty() && run.kind != TextKind::classify) from = from_checkpoint(run, {});
  if (from && model::marks_spans(from->model.config)) return prepare_spans(run, *from);
  const bool captions = run.kind == TextKind::caption;
  if (captions) task::write_preprocessing(folder, run.image_size, run.image_size);
  task::Captions data = read(run, run.data, folder), valid;
  const auto lines = static_cast<int64_t>(data.text.targets.size());
  const int64_t empty = task::remove_empty(data.text);
  std::vector<std::string> labels;
  if (run.kind == TextKind::classify) labels = labels_of(run, data.text);
  if (run.kind == TextKind::classify && !run.from.empty()) from = from_checkpoint(run, labels);
  if (from) labels = from->labels;
  if (run.valid.empty()) {
    valid = {task::hold_out(data.text, kHeldOutShare, kHeldOutMost), data.pictures, 0};
  } else {
    valid = read(run, run.valid, folder);
    if (run.kind == TextKind::classify) check_labels(run, valid.text, labels);
    task::remove_empty(valid.text);
  }
  const int64_t bad = data.bad + valid.bad;
  const auto refuse = [&](int64_t too_long) {
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: of {} lines {} are empty and {} longer than {} tokens{}; what is "
                            "left is too little to train on and to hold out a part for validation",
                            names_of(run.data), lines, empty, too_long, run.length,
                            bad > 0 ? fmt::format(", beside {} bad images", bad) : ""));
  };
  if (data.text.targets.empty() || valid.text.targets.empty()) refuse(0);
  if (!from && !fs::exists(folder / "tokenizer.json")) learn_tokenizers(run, data.text, folder);
  const fs::path& home = from ? run.from : folder;  // of the tokenizers
  const text::Tokenizer source = text::read_tokenizer(home);
  const fs::path target_file = task::target_tokenizer_file(home);
  const text::Tokenizer target = target_file == home ? source : text::read_tokenizer(target_file);

  Marks marks;
  std::vector<int64_t> forbidden;
  if (from) {
    marks = marks_of(from->model.config, source);
    if (only_reads(run.kind))
      task::check_tokenizer(source, from->model.encoder.tokens, home);
    else
      forbidden = task::text_model(from->model, home).forbidden;
  }
  Encoded training = encode_all(run, data, labels, source, target, marks);
  Encoded held_out = encode_all(run, valid, labels, source, target, marks);
  const int64_t too_long = training.too_long + held_out.too_long;
  if (training.sequences.targets.empty() || held_out.sequences.targets.empty()) refuse(too_long);
  uint64_t content = 0;
  for (const std::string& label : labels) content = task::hash_of(label, content);
  for (Encoded* side : {&training, &held_out}) {
    for (const task::Sequence& ids : side->sequences.targets) content = task::hash_of(ids, content);
    for (const task::Sequence& ids : side->sequences.sources) content = task::hash_of(ids, content);
    if (!captions) continue;
    for (const std::string& name : side->text.sources) content = task::hash_of(name, content);
  }
  TextMaterial material{
      .task = nullptr,
      .held_out = {},
      .judged = {},
      .asked = {},
      .source = source,
      .target = target,
      .config = from ? from->model.config
                     : config_of(run, std::max(source.id_limit(), target.id_limit()),
                                 static_cast<int64_t>(labels.size())),
      .labels = labels,
      .forbidden = forbidden,
      .from = from,
      .pictures = {},
      .pairs = static_cast<int64_t>(training.sequences.targets.size()),
      .held_out_pairs = static_cast<int64_t>(held_out.sequences.targets.size()),
      .empty = empty,
      .too_long = too_long,
      .bad_images = bad};
  for (Encoded* side : {&training, &held_out})
    side->sequences.picture_places = model::image_places(material.config);
  if (run.kind != TextKind::lm && !only_reads(run.kind)) {
    // The same lines as those of the loss.
    for (const size_t i : task::evenly_chosen(held_out.text.sources.size(), kHeldOutMost)) {
      material.judged.sources.push_back(std::move(held_out.text.sources[i]));
      material.judged.targets.push_back(std::move(held_out.text.targets[i]));
    }
    if (captions) material.pictures = std::move(valid.pictures);
  }
  const std::string name =
      fmt::format("{} (content {:016x})", nlohmann::json(run.kind).get<std::string>(), content);
  const auto show = [target](int64_t id) {
    return target.token_of(id).value_or(std::to_string(id));
  };
  if (only_reads(run.kind))
    material.task =
        task::make_encoder_task(name, texts_to_read(run, std::move(training.sequences)),
                                texts_to_read(run, std::move(held_out.sequences)), marks.padding,
                                {.mask = source.id_of(text::kMask).value_or(0),
                                 .first = text::kFirstPiece,
                                 .last = source.id_of(text::kMask).value_or(0)},
                                show);
  else
    material.task =
        task::make_sequences_task(name, std::move(training.sequences),
                                  std::move(held_out.sequences), marks.begin, marks.padding, show);
  material.held_out = material.task->test_set(kHeldOutMost);
  return material;
}

// For what the first process has in the folder of the run.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code problem;
    std::string name = (fs::temp_directory_path(problem) / "headlight-XXXXXX").string();
    if (problem || mkdtemp(name.data()) == nullptr)
      throw Error(
          ErrorKind::bad_input,
          fmt::format("{}: cannot create this folder for temporary files; TMPDIR says where "
                      "they go",
                      name));
    path = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  fs::path path;
};

}  // namespace

TextMaterial prepare_text(const TextRun& run, const fs::path& folder, const Processes& processes) {
  if (processes.size() == 1) return prepared(run, folder);
  std::optional<TextMaterial> material;
  // Hosts need not share a disk, so the vocabulary is sent.
  const std::string vocabulary = processes.text_of_first([&] {
    material = prepared(run, folder);
    nlohmann::json files = nlohmann::json::object();
    for (const char* name : {"tokenizer_config.json", "target_tokenizer.json", "tokenizer.json"})
      if (fs::exists(folder / name)) files[name] = tensorfile::read_text_file(folder / name);
    return files.dump();
  });
  processes.together([&] {
    if (processes.first()) return;
    const TemporaryFolder here;
    const nlohmann::json files = nlohmann::json::parse(vocabulary);
    for (const auto& [name, text] : files.items())
      tensorfile::write_file_atomically(here.path / name, text.get<std::string>());
    material = prepared(run, here.path);
  });
  return std::move(*material);
}

model::Config config_of(const TextRun& run, const TextMaterial& material) {
  if (material.from) return material.config;
  return config_of(run, material.config.vocabulary, material.config.classes,
                   material.config.sentence_tokens);
}

void copy_tokenizers(const fs::path& from, const fs::path& to) {
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "target_tokenizer.json",
                           "preprocessor_config.json", "generation_config.json"})
    if (fs::exists(from / name))
      tensorfile::write_file_atomically(to / name, tensorfile::read_text_file(from / name));
}

std::string score_name(TextKind kind) {
  switch (kind) {
    case TextKind::translate:
      return "bleu";
    case TextKind::summarize:
      return "rougeL";
    case TextKind::answer:
      return "exact_match";
    case TextKind::caption:
      return "chrf";
    case TextKind::classify:
    case TextKind::mlm:
      return "accuracy";
    case TextKind::lm:
      return "";
  }
  return "";
}

Result train_text(const TextRun& run, const TextMaterial& material, const fs::path& folder,
                  const Observer& observer, const Processes& processes) {
  const Saver save = [&](const model::Transformer& model, const fs::path& to) {
    if (material.from)
      save_like(*material.from, model, to);
    else if (run.facts)
      model::save(model, to, material.labels);
    else if (only_reads(run.kind))
      model::save_as(bert_config(model.config, material.labels), model, to);
    else
      model::save_for_transformers(model, to);
  };
  const Judge judge = [&](const model::Transformer& model, const Evaluation& test) {
    save(model, folder);
    if (run.kind == TextKind::lm) return -1.0;
    // Answers without a loss are wrong.
    if (run.facts)
      return 100 * test.accuracy * double(test.items.size()) / double(material.held_out.size);
    return only_reads(run.kind) ? 100 * test.accuracy : judged(run, material, model);
  };
  const model::Transformer start =
      material.from ? material.from->model
                    : model::initialised(config_of(run, material), run.settings.seed);
  Settings settings = run.settings;
  settings.precision = run.precision;
  return train(start, *material.task, material.held_out, settings, folder, observer, judge, save,
               processes);
}

}  // namespace headlight::train
