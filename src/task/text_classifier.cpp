#include "task/text_classifier.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "headlight/error.h"
#include "model/checkpoint.h"
#include "model/next_token.h"
#include "task/token_lines.h"
#include "tensorfile/json_file.h"
#include "text/lines.h"

namespace headlight::task {

TextClassifier read_text_classifier(const std::filesystem::path& folder) {
  model::Transformer model = model::load(folder);
  const model::Config& c = model.config;
  const auto refuse = [&](const char* why) {
    throw Error(ErrorKind::usage, fmt::format("{}: {}", folder.string(), why));
  };
  if (c.patch > 0) refuse("this model reads images; only texts are classified");
  if (c.sentence_tokens > 0)
    refuse("this model answers questions about stories: headlight answer runs it");
  if (!c.output || c.output_place == model::OutputPlace::every)
    refuse(
        "this model gives a text no class: it has no sequence classification head, as headlight "
        "train --kind classify makes one");
  const nlohmann::json config = tensorfile::read_json_file(folder / "config.json");
  if (c.classes == 1 || config.value("problem_type", nlohmann::json()) == "regression")
    refuse("this model gives a text a number, no class (regression)");
  text::Tokenizer tokenizer = text::read_tokenizer(folder);
  const model::Stack& stack = c.kind == model::Kind::encoder_only ? model.encoder : model.decoder;
  check_tokenizer(tokenizer, stack.tokens, folder);
  std::vector<std::string> labels = model::class_names(folder, c.classes);
  return {std::move(model), std::move(tokenizer), std::move(labels)};
}

std::vector<std::vector<double>> classify_lines(const TextClassifier& classifier,
                                                const std::vector<std::string>& lines,
                                                const Classifying& how, const std::string& where,
                                                int64_t first_line,
                                                const std::function<bool(int64_t done)>& progress) {
  const model::Config& c = classifier.model.config;
  const c10::NoGradGuard no_gradients;
  std::vector<TokenLine> read;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (text::is_blank(lines[i])) continue;
    const std::string place = fmt::format("{}line {}", where.empty() ? "" : where + ": ",
                                          first_line + static_cast<int64_t>(i));
    read.push_back(read_token_line(classifier.tokenizer, lines[i], i, model::longest_sequence(c),
                                   how.cut, place));
  }
  std::vector<std::vector<double>> all(lines.size());
  auto done = static_cast<int64_t>(lines.size() - read.size());
  for (const std::vector<TokenLine>& batch : batches_of(std::move(read), false, how.batch)) {
    model::Inputs inputs;
    inputs.tokens = padded_lines(batch, inputs.lengths);
    const at::Tensor logits = model::logits(classifier.model, inputs).to(at::kDouble);
    if (!at::isfinite(logits).all().item<bool>())
      throw Error(ErrorKind::bad_input,
                  "the model's logits are no numbers; its weights are broken");
    const at::Tensor shares =
        (c.exclusive ? at::softmax(logits, 1) : at::sigmoid(logits)).contiguous();
    const double* row = shares.const_data_ptr<double>();
    for (const TokenLine& line : batch) {
      all[line.number].assign(row, row + c.classes);
      row += c.classes;
    }
    done += static_cast<int64_t>(batch.size());
    if (progress && !progress(done)) break;
  }
  return all;
}

}  // namespace headlight::task
