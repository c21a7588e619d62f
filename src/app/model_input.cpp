#include "app/model_input.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>

#include "app/input_arrays.h"
#include "app/story_input.h"
#include "app/token_rows.h"
#include "headlight/error.h"
#include "model/checkpoint.h"
#include "model/generate.h"
#include "model/run.h"
#include "task/facts.h"
#include "task/image_input.h"
#include "task/text_model.h"

namespace headlight::app {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse_input(const std::string& message) {
  throw Error(ErrorKind::bad_input, message);
}

constexpr int64_t kWritten = 64;  // tokens that a decoder writes where no target was given

// The one that reads what users give first.
const model::Stack& first_stack(const model::Transformer& model) {
  return model.config.kind == model::Kind::decoder_only ? model.decoder : model.encoder;
}

// What the decoder reads is its target behind the start token, without the target's last token.
TokenRow shifted(const TokenRow& target, int64_t start) {
  TokenRow read{.where = target.where};
  read.ids = {start};
  read.ids.insert(read.ids.end(), target.ids.begin(), target.ids.end() - 1);
  read.types.assign(read.ids.size(), 0);
  if (target.words.tokens.empty()) return read;
  read.words.tokens = {"<start>"};
  read.words.tokens.insert(read.words.tokens.end(), target.words.tokens.begin(),
                           target.words.tokens.end() - 1);
  for (const int64_t place : target.words.separators)
    if (place + 1 < static_cast<int64_t>(read.ids.size()))
      read.words.separators.push_back(place + 1);
  return read;
}

// What the model itself writes for a source of one row.
TokenRow written_target(const model::Transformer& model, const model::Inputs& source,
                        const std::string& where, const text::Tokenizer* tokenizer) {
  const c10::NoGradGuard no_gradients;
  const int64_t limit = longest_text(model.config, model.decoder);
  const int64_t most = limit > 0 ? std::min(kWritten, limit) : kWritten;
  const at::Tensor made =
      model::generate(model, source, {.tokens = most, .end_tokens = model.config.end_tokens});
  TokenRow target{.where = where};
  const int64_t* id = made.const_data_ptr<int64_t>();
  target.ids.assign(id, id + made.numel());
  if (tokenizer)
    for (const int64_t one : target.ids)
      target.words.tokens.push_back(tokenizer->token_of(one).value_or(fmt::format("<{}>", one)));
  return target;
}

// Says what the decoder reads: the targets, or what the model itself writes for each of `sources`.
void add_targets(const model::Transformer& model, const std::vector<model::Inputs>& sources,
                 const std::string& what, std::vector<TokenRow> targets,
                 const text::Tokenizer* tokenizer, ModelInput& result) {
  const model::Config& c = model.config;
  if (c.start_token < 0)
    refuse_input(
        "config.json: has no decoder_start_token_id, so it is not known what the decoder reads "
        "first; give --inputs with decoder_input_ids");
  if (targets.empty()) {
    for (const model::Inputs& source : sources)
      targets.push_back(written_target(model, source, what, tokenizer));
    result.note =
        fmt::format("The decoder reads what the model itself writes for this {} (greedily).", what);
  }
  std::vector<TokenRow> read;
  for (const TokenRow& target : targets) {
    check(target, c, model.decoder);
    read.push_back(shifted(target, c.start_token));
  }
  const TokenBatch decoder = padded(read, 0);
  result.inputs.tokens = decoder.ids;
  result.inputs.mask = decoder.mask;
  result.labels = padded(targets, model::kUnscored).ids;
  result.target_words = words_of(read);
}

ModelInput of_two_stacks(const model::Transformer& model, std::vector<TokenRow> sources,
                         std::vector<TokenRow> targets, const text::Tokenizer* target_tokenizer) {
  ModelInput result;
  std::vector<model::Inputs> each;
  for (const TokenRow& source : sources) {
    check(source, model.config, model.encoder);
    each.emplace_back().source = at::tensor(source.ids).unsqueeze(0);
  }
  add_targets(model, each, "source", std::move(targets), target_tokenizer, result);
  const TokenBatch source = padded(sources, 0);
  result.inputs.source = source.ids;
  result.inputs.source_mask = source.mask;
  result.words = words_of(sources);
  return result;
}

ModelInput of_image(const InputOptions& o, const model::Transformer& model) {
  ModelInput result;
  result.inputs.pixels = task::read_image_input(o.image, o.model, model.config);
  if (model.config.kind != model::Kind::encoder_decoder) return result;
  const text::Tokenizer tokenizer = tokenizer_of(o.model);
  const model::Inputs image = result.inputs;
  add_targets(model, {image}, "image", {}, &tokenizer, result);
  return result;
}

std::vector<TokenRow> texts(const InputOptions& o, const text::Tokenizer& tokenizer) {
  if (!o.texts.empty()) return encoded(tokenizer, o.texts);
  if (o.text) return encoded(tokenizer, std::vector<Line>{{"--text", *o.text}});
  if (!o.file.empty()) return encoded(tokenizer, std::vector<Line>{whole_file(o.file)});
  return encoded(tokenizer, lines_of(o.lines));
}

ModelInput of_one_stack(const model::Transformer& model, std::vector<TokenRow> rows) {
  for (const TokenRow& row : rows) check(row, model.config, first_stack(model));
  const TokenBatch batch = padded(rows, std::max<int64_t>(model.config.padding_token, 0));
  ModelInput result;
  result.inputs.tokens = batch.ids;
  result.inputs.mask = batch.mask;
  if (model.config.token_types > 0) result.inputs.token_types = batch.types;
  result.words = words_of(rows);
  return result;
}

// Another language may be cut by a tokenizer of its own.
text::Tokenizer target_tokenizer(const InputOptions& o, const text::Tokenizer& of_source) {
  const fs::path own = task::target_tokenizer_file(o.model);
  return own != o.model ? tokenizer_of(own) : of_source;
}

LinePairs line_pairs(const InputOptions& o) {
  if (!o.targets.empty()) return {o.texts, o.targets};
  return o.pairs.size() == 1 ? pairs_of(o.pairs[0]) : pairs_of(o.pairs[0], o.pairs[1]);
}

ModelInput parallel(const InputOptions& o, const model::Transformer& model) {
  const LinePairs lines = line_pairs(o);
  const text::Tokenizer tokenizer = tokenizer_of(o.model);
  if (model.config.kind == model::Kind::encoder_decoder) {
    const text::Tokenizer of_target = target_tokenizer(o, tokenizer);
    return of_two_stacks(model, encoded(tokenizer, lines.first), encoded(of_target, lines.second),
                         &of_target);
  }
  std::vector<TokenRow> rows;
  for (size_t i = 0; i < lines.first.size(); ++i)
    rows.push_back(encoded(tokenizer, lines.first[i], lines.second[i]));
  return of_one_stack(model, std::move(rows));
}

// One row alone, without the padding at its end.
model::Inputs row_of(const model::Inputs& all, int64_t row) {
  const auto one = [&](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.narrow(0, row, 1) : tensor;
  };
  model::Inputs in;
  in.pixels = one(all.pixels);
  const auto trimmed = [&](const at::Tensor& tokens, const at::Tensor& mask, at::Tensor& its_mask) {
    its_mask = one(mask);
    if (!mask.defined()) return tokens.size(1);
    const at::Tensor real = its_mask[0].nonzero();
    const int64_t length = real.numel() > 0 ? real.max().item<int64_t>() + 1 : tokens.size(1);
    its_mask = its_mask.narrow(1, 0, length).contiguous();
    return length;
  };
  if (all.tokens.defined()) {
    const int64_t length = trimmed(all.tokens, all.mask, in.mask);
    in.tokens = one(all.tokens).narrow(1, 0, length).contiguous();
    if (all.token_types.defined())
      in.token_types = one(all.token_types).narrow(1, 0, length).contiguous();
  }
  if (all.source.defined())
    in.source = one(all.source)
                    .narrow(1, 0, trimmed(all.source, all.source_mask, in.source_mask))
                    .contiguous();
  return in;
}

}  // namespace

