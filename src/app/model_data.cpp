#include "app/model_data.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "app/token_rows.h"
#include "headlight/error.h"
#include "headlight/splitmix64.h"
#include "model/checkpoint.h"
#include "model/run.h"
#include "model/sentence_pairs.h"
#include "task/encoder_task.h"
#include "task/facts.h"
#include "text/whole_number.h"

namespace headlight::app {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse_data(const std::string& message) {
  throw Error(ErrorKind::bad_input, message);
}

bool is_classifier(const model::Config& c) {
  return c.output && ((c.patch > 0 && c.kind == model::Kind::encoder_only) ||
                      c.output_place != model::OutputPlace::every);
}

// Which class a word names: one of config.json's id2label, or a number.
class Classes {
 public:
  Classes(const fs::path& folder, int64_t count)
      : count_(count), names_(model::class_names(folder, count)) {}

  int64_t of(const Line& line) const {
    const auto named = std::ranges::find(names_, line.text);
    if (named != names_.end()) return named - names_.begin();
    const std::optional<int64_t> id = text::whole_number(line.text);
    if (id && *id >= 0 && *id < count_) return *id;
    refuse_data(fmt::format("{}: '{}' is no class of this model; classes are 0 to {}, or {}",
                            line.where, line.text, count_ - 1, fmt::join(names_, ", ")));
  }

 private:
  int64_t count_;
  std::vector<std::string> names_;
};

at::Tensor classes_of(const DataOptions& o, const model::Config& config,
                      const std::vector<Line>& lines) {
  const Classes classes(o.input.model, config.classes);
  std::vector<int64_t> labels;
  for (const Line& line : lines) labels.push_back(classes.of(line));
  return at::tensor(labels);
}

// Every token but the first of its text is to be predicted.
at::Tensor next_tokens(const model::Inputs& in) {
  at::Tensor labels = in.tokens.clone();
  if (!in.mask.defined()) return labels;
  const at::Tensor real = in.mask.ne(0);
  labels.masked_fill_(real.logical_not(), model::kUnscored);
  const int64_t n = labels.size(1);
  labels.narrow(1, 1, n - 1).masked_fill_(real.narrow(1, 0, n - 1).logical_not(), model::kUnscored);
  return labels;
}

int64_t mask_token(const fs::path& folder, const model::Transformer& model) {
  const text::Tokenizer tokenizer = tokenizer_of(folder);
  for (const char* name : {"[MASK]", "<mask>"})
    if (const std::optional<int64_t> id = tokenizer.id_of(name))
      if (*id < model.encoder.tokens.size(0)) return *id;
  refuse_data(fmt::format(
      "{}: the tokenizer has no [MASK] or <mask> that the model knows, so tokens cannot be "
      "masked to be guessed; give --inputs with input_ids and labels",
      folder.string()));
}

// Masks a share of every row's own tokens and returns them as labels. Which ones depends on the
// seed, the row and the place alone.
at::Tensor mask_some(ModelInput& input, int64_t mask, uint64_t seed) {
  model::Inputs& in = input.inputs;
  const at::Tensor labels = at::full_like(in.tokens, model::kUnscored);
  in.tokens = in.tokens.clone();
  for (int64_t row = 0; row < in.tokens.size(0); ++row) {
    std::vector<std::pair<uint64_t, int64_t>> places;
    for (int64_t place = 0; place < in.tokens.size(1); ++place) {
      if (in.mask.defined() && in.mask[row][place].item<int64_t>() == 0) continue;
      if (static_cast<size_t>(row) < input.words.size()) {
        const ModelInput::Words& words = input.words[static_cast<size_t>(row)];
        if (place == 0 && words.starts_special) continue;
        if (std::ranges::find(words.separators, place) != words.separators.end()) continue;
      }
      const auto at = static_cast<uint64_t>(row * in.tokens.size(1) + place);
      places.emplace_back(SplitMix64::finalized(seed ^ SplitMix64::finalized(at + 1)), place);
    }
    std::ranges::sort(places);
    const auto count = static_cast<size_t>(
        std::max(1.0, std::round(task::kMaskedShare * static_cast<double>(places.size()))));
    for (size_t i = 0; i < std::min(count, places.size()); ++i) {
      const int64_t place = places[i].second;
      labels[row][place] = in.tokens[row][place];
      in.tokens[row][place] = mask;
    }
  }
  return labels;
}

// Files behind --data as the inputs that they stand for. Returns the classes of a .tsv's second
// column, where it holds some.
std::vector<Line> spread(const DataOptions& o, const model::Config& config, InputOptions& input) {
  if (o.data.extension() == ".npz") {
    input.inputs = o.data;
  } else if (o.data.extension() != ".tsv" || task::reads_facts(config)) {
    input.lines = o.data;
  } else if (is_classifier(config) && o.labels.empty()) {
    LinePairs columns = pairs_of(o.data);
    input.texts = std::move(columns.first);
    return std::move(columns.second);
  } else {
    input.pairs = {o.data.string()};
  }
  return {};
}

// Labels for what came without; what was done about it is added to the note.
at::Tensor labels_for(const DataOptions& o, const model::Transformer& model, ModelInput& input,
                      std::vector<Line> classes, uint64_t seed) {
  const model::Config& c = model.config;
  if (!o.labels.empty()) classes = lines_of(o.labels);
  if (is_classifier(c)) {
    if (classes.empty())
      throw Error(ErrorKind::usage,
                  "this model classifies, so its loss needs the right class of every example: give "
                  "--labels FILE with one a line, or a .tsv of text and class as --data");
    const int64_t rows = row_count(input.inputs);
    if (static_cast<int64_t>(classes.size()) != rows)
      refuse_data(
          fmt::format("--labels: {} has {} lines for {} examples; there must be one for each",
                      o.labels.string(), classes.size(), rows));
    return classes_of(o, c, classes);
  }
  if (!classes.empty())
    throw Error(ErrorKind::usage, "--labels is for models that classify; this one does not");
  if (c.predicts_next) return next_tokens(input.inputs);
  if (c.kind == model::Kind::encoder_only && c.exclusive && c.classes == c.vocabulary) {
    at::Tensor labels = mask_some(input, mask_token(o.input.model, model), seed);
    input.note = fmt::format(
        "15 % of the tokens are masked, chosen by seed {}; the loss is that "
        "of guessing them.",
        seed);
    return labels;
  }
  throw Error(ErrorKind::usage,
              "this model labels tokens, which a text alone does not tell: give --inputs with "
              "input_ids and labels");
}

int64_t start_token(const ModelInput& input) {
  if (input.words.empty() || !input.words[0].starts_special) return -1;
  return input.inputs.tokens[0][0].item<int64_t>();
}

// What the model reads, and the classes of a .tsv's second column.
struct Read {
  ModelInput input;
  std::vector<Line> classes;
};
Read read_input(const DataOptions& o, const model::Transformer& model, bool to_match = false) {
  InputOptions from = o.input;
  Read read;
  if (!o.data.empty()) read.classes = spread(o, model.config, from);
  read.input = to_match ? read_partners(from, model) : read_model_input(from, model);
  return read;
}

// Pairs of texts, which are all that a base model of an encoder can be measured on.
bool are_to_match(const DataOptions& o, const model::Config& c) {
  return model::makes_sentence_vectors(c) &&
         (o.data.extension() == ".tsv" || !o.input.pairs.empty());
}

// All but the examples.
ModelData data_of(const ModelInput& input, const model::Transformer& model) {
  ModelData data{.model = model, .examples = {}, .note = input.note};
  if (input.readout_weight.defined())
    data.model = model::with_readout(model, input.readout_weight, input.readout_bias);
  data.start_token = start_token(input);
  return data;
}

}  // namespace

