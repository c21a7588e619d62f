#include "app/tokenize.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "headlight/error.h"
#include "text/tokenizer.h"

namespace headlight::app {
namespace {

struct TokenizeOptions {
  std::filesystem::path model;
  std::filesystem::path file;  // empty: standard input
  bool json_lines = false;
  bool decode = false;
  bool no_special_tokens = false;
  bool keep_special_tokens = false;
};

std::string described(const text::Encoding& encoding) {
  nlohmann::json offsets = nlohmann::json::array();
  for (const text::Span& span : encoding.offsets) offsets.push_back({span.begin, span.end});
  nlohmann::ordered_json line;
  line["ids"] = encoding.ids;
  line["offsets"] = offsets;
  line["tokens"] = encoding.tokens;
  return line.dump();
}

// {"text": "…"} or {"text": "…", "pair": "…"}
text::Encoding encode_object(const text::Tokenizer& tokenizer, const std::string& line,
                             const text::EncodeOptions& options) {
  const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
  const auto is_text = [&](const char* key) {
    return object.is_object() && object.contains(key) && object[key].is_string();
  };
  if (!is_text("text")) throw Error(ErrorKind::bad_input, "this is not an object with a \"text\"");
  const std::string first = object["text"].get<std::string>();
  if (!object.contains("pair")) return text::encode(tokenizer, first, options);
  if (!is_text("pair")) throw Error(ErrorKind::bad_input, "the \"pair\" is not a text");
  return text::encode_pair(tokenizer, first, object["pair"].get<std::string>(), options);
}

// Numbers with spaces between them, or a JSON list.
std::vector<int64_t> ids_in(std::string line) {
  std::vector<int64_t> ids;
  for (char& c : line)
    if (c == ',' || c == '[' || c == ']' || c == '\r') c = ' ';
  const char* at = line.c_str();
  while (*(at += std::strspn(at, " \t")) != '\0') {
    char* end = nullptr;
    errno = 0;
    ids.push_back(std::strtoll(at, &end, 10));
    if (end == at || errno != 0 || (*end != '\0' && *end != ' ' && *end != '\t'))
      throw Error(ErrorKind::bad_input, fmt::format("\"{}\" is not an id", at));
    at = end;
  }
  return ids;
}

std::string answer(const text::Tokenizer& tokenizer, const std::string& line,
                   const TokenizeOptions& options) {
  const text::EncodeOptions encoding{.special_tokens = !options.no_special_tokens};
  if (options.decode)
    return text::decode(tokenizer, ids_in(line), {.special_tokens = options.keep_special_tokens});
  if (options.json_lines) return described(encode_object(tokenizer, line, encoding));
  return described(text::encode(tokenizer, line, encoding));
}

// A line an answer; with --json one object with all of them.
void tokenize(const TokenizeOptions& options, const Common& common) {
  const text::Tokenizer tokenizer = text::read_tokenizer(options.model);
  std::ifstream file;
  if (!options.file.empty()) {
    file.open(options.file, std::ios::binary);
    if (!file || std::filesystem::is_directory(options.file))
      throw Error(ErrorKind::bad_input, options.file.string() + ": cannot be read");
  }
  std::istream& lines = options.file.empty() ? std::cin : file;
  const std::string name = options.file.empty() ? "standard input" : options.file.string();
  int64_t number = 0;
  if (common.json) fmt::print("{{\"lines\": [");
  for (std::string line; std::getline(lines, line);) {
    ++number;
    try {
      std::string result = answer(tokenizer, line, options);
      if (!common.json) {
        fmt::print("{}\n", result);
        continue;
      }
      if (options.decode) result = nlohmann::json(result).dump();
      fmt::print("{}{}", number > 1 ? ", " : "", result);
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: line {}: {}", name, number, error.what()));
    }
  }
  if (common.json) fmt::print("]}}\n");
}

}  // namespace

void add_tokenize(CLI::App& program, const Common& common) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* verb = program.add_subcommand(
      "tokenize", "What a model's tokenizer makes of text: ids, offsets and tokens, and back");
  verb->add_option("MODEL", options->model,
                   "A folder as Hugging Face models come in, a tokenizer.json, or a "
                   "sentencepiece model")
      ->required();
  verb->add_option("--file", options->file, "Lines of text; without it they come from stdin");
  CLI::Option* json_lines = verb->add_flag(
      "--jsonl", options->json_lines,
      "Lines are {\"text\": …}, with \"pair\" for a second text; they may hold newlines");
  CLI::Option* no_special = verb->add_flag("--no-special-tokens", options->no_special_tokens,
                                           "Only the text, without what the model wants around it");
  CLI::Option* decode =
      verb->add_flag("--decode", options->decode, "Lines are ids; prints the text of each line");
  verb->add_flag("--keep-special-tokens", options->keep_special_tokens,
                 "With --decode: special tokens stay in the text")
      ->needs(decode);
  decode->excludes(json_lines)->excludes(no_special);
  verb->footer(
      "One JSON object a line: {\"ids\": […], \"offsets\": [[begin, end], …],\n"
      "\"tokens\": […]}; offsets count Unicode characters.\n\nExample:\n"
      "  echo 'He didn'\\''t trust him' | headlight tokenize model/\n"
      "  echo '101 2002 102' | headlight tokenize model/ --decode");
  verb->callback([options, &common] { tokenize(*options, common); });
}

}  // namespace headlight::app