void add_input_options(CLI::App& verb, InputOptions& o) {
  verb.add_option("MODEL", o.model, "A folder as Hugging Face models come in, or one of headlight")
      ->required()
      ->type_name("FOLDER");
  std::vector<CLI::Option*> all = {
      verb.add_option("--text", o.text, "A text")->type_name("WORDS"),
      verb.add_option("--file", o.file, "A text in a file")->type_name("FILE"),
      verb.add_option("--lines", o.lines, "One text a line")->type_name("FILE"),
      verb.add_option("--pairs", o.pairs,
                      "Two files, line by line, or a .tsv of two columns: source and target, or "
                      "first and second text")
          ->expected(1, 2)
          ->type_name("FILE"),
      verb.add_option("--tokens", o.tokens, "Token ids, as in 101,2002,102")->type_name("IDS"),
      verb.add_option("--image", o.image, "A PNG or JPEG, for models of images")->type_name("FILE"),
      verb.add_option("--inputs", o.inputs,
                      "An .npz with input_ids, attention_mask, labels, pixel_values and their like")
          ->type_name("FILE")};
  for (CLI::Option* one : all) {
    one->group("What the model reads, one of");
    for (CLI::Option* other : all)
      if (other != one) one->excludes(other);
  }
}

void need_input(const InputOptions& o) {
  if (!o.text && o.file.empty() && o.lines.empty() && o.pairs.empty() && !o.tokens &&
      o.image.empty() && o.inputs.empty() && o.texts.empty())
    throw Error(ErrorKind::usage,
                "nothing to read: give one of --text, --file, --lines, --pairs, --tokens, "
                "--image and --inputs");
  if (o.text && o.text->empty()) throw Error(ErrorKind::usage, "the text of --text is empty");
}

