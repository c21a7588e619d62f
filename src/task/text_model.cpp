#include "task/text_model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "headlight/error.h"
#include "model/beam_search.h"
#include "model/checkpoint.h"
#include "model/next_token.h"
#include "model/sampling.h"
#include "task/random.h"
#include "task/token_lines.h"
#include "tensorfile/json_file.h"
#include "text/lines.h"

namespace headlight::task {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kWritten = 64;  // tokens behind a prompt, or of a caption

// What Marian must not write is said beside the model.
std::vector<int64_t> forbidden_tokens(const fs::path& folder, int64_t vocabulary) {
  std::vector<int64_t> tokens;
  for (const char* name : {"generation_config.json", "config.json"}) {
    if (!fs::exists(folder / name)) continue;
    const nlohmann::json json = tensorfile::read_json_file(folder / name);
    if (!json.is_object() || !json.contains("bad_words_ids")) continue;
    const nlohmann::json& words = json["bad_words_ids"];
    if (!words.is_array()) continue;
    for (const nlohmann::json& word : words)
      if (word.is_array() && word.size() == 1 && word[0].is_number_integer() &&
          word[0].get<int64_t>() >= 0 && word[0].get<int64_t>() < vocabulary)
        tokens.push_back(word[0].get<int64_t>());
    break;
  }
  return tokens;
}

model::Inputs inputs_of(const std::vector<TokenLine>& batch, bool two) {
  model::Inputs inputs;
  if (batch[0].pixels.defined()) {
    std::vector<at::Tensor> pictures;
    for (const TokenLine& line : batch) pictures.push_back(line.pixels);
    inputs.pixels = at::stack(pictures);
  } else if (two) {
    inputs.source = padded_lines(batch, inputs.source_lengths);
  } else {
    at::Tensor lengths;
    inputs.tokens = padded_lines(batch, lengths);
  }
  return inputs;
}

std::vector<std::vector<model::Hypothesis>> hypotheses_of(const TextModel& model,
                                                          const std::vector<TokenLine>& batch,
                                                          const Writing& how) {
  const bool two = model.model.config.kind == model::Kind::encoder_decoder;
  const model::Inputs inputs = inputs_of(batch, two);
  std::vector<int64_t> most;
  for (const TokenLine& line : batch) {
    const auto read = static_cast<int64_t>(line.ids.size());
    const int64_t usual = two && read > 0 ? 2 * read + 20 : kWritten;
    most.push_back(how.most_tokens > 0 ? how.most_tokens : usual);
  }
  if (how.beams > 1)
    return beam_search(model.model, inputs,
                       {.beams = how.beams,
                        .length_penalty = how.length_penalty,
                        .early_stopping = how.early_stopping,
                        .tokens = most,
                        .end_tokens = model.end_tokens,
                        .forbidden = model.forbidden});
  std::vector<std::vector<model::Hypothesis>> all(batch.size());
  for (int64_t draw = 0; draw < how.nbest; ++draw) {
    std::vector<uint64_t> seeds;
    for (const TokenLine& line : batch)
      seeds.push_back(mix(mix(how.seed, line.number), static_cast<uint64_t>(draw)));
    std::vector<model::Hypothesis> drawn = sample(model.model, inputs,
                                                  {.temperature = how.temperature,
                                                   .top_k = how.top_k,
                                                   .top_p = how.top_p,
                                                   .seeds = seeds,
                                                   .tokens = most,
                                                   .end_tokens = model.end_tokens,
                                                   .forbidden = model.forbidden});
    for (size_t row = 0; row < drawn.size(); ++row) {
      drawn[row].score /=
          std::pow(static_cast<double>(drawn[row].tokens.size()), how.length_penalty);
      all[row].push_back(std::move(drawn[row]));
    }
  }
  return all;
}

Written told(const TextModel& model, const TokenLine& line, const model::Hypothesis& found) {
  std::vector<int64_t> ids;
  if (model.model.config.kind != model::Kind::encoder_decoder) ids = line.ids;
  ids.insert(ids.end(), found.tokens.begin(), found.tokens.end());
  // Rows of the output that the tokenizer has no token for, as padded vocabularies have.
  std::erase_if(ids, [&](int64_t id) { return !model.target.token_of(id); });
  Written written{text::decode(model.target, ids), found.score};
  for (char& c : written.text)
    if (c == '\n' || c == '\r') c = ' ';
  return written;
}

// `lines` are some of `count`, whose numbers begin with `first`.
std::vector<std::vector<Written>> write_all(const TextModel& model, std::vector<TokenLine> lines,
                                            size_t count, const Writing& how, int64_t first,
                                            const std::function<bool(int64_t done)>& progress) {
  std::vector<std::vector<Written>> written(count);
  int64_t done = static_cast<int64_t>(count - lines.size());
  const bool same = model.model.config.kind == model::Kind::decoder_only;
  for (TokenLine& line : lines) line.number += static_cast<size_t>(first);
  for (const std::vector<TokenLine>& batch : batches_of(std::move(lines), same, how.batch)) {
    const auto found = hypotheses_of(model, batch, how);
    for (size_t row = 0; row < batch.size(); ++row) {
      auto& texts = written[batch[row].number - static_cast<size_t>(first)];
      const size_t kept = std::min(found[row].size(), static_cast<size_t>(how.nbest));
      for (size_t i = 0; i < kept; ++i) texts.push_back(told(model, batch[row], found[row][i]));
    }
    done += static_cast<int64_t>(batch.size());
    if (progress && !progress(done)) break;
  }
  return written;
}

}  // namespace

