#include "text/vocabulary.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <unordered_map>

#include "headlight/error.h"
#include "tensorfile/atomic_file.h"

namespace headlight::text {
namespace {

constexpr int64_t kBytes = 256;
constexpr std::string_view kSpaceMark = "\u2581";  // what sentencepiece writes for a space
// The piece limit of a 32-bit model file, far beyond what learning can do.
constexpr int64_t kMostPieces = 1'000'000;

void check_text(std::string_view text) {
  if (const size_t place = find_invalid_utf8(text); place != std::string_view::npos) {
    throw Error(ErrorKind::bad_input,
                fmt::format("the text is not UTF-8 at byte {} (0x{:02X}); convert it, or use bytes "
                            "instead of byte-pair pieces",
                            place, static_cast<unsigned char>(text[place])));
  }
  if (const size_t place = text.find(kSpaceMark); place != std::string_view::npos) {
    throw Error(ErrorKind::bad_input,
                fmt::format("the text holds U+2581 at byte {}, which stands for the space in "
                            "byte-pair pieces; replace it, or use bytes",
                            place));
  }
}

// The lines of several texts, one after the other, as the trainer wants them.
class TextLines : public sentencepiece::SentenceIterator {
 public:
  explicit TextLines(std::span<const std::string_view> texts) : texts_(texts) { Next(); }
  bool done() const override { return done_; }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }
  void Next() override {
    do {
      while (text_ < texts_.size() && at_ >= texts_[text_].size()) {
        ++text_;
        at_ = 0;
      }
      if (text_ == texts_.size()) {
        done_ = true;
        return;
      }
      const std::string_view rest = texts_[text_].substr(at_);
      // Long lines are cut at a letter: the trainer would leave them out.
      size_t length = std::min(rest.find('\n'), rest.size());
      if (length > kLongest) {
        length = kLongest;
        while (length > 0 && (static_cast<unsigned char>(rest[length]) & 0xC0) == 0x80) --length;
        at_ += length;
      } else {
        at_ += length + 1;
      }
      line_ = rest.substr(0, length);
      std::erase(line_, '\0');  // means something to the trainer
      std::erase(line_, '\r');
    } while (line_.empty());
  }

  static constexpr size_t kLongest = 4000;

 private:
  std::span<const std::string_view> texts_;
  size_t text_ = 0, at_ = 0;
  std::string line_;
  bool done_ = false;
};

void require(const sentencepiece::util::Status& status, ErrorKind kind, const std::string& what) {
  if (!status.ok()) throw Error(kind, fmt::format("{}: {}", what, status.ToString()));
}

}  // namespace

size_t find_invalid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t k) { return static_cast<unsigned char>(text[i + k]); };
    const unsigned char first = byte(0);
    const size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if ((first >= 0x80 && first < 0xC2) || first > 0xF4 || i + length > text.size()) return i;
    for (size_t k = 1; k < length; ++k) {
      if ((byte(k) & 0xC0) != 0x80) return i;
    }
    // Longer than needed, a surrogate, or beyond U+10FFFF.
    if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) ||
        (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F)) {
      return i;
    }
    i += length;
  }
  return std::string_view::npos;
}

Vocabulary Vocabulary::bytes() { return {}; }

Vocabulary Vocabulary::learn(std::span<const std::string_view> texts, int64_t pieces) {
  for (const std::string_view text : texts) check_text(text);
  TextLines lines(texts);
  if (lines.done()) {
    throw Error(ErrorKind::bad_input, "there is no text to learn a vocabulary from");
  }
  // Bytes, "unknown", begin and end are always there.
  constexpr int64_t kFewest = kBytes + 3 + 1;
  if (pieces < kFewest || pieces > kMostPieces) {
    throw Error(ErrorKind::usage,
                fmt::format("a vocabulary of {} byte-pair pieces; it must have {} "
                            "to {}",
                            pieces, kFewest, kMostPieces));
  }
  const std::unordered_map<std::string, std::string> options = {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(pieces)},
      {"byte_fallback", "true"},
      {"character_coverage", "1.0"},
      // Text comes back as it was.
      {"normalization_rule_name", "identity"},
      {"add_dummy_prefix", "false"},
      {"remove_extra_whitespaces", "false"},
      {"max_sentence_length", std::to_string(2 * TextLines::kLongest)},
      {"num_threads", "1"},
      {"minloglevel", "3"}};
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(options, &lines, &model);
  if (!status.ok()) {
    throw Error(ErrorKind::usage,
                fmt::format("no vocabulary of {} byte-pair pieces can be learned from this text; "
                            "choose another number, or give more text ({})",
                            pieces, status.ToString()));
  }
  auto processor = std::make_shared<sentencepiece::SentencePieceProcessor>();
  require(processor->LoadFromSerializedProto(model), ErrorKind::bad_input, "learned vocabulary");
  Vocabulary result;
  result.pieces_ = std::move(processor);
  return result;
}

