#include "app/model_input.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "app/input_arrays.h"
#include "headlight/error.h"
#include "model/checkpoint.h"
#include "model/generate.h"
#include "task/text_model.h"
#include "tensorfile/atomic_file.h"
#include "text/tokenizer.h"

namespace headlight::app {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorKind::bad_input, message); }

constexpr int64_t kTextBytes = int64_t{256} << 20;
constexpr int64_t kWritten = 64;  // tokens that a decoder writes where no target was given

// One example as the model reads it, and where it came from for messages.
struct Example {
  std::string where;
  std::vector<int64_t> ids, types;
  ModelInput::Words words;
};

std::string without_end_of_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

std::vector<std::string> lines_of(const fs::path& path) {
  const std::string all = tensorfile::read_text_file(path, kTextBytes);
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find('\n', begin), all.size());
    lines.push_back(without_end_of_line(all.substr(begin, end - begin)));
    begin = end + 1;
  }
  if (lines.empty()) refuse(path.string() + ": is empty; a line per example belongs there");
  return lines;
}

text::Tokenizer tokenizer_of(const fs::path& path, const model::Stack& stack) {
  const text::Tokenizer tokenizer = [&] {
    try {
      return text::read_tokenizer(path);
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}; give --tokens with ids instead", error.what()));
    }
  }();
  if (tokenizer.id_limit() > stack.tokens.size(0))
    refuse(
        fmt::format("{}: the tokenizer has ids up to {}, but the model's embedding has {} rows; "
                    "they do not belong together (--tokens takes ids as they are)",
                    path.string(), tokenizer.id_limit() - 1, stack.tokens.size(0)));
  return tokenizer;
}

void describe(const text::Encoding& encoding, Example& example) {
  example.ids = encoding.ids;
  example.types = encoding.type_ids;
  example.words.tokens = encoding.tokens;
  for (size_t i = 1; i < encoding.size(); ++i)
    if (encoding.special[i]) example.words.separators.push_back(static_cast<int64_t>(i));
  // Nothing but what the tokenizer puts around every text.
  if (std::find(encoding.special.begin(), encoding.special.end(), false) == encoding.special.end())
    refuse(fmt::format("{}: holds no text that makes a token", example.where));
  example.words.starts_special = encoding.special[0];
}

template <typename Encode>
Example encoded(const std::string& where, Encode encode) {
  Example example{.where = where};
  try {
    describe(encode(), example);
  } catch (const Error& error) {
    const std::string message = error.what();
    throw Error(error.kind(), message.starts_with(where) ? message : where + ": " + message);
  }
  return example;
}

Example encoded_text(const text::Tokenizer& tokenizer, const std::string& where,
                     const std::string& text) {
  return encoded(where, [&] { return text::encode(tokenizer, text); });
}

Example numbers_in(const std::string& text) {
  Example example{.where = "--tokens"};
  const char *at = text.data(), *const end = at + text.size();
  while (true) {
    while (at < end && *at == ' ') ++at;
    int64_t id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc())
      throw Error(ErrorKind::usage,
                  fmt::format("--tokens takes ids with commas between them, as in 101,2002,102; "
                              "number {} of \"{}\" is none",
                              example.ids.size() + 1, text));
    example.ids.push_back(id);
    at = next;
    while (at < end && *at == ' ') ++at;
    if (at == end) return example;
    if (*at++ != ',')
      throw Error(ErrorKind::usage,
                  fmt::format("--tokens takes ids with commas between them; there is none behind "
                              "number {}",
                              example.ids.size()));
  }
}

void check(const Example& example, const model::Config& c, const model::Stack& stack) {
  const auto length = static_cast<int64_t>(example.ids.size());
  const int64_t most = longest_text(c, stack);
  if (most > 0 && length > most)
    refuse(
        fmt::format("{}: {} tokens, but the model has {} positions; give a shorter text, or "
                    "pieces of it as --lines",
                    example.where, length, most));
  const int64_t rows = stack.tokens.size(0);
  for (size_t i = 0; i < example.ids.size(); ++i)
    if (example.ids[i] < 0 || example.ids[i] >= rows)
      refuse(fmt::format("{}: token {} (from 0) is {}, but the model has ids from 0 to {}",
                         example.where, i, example.ids[i], rows - 1));
}

// The one that reads what users give first.
const model::Stack& first_stack(const model::Transformer& model) {
  return model.config.kind == model::Kind::decoder_only ? model.decoder : model.encoder;
}

struct Batch {
  at::Tensor ids, types, mask;  // mask only where rows are padded
};

