// tokenizer.json, the one file that holds a whole tokenizer.
#pragma once

#include <filesystem>
#include <memory>

#include "text/json_place.h"
#include "text/tokenizer_parts.h"

namespace headlight::text {

// All of these throw Error (bad_input) that names the file, the place, and, for a component that
// is not known, those that are.
std::shared_ptr<TokenizerParts> read_tokenizer_json(const std::filesystem::path& file);

// Sequences come out flat.
std::vector<Normalizer> read_normalizers(const JsonPlace& place);
std::vector<PreTokenizer> read_pre_tokenizers(const JsonPlace& place);
std::vector<PostProcessor> read_post_processors(const JsonPlace& place);
std::vector<Decoder> read_decoders(const JsonPlace& place);

// A byte-level BPE that reads bytes, if what comes before it only writes bytes as characters.
std::unique_ptr<WordModel> make_bpe_for(std::vector<PreTokenizer>& pre_tokenizers,
                                        TokenTable tokens, const BpeOptions& options);

}  // namespace headlight::text