model::Transformer load_model(const InputOptions& o) {
  need_input(o);
  return model::load(o.model);
}

ModelInput read_model_input(const InputOptions& o, const model::Transformer& model) {
  const model::Config& c = model.config;
  if (task::reads_facts(c)) return read_stories(o, model);
  if (!o.inputs.empty()) return read_input_arrays(o.inputs, model);
  if (c.patch > 0 && o.image.empty())
    throw Error(ErrorKind::usage,
                fmt::format("{} reads images: give --image with a PNG or JPEG, or --inputs with "
                            "pixel_values [batch, {}, {}, {}]",
                            o.model.string(), c.channels, c.image_height, c.image_width));
  if (!o.image.empty()) {
    if (c.patch == 0)
      throw Error(ErrorKind::usage, fmt::format("{} reads text, no images", o.model.string()));
    return of_image(o, model);
  }
  if (!o.pairs.empty() || !o.targets.empty()) return parallel(o, model);
  const bool two = c.kind == model::Kind::encoder_decoder;
  if (o.tokens) {
    std::vector<TokenRow> rows{numbers_in(*o.tokens)};
    rows[0].types.assign(rows[0].ids.size(), 0);
    return two ? of_two_stacks(model, std::move(rows), {}, nullptr)
               : of_one_stack(model, std::move(rows));
  }
  const text::Tokenizer tokenizer = tokenizer_of(o.model);
  std::vector<TokenRow> rows = texts(o, tokenizer);
  if (!two) return of_one_stack(model, std::move(rows));
  const text::Tokenizer of_target = target_tokenizer(o, tokenizer);
  return of_two_stacks(model, std::move(rows), {}, &of_target);
}

ModelInput read_partners(const InputOptions& o, const model::Transformer& model) {
  const LinePairs lines = line_pairs(o);
  if (lines.first.size() < 2)
    refuse_input("one pair alone is told from no other; give at least two");
  const text::Tokenizer tokenizer = tokenizer_of(o.model);
  ModelInput result = of_one_stack(model, encoded(tokenizer, lines.first));
  const ModelInput second = of_one_stack(model, encoded(tokenizer, lines.second));
  result.inputs.source = second.inputs.tokens;
  result.inputs.source_mask = second.inputs.mask;
  result.inputs.token_types = at::Tensor();
  result.labels = at::zeros({row_count(result.inputs)}, at::kLong);
  const int64_t pairs = row_count(result.inputs);
  result.note = fmt::format(
      "The loss is that of telling which second text belongs to a first one, {} pairs of like "
      "length at a time, by the cosine of mean states times 20.",
      pairs / std::max<int64_t>(1, pairs / lab::kPairsTogether));
  return result;
}

int64_t longest_text(const model::Config& c, const model::Stack& stack) {
  if (!stack.positions.defined()) return 0;
  return c.padding_token >= 0 ? stack.positions.size(0) - c.padding_token - 1 : c.positions;
}

int64_t row_count(const model::Inputs& inputs) {
  return (inputs.pixels.defined() ? inputs.pixels : inputs.tokens).size(0);
}

std::vector<lab::Example> examples_of(const ModelInput& input, const model::Config& config) {
  const at::Tensor labels =
      input.labels.defined() ? model::own_labels(config, input.labels) : at::Tensor();
  std::vector<lab::Example> examples;
  for (int64_t row = 0; row < row_count(input.inputs); ++row) {
    lab::Example& example = examples.emplace_back();
    example.inputs = row_of(input.inputs, row);
    if (labels.defined()) {
      example.labels = labels.narrow(0, row, 1);
      if (labels.dim() == 2)
        example.labels = example.labels.narrow(1, 0, example.inputs.tokens.size(1));
    }
    const auto at = static_cast<size_t>(row);
    if (at < input.words.size()) {
      example.separators = input.words[at].separators;
      example.words = input.words[at].tokens;
    }
    if (at < input.target_words.size()) {
      example.target_separators = input.target_words[at].separators;
      example.target_words = input.target_words[at].tokens;
    }
  }
  return examples;
}

}  // namespace headlight::app