Batch padded(const std::vector<Example>& examples, int64_t padding) {
  size_t length = 0;
  for (const Example& example : examples) length = std::max(length, example.ids.size());
  const auto rows = static_cast<int64_t>(examples.size()), columns = static_cast<int64_t>(length);
  Batch batch{at::full({rows, columns}, padding, at::kLong), at::zeros({rows, columns}, at::kLong),
              at::zeros({rows, columns}, at::kLong)};
  bool same = true;
  for (int64_t row = 0; row < rows; ++row) {
    const Example& example = examples[static_cast<size_t>(row)];
    const auto size = static_cast<int64_t>(example.ids.size());
    std::copy(example.ids.begin(), example.ids.end(), batch.ids[row].data_ptr<int64_t>());
    std::copy(example.types.begin(), example.types.end(), batch.types[row].data_ptr<int64_t>());
    batch.mask[row].narrow(0, 0, size).fill_(1);
    same &= size == columns;
  }
  if (same) batch.mask = at::Tensor();
  return batch;
}

std::vector<ModelInput::Words> words_of(std::vector<Example>& examples) {
  std::vector<ModelInput::Words> words;
  for (Example& example : examples)
    if (!example.words.tokens.empty()) words.push_back(std::move(example.words));
  return words;
}

// What the decoder reads is its target behind the start token, without the target's last token.
Example shifted(const Example& target, int64_t start) {
  Example read{.where = target.where};
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

std::vector<Example> written_targets(const model::Transformer& model,
                                     const std::vector<Example>& sources,
                                     const text::Tokenizer* tokenizer) {
  const c10::NoGradGuard no_gradients;
  std::vector<Example> targets;
  for (const Example& source : sources) {
    model::Inputs prompt;
    prompt.source = at::tensor(source.ids).unsqueeze(0);
    const int64_t limit = longest_text(model.config, model.decoder);
    const int64_t most = limit > 0 ? std::min(kWritten, limit) : kWritten;
    const at::Tensor made =
        model::generate(model, prompt, {.tokens = most, .end_tokens = model.config.end_tokens});
    Example& target = targets.emplace_back(Example{.where = source.where});
    const int64_t* id = made.const_data_ptr<int64_t>();
    target.ids.assign(id, id + made.numel());
    if (tokenizer)
      for (const int64_t one : target.ids)
        target.words.tokens.push_back(tokenizer->token_of(one).value_or(fmt::format("<{}>", one)));
  }
  return targets;
}

ModelInput of_two_stacks(const model::Transformer& model, std::vector<Example> sources,
                         std::vector<Example> targets, const text::Tokenizer* target_tokenizer) {
  const model::Config& c = model.config;
  if (c.start_token < 0)
    refuse(
        "config.json: has no decoder_start_token_id, so it is not known what the decoder reads "
        "first; give --inputs with decoder_input_ids");
  ModelInput result;
  for (const Example& source : sources) check(source, c, model.encoder);
  if (targets.empty()) {
    targets = written_targets(model, sources, target_tokenizer);
    result.note = "The decoder reads what the model itself writes for this source (greedily).";
  }
  std::vector<Example> read;
  for (const Example& target : targets) {
    check(target, c, model.decoder);
    read.push_back(shifted(target, c.start_token));
  }
  const Batch source = padded(sources, 0), decoder = padded(read, 0);
  result.inputs.source = source.ids;
  result.inputs.source_mask = source.mask;
  result.inputs.tokens = decoder.ids;
  result.inputs.mask = decoder.mask;
  result.labels = padded(targets, model::kUnscored).ids;
  result.words = words_of(sources);
  result.target_words = words_of(read);
  return result;
}

std::vector<Example> texts(const InputOptions& o, const text::Tokenizer& tokenizer) {
  std::vector<Example> examples;
  if (o.text) {
    examples.push_back(encoded_text(tokenizer, "--text", *o.text));
  } else if (!o.file.empty()) {
    examples.push_back(
        encoded_text(tokenizer, o.file.string(),
                     without_end_of_line(tensorfile::read_text_file(o.file, kTextBytes))));
  } else {
    const std::vector<std::string> lines = lines_of(o.lines);
    for (size_t i = 0; i < lines.size(); ++i)
      examples.push_back(
          encoded_text(tokenizer, fmt::format("{}: line {}", o.lines.string(), i + 1), lines[i]));
  }
  return examples;
}

ModelInput parallel(const InputOptions& o, const model::Transformer& model) {
  const std::vector<std::string> first = lines_of(o.pairs.at(0)), second = lines_of(o.pairs.at(1));
  if (first.size() != second.size())
    refuse(fmt::format("--pairs: {} has {} lines and {} has {}; they must be parallel", o.pairs[0],
                       first.size(), o.pairs[1], second.size()));
  const bool two = model.config.kind == model::Kind::encoder_decoder;
  const bool own_target = two && task::target_tokenizer_file(o.model) != o.model;
  const text::Tokenizer tokenizer = tokenizer_of(o.model, first_stack(model));
  const text::Tokenizer of_target =
      own_target ? tokenizer_of(task::target_tokenizer_file(o.model), model.decoder) : tokenizer;
  const auto place = [&](int side, size_t i) {
    return fmt::format("{}: line {}", o.pairs[static_cast<size_t>(side)], i + 1);
  };
  std::vector<Example> sources, targets;
  for (size_t i = 0; i < first.size(); ++i) {
    if (two) {
      sources.push_back(encoded_text(tokenizer, place(0, i), first[i]));
      targets.push_back(encoded_text(of_target, place(1, i), second[i]));
    } else {
      sources.push_back(
          encoded(place(0, i), [&] { return text::encode_pair(tokenizer, first[i], second[i]); }));
    }
  }
  if (two) return of_two_stacks(model, std::move(sources), std::move(targets), &of_target);
  ModelInput result;
  for (const Example& example : sources) check(example, model.config, first_stack(model));
  const Batch batch = padded(sources, std::max<int64_t>(model.config.padding_token, 0));
  result.inputs.tokens = batch.ids;
  result.inputs.mask = batch.mask;
  if (model.config.token_types > 0) result.inputs.token_types = batch.types;
  result.words = words_of(sources);
  return result;
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
                      "Two files, line by line: source and target, or first and second text")
          ->expected(2)
          ->type_name("FILE"),
      verb.add_option("--tokens", o.tokens, "Token ids, as in 101,2002,102")->type_name("IDS"),
      verb.add_option("--inputs", o.inputs,
                      "An .npz with input_ids, attention_mask, labels, pixel_values and their like")
          ->type_name("FILE")};
  for (CLI::Option* one : all) {
    one->group("What the model reads, one of");
    for (CLI::Option* other : all)
      if (other != one) one->excludes(other);
  }
}

