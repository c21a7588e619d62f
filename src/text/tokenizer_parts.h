// What a tokenizer is made of, in the order in which text passes through.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/added_tokens.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/word_cache.h"
#include "text/word_model.h"

namespace headlight::text {

struct TokenizerParts {
  std::vector<AddedToken> added_tokens;
  std::vector<Normalizer> normalizers;
  std::vector<PreTokenizer> pre_tokenizers;
  std::unique_ptr<WordModel> model;
  std::vector<PostProcessor> post_processors;
  std::vector<Decoder> decoders;

  // Made by finish().
  AddedTokenFinder raw_finder, normalized_finder;
  std::unordered_map<int64_t, std::string> added_by_id;
  std::unordered_map<std::string, int64_t> added_by_content;
  std::unordered_set<std::string> special_contents;
  WordCaches caches;

  // To be called once, when all of the above is there.
  void finish();
  const std::string* text_of(int64_t id) const;
};

}  // namespace headlight::text