void add_data_options(CLI::App& verb, DataOptions& o) {
  add_input_options(verb, o.input);
  CLI::Option* data =
      verb.add_option("--data", o.data,
                      "What the loss is measured on: one text a line, a .tsv of two columns "
                      "(source and target, or text and class), or an .npz as for --inputs")
          ->type_name("FILE")
          ->group("What the model reads, one of");
  for (CLI::Option* other : verb.get_options())
    if (other != data && other->get_group() == data->get_group()) data->excludes(other);
  verb.add_option("--labels", o.labels, "The right classes, one a line, for models that classify")
      ->type_name("FILE")
      ->group("What the model reads, one of");
}

model::Transformer load_model(const DataOptions& o) {
  if (o.data.empty()) need_input(o.input);
  return model::load(o.input.model);
}

ModelData read_data(const DataOptions& o, const model::Transformer& model, uint64_t seed) {
  const bool to_match = are_to_match(o, model.config);
  Read read = read_input(o, model, to_match);
  ModelInput& input = read.input;
  ModelData data = data_of(input, model);
  if (!data.model.config.output && !to_match)
    throw Error(ErrorKind::usage,
                fmt::format("{}: is a base model without an output layer, so it has no loss; {}a "
                            "checkpoint with a head on it is needed",
                            o.input.model.string(),
                            model::makes_sentence_vectors(model.config)
                                ? "pairs of texts that belong together (a .tsv, or --pairs) or "
                                : ""));
  if (!input.labels.defined())
    input.labels = labels_for(o, data.model, input, std::move(read.classes), seed);
  else if (!o.labels.empty())
    throw Error(ErrorKind::usage, "--labels: the data holds labels already; leave it away");
  data.note = input.note;
  data.unit = to_match ? "pair" : is_classifier(data.model.config) ? "example" : "token";
  data.examples = examples_of(input, data.model.config);
  std::erase_if(data.examples, [](const lab::Example& example) {
    return example.labels.eq(model::kUnscored).all().item<bool>();
  });
  if (data.examples.empty())
    refuse_data("no example has a label that could be scored: texts of one token predict nothing");
  return data;
}

ModelData read_examples(const DataOptions& o, const model::Transformer& model) {
  const ModelInput input = read_input(o, model).input;
  ModelData data = data_of(input, model);
  data.examples = examples_of(input, data.model.config);
  return data;
}

}  // namespace headlight::app