fs::path target_tokenizer_file(const fs::path& folder) {
  for (const char* name : {"target_tokenizer.json", "target.spm"})
    if (fs::exists(folder / name)) return folder / name;
  return folder;
}

TextModel text_model(model::Transformer model, const fs::path& folder) {
  const model::Config& c = model.config;
  if (c.kind == model::Kind::encoder_only || !c.causal || !c.output ||
      c.output_place != model::OutputPlace::every)
    throw Error(ErrorKind::usage,
                fmt::format("{}: this model writes no text: it is no causal decoder of tokens",
                            folder.string()));
  text::Tokenizer source = text::read_tokenizer(folder);
  text::Tokenizer target = target_tokenizer_file(folder) == folder
                               ? source
                               : text::read_tokenizer(target_tokenizer_file(folder));
  const bool two = c.kind == model::Kind::encoder_decoder;
  if (c.patch == 0)
    check_tokenizer(source, two ? model.encoder.tokens : model.decoder.tokens, folder);
  check_tokenizer(target, model.decoder.tokens, folder);
  std::vector<int64_t> ends = c.end_tokens;
  std::vector<int64_t> forbidden = forbidden_tokens(folder, c.classes);
  return {std::move(model), std::move(source), std::move(target), std::move(ends),
          std::move(forbidden)};
}

std::vector<std::vector<Written>> write_lines(const TextModel& model,
                                              const std::vector<std::string>& lines,
                                              const Writing& how, const std::string& where,
                                              int64_t first_line,
                                              const std::function<bool(int64_t done)>& progress) {
  const model::Config& c = model.model.config;
  // A language model needs room to write on.
  const int64_t longest = model::longest_sequence(c);
  const int64_t room =
      longest > 0 && c.kind != model::Kind::encoder_decoder ? longest - 1 : longest;
  std::vector<TokenLine> read;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (text::is_blank(lines[i])) continue;
    const std::string place = fmt::format("{}line {}", where.empty() ? "" : where + ": ",
                                          first_line + static_cast<int64_t>(i));
    read.push_back(read_token_line(model.source, lines[i], i, room, how.cut, place));
  }
  return write_all(model, std::move(read), lines.size(), how, first_line, progress);
}

std::vector<std::vector<Written>> write_captions(
    const TextModel& model, const std::vector<at::Tensor>& pictures, const Writing& how,
    int64_t first, const std::function<bool(int64_t done)>& progress) {
  std::vector<TokenLine> read;
  for (size_t i = 0; i < pictures.size(); ++i) read.push_back({i, {}, pictures[i]});
  return write_all(model, std::move(read), pictures.size(), how, first, progress);
}

}  // namespace headlight::task