model::Transformer load_model(const InputOptions& o) {
  if (!o.text && o.file.empty() && o.lines.empty() && o.pairs.empty() && !o.tokens &&
      o.inputs.empty())
    throw Error(ErrorKind::usage,
                "nothing to read: give one of --text, --file, --lines, --pairs, --tokens and "
                "--inputs");
  if (o.text && o.text->empty()) throw Error(ErrorKind::usage, "the text of --text is empty");
  return model::load(o.model);
}

ModelInput read_model_input(const InputOptions& o, const model::Transformer& model) {
  const model::Config& c = model.config;
  if (!o.inputs.empty()) return read_input_arrays(o.inputs, model);
  if (c.patch > 0)
    throw Error(ErrorKind::usage,
                fmt::format("{} reads images: give --inputs with pixel_values [batch, {}, {}, {}]",
                            o.model.string(), c.channels, c.image_height, c.image_width));
  if (!o.pairs.empty()) return parallel(o, model);
  const bool two = c.kind == model::Kind::encoder_decoder;
  const model::Stack& stack = first_stack(model);
  std::vector<Example> examples;
  std::optional<text::Tokenizer> tokenizer;
  if (o.tokens) {
    examples.push_back(numbers_in(*o.tokens));
    examples.back().types.assign(examples.back().ids.size(), 0);
  } else {
    tokenizer = tokenizer_of(o.model, stack);
    examples = texts(o, *tokenizer);
  }
  if (two) {
    std::optional<text::Tokenizer> of_target = tokenizer;
    if (tokenizer && task::target_tokenizer_file(o.model) != o.model)
      of_target = tokenizer_of(task::target_tokenizer_file(o.model), model.decoder);
    return of_two_stacks(model, std::move(examples), {}, of_target ? &*of_target : nullptr);
  }
  for (const Example& example : examples) check(example, c, stack);
  const Batch batch = padded(examples, std::max<int64_t>(c.padding_token, 0));
  ModelInput result;
  result.inputs.tokens = batch.ids;
  result.inputs.mask = batch.mask;
  if (c.token_types > 0) result.inputs.token_types = batch.types;
  result.words = words_of(examples);
  return result;
}

int64_t longest_text(const model::Config& c, const model::Stack& stack) {
  if (!stack.positions.defined()) return 0;
  return c.padding_token >= 0 ? stack.positions.size(0) - c.padding_token - 1 : c.positions;
}

int64_t row_count(const model::Inputs& inputs) {
  return (inputs.pixels.defined() ? inputs.pixels : inputs.tokens).size(0);
}

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

}  // namespace headlight::app
