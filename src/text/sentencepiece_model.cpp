#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include "headlight/error.h"
#include "tensorfile/atomic_file.h"
#include "text/classic_files.h"

namespace headlight::text {
namespace {

using sentencepiece::SentencePieceProcessor;

class SentencePieceModel : public WordModel {
 public:
  SentencePieceModel(std::unique_ptr<SentencePieceProcessor> processor,
                     std::optional<TokenTable> tokens, const std::string& unknown)
      : WordModel(tokens ? std::move(*tokens) : table_of(*processor)),
        processor_(std::move(processor)),
        unknown_(tokens_.find(unknown).value_or(-1)) {}

  void tokenize(std::string_view word, std::vector<WordToken>& out) const override {
    const auto result = processor_->EncodeAsImmutableProto({word.data(), word.size()});
    const auto pieces = result.pieces();  // they point into the result
    const size_t first = out.size();
    for (const auto& piece : pieces) {
      const TokenId id = tokens_.find(piece.piece()).value_or(unknown_);
      if (id < 0)
        throw Error(ErrorKind::bad_input,
                    fmt::format("the vocabulary has no \"{}\" and no token for the unknown",
                                piece.piece()));
      out.push_back({id, piece.begin(), piece.end()});
    }
    // Of a character in bytes, the library gives its place to the last byte only.
    for (size_t i = pieces.size(); i-- > 1;) {
      WordToken& token = out[first + i - 1];
      const WordToken& next = out[first + i];
      if (token.begin == token.end && next.begin == token.begin && is_byte(pieces[i - 1].id()) &&
          is_byte(pieces[i].id()))
        token.end = next.end;
    }
  }

 private:
  static TokenTable table_of(const SentencePieceProcessor& processor) {
    TokenTable tokens;
    for (int id = 0; id < processor.GetPieceSize(); ++id) tokens.add(processor.IdToPiece(id), id);
    return tokens;
  }
  bool is_byte(uint32_t id) const { return processor_->IsByte(static_cast<int>(id)); }

  std::unique_ptr<SentencePieceProcessor> processor_;
  TokenId unknown_;
};

}  // namespace

std::unique_ptr<WordModel> make_sentencepiece(const std::filesystem::path& file,
                                              std::optional<TokenTable> tokens,
                                              const std::string& unknown) {
  auto processor = std::make_unique<SentencePieceProcessor>();
  const auto status = processor->LoadFromSerializedProto(tensorfile::read_text_file(file));
  if (!status.ok())
    throw Error(ErrorKind::bad_input, fmt::format("{}: is not a sentencepiece model ({})",
                                                  file.string(), status.ToString()));
  const std::string own_unknown =
      processor->unk_id() >= 0 ? processor->IdToPiece(processor->unk_id()) : unknown;
  const bool own_ids = !tokens;
  return std::make_unique<SentencePieceModel>(std::move(processor), std::move(tokens),
                                              own_ids ? own_unknown : unknown);
}

}  // namespace headlight::text