Vocabulary Vocabulary::load(const std::filesystem::path& file) {
  auto processor = std::make_shared<sentencepiece::SentencePieceProcessor>();
  require(processor->LoadFromSerializedProto(tensorfile::read_text_file(file)),
          ErrorKind::bad_input, file.string() + ": is not a sentencepiece model");
  if (processor->bos_id() < 0 || processor->eos_id() < 0) {
    throw Error(ErrorKind::bad_input, file.string() + ": has no symbols for begin and end");
  }
  Vocabulary result;
  result.pieces_ = std::move(processor);
  return result;
}

void Vocabulary::save(const std::filesystem::path& file) const {
  if (is_bytes()) throw Error(ErrorKind::usage, "bytes need no vocabulary file");
  tensorfile::write_file_atomically(file, pieces_->serialized_model_proto());
}

int64_t Vocabulary::size() const { return is_bytes() ? kBytes + 2 : pieces_->GetPieceSize(); }
int64_t Vocabulary::begin() const { return is_bytes() ? kBytes : pieces_->bos_id(); }
int64_t Vocabulary::end() const { return is_bytes() ? kBytes + 1 : pieces_->eos_id(); }

std::vector<int64_t> Vocabulary::encode(std::string_view text) const {
  std::vector<int64_t> symbols;
  if (is_bytes()) {
    symbols.reserve(text.size());
    for (const char c : text) symbols.push_back(static_cast<unsigned char>(c));
    return symbols;
  }
  check_text(text);
  // Line by line, each with its end: pieces do not reach over lines, and the search for pieces
  // would be slow on a whole file.
  std::vector<int> ids;
  for (size_t at = 0; at < text.size();) {
    const size_t line_end = text.find('\n', at);
    const size_t next = line_end == std::string_view::npos ? text.size() : line_end + 1;
    require(pieces_->Encode({text.data() + at, next - at}, &ids), ErrorKind::bad_input, "text");
    symbols.insert(symbols.end(), ids.begin(), ids.end());
    at = next;
  }
  return symbols;
}

std::string Vocabulary::decode(std::span<const int64_t> symbols) const {
  std::string text;
  std::vector<int> ids;
  for (const int64_t symbol : symbols) {
    if (symbol < 0 || symbol >= size()) {
      throw Error(ErrorKind::usage,
                  fmt::format("symbol {} is not in a vocabulary of {}", symbol, size()));
    }
    if (is_bytes() && symbol < kBytes) text.push_back(static_cast<char>(symbol));
    if (!is_bytes()) ids.push_back(static_cast<int>(symbol));
  }
  if (!is_bytes()) require(pieces_->Decode(ids, &text), ErrorKind::bad_input, "text");
  return text;
}

std::string Vocabulary::show(int64_t symbol) const {
  if (symbol == begin()) return "<begin>";
  if (symbol == end()) return "<end>";
  std::string piece = is_bytes() || pieces_->IsByte(static_cast<int>(symbol))
                          ? decode(std::span(&symbol, 1))
                          : pieces_->IdToPiece(static_cast<int>(symbol));
  if (is_bytes() || piece.size() == 1) {
    const auto byte = static_cast<unsigned char>(piece.empty() ? 0 : piece[0]);
    if (byte == '\n') return "\\n";
    if (byte == '\t') return "\\t";
    if (byte == ' ') return "·";
    if (byte < 0x20 || byte >= 0x7F) return fmt::format("0x{:02X}", byte);
    return {static_cast<char>(byte)};
  }
  for (size_t at = 0; (at = piece.find(kSpaceMark, at)) != std::string::npos;) {
    piece.replace(at, kSpaceMark.size(), "·");
  }
  return piece;
}

}  // namespace headlight::text
