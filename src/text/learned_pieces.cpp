#include "text/learned_pieces.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "headlight/error.h"

namespace headlight::text {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kFewest = kFirstPiece + 256 + 1;
constexpr int64_t kMost = 1'000'000;
constexpr size_t kLongest = 4000;  // bytes of a line that are learned from

class WholeLines : public sentencepiece::SentenceIterator {
 public:
  explicit WholeLines(const std::vector<std::string>& lines) : lines_(lines) { read(); }
  bool done() const override { return at_ >= lines_.size(); }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }
  void Next() override {
    ++at_;
    read();
  }

 private:
  void read() {
    if (done()) return;
    size_t length = lines_[at_].size();
    if (length > kLongest) {  // cut at a character
      length = kLongest;
      while ((static_cast<unsigned char>(lines_[at_][length]) & 0xC0) == 0x80) --length;
    }
    line_ = lines_[at_].substr(0, length);
    std::erase(line_, '\0');  // means something to the trainer
  }

  const std::vector<std::string>& lines_;
  size_t at_ = 0;
  std::string line_;
};

Json special(const char* content, int64_t id) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

Json sequence_part(const char* id, int type) {
  return {{"Sequence", {{"id", id}, {"type_id", type}}}};
}
Json special_part(const char* id, int type) {
  return {{"SpecialToken", {{"id", id}, {"type_id", type}}}};
}

Json post_processor(const TokenizerForm& form) {
  Json single = Json::array(), pair = Json::array(), tokens = Json::object();
  const auto text = [&](const char* id, int type) {
    if (form.begin) pair.push_back(special_part("<s>", type));
    pair.push_back(sequence_part(id, type));
    if (form.end) pair.push_back(special_part("</s>", type));
  };
  text("A", 0);
  single = pair;
  text("B", 1);
  if (form.begin) tokens["<s>"] = {{"id", "<s>"}, {"ids", {kBegin}}, {"tokens", {"<s>"}}};
  if (form.end) tokens["</s>"] = {{"id", "</s>"}, {"ids", {kEnd}}, {"tokens", {"</s>"}}};
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"pair", std::move(pair)},
          {"special_tokens", std::move(tokens)}};
}

Json normalizer(const TokenizerForm& form) {
  Json all = Json::array();
  if (!form.keep_spaces) {
    all.push_back({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
    all.push_back({{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}});
  }
  if (form.lower_case) all.push_back({{"type", "Lowercase"}});
  if (all.empty()) return nullptr;
  return {{"type", "Sequence"}, {"normalizers", std::move(all)}};
}

}  // namespace

Pieces learn_pieces(const std::vector<std::string>& lines, int64_t pieces) {
  if (pieces < kFewest || pieces > kMost)
    throw Error(ErrorKind::usage, fmt::format("a vocabulary of {} pieces; it must have {} to {}",
                                              pieces, kFewest, kMost));
  const std::unordered_map<std::string, std::string> options = {
      {"model_type", "unigram"},
      {"vocab_size", std::to_string(pieces)},
      {"hard_vocab_limit", "false"},
      {"byte_fallback", "true"},
      {"character_coverage", "1.0"},
      {"normalization_rule_name", "identity"},
      {"pad_id", std::to_string(kPadding)},
      {"eos_id", std::to_string(kEnd)},
      {"unk_id", std::to_string(kUnknown)},
      {"bos_id", std::to_string(kBegin)},
      {"max_sentence_length", std::to_string(2 * kLongest)},
      {"num_threads", "1"},
      {"minloglevel", "3"}};
  WholeLines iterator(lines);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(options, &iterator, &model);
  sentencepiece::SentencePieceProcessor processor;
  if (!status.ok() || !processor.LoadFromSerializedProto(model).ok())
    throw Error(ErrorKind::bad_input,
                fmt::format("no vocabulary of {} pieces can be learned from {} lines; give more "
                            "text, or choose another number ({})",
                            pieces, lines.size(), status.ToString()));
  Pieces learned;
  for (int id = 0; id < processor.GetPieceSize(); ++id)
    learned.emplace_back(processor.IdToPiece(id), static_cast<double>(processor.GetScore(id)));
  return learned;
}

Json tokenizer_json(const Pieces& pieces, const TokenizerForm& form) {
  Json vocabulary = Json::array();
  for (const auto& [piece, score] : pieces) vocabulary.push_back({piece, score});
  Json added = {special("<pad>", kPadding), special("</s>", kEnd), special("<unk>", kUnknown),
                special("<s>", kBegin)};
  if (form.mask) added.push_back(special(kMask, static_cast<int64_t>(pieces.size())));
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added)},
          {"normalizer", normalizer(form)},
          {"pre_tokenizer",
           {{"type", "Metaspace"},
            {"replacement", "\u2581"},
            {"prepend_scheme", "always"},
            {"split", true}}},
          {"post_processor", post_processor(form)},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders",
             {{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}},
              {{"type", "ByteFallback"}},
              {{"type", "Fuse"}},
              {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
          {"model",
           {{"type", "Unigram"},
            {"unk_id", kUnknown},
            {"vocab", std::move(vocabulary)},
            {"byte_fallback", true}}}};
}

}  // namespace headlight::text
