#include "text/regex.h"

#include <fmt/format.h>
#include <oniguruma.h>

#include "headlight/error.h"
#include "text/utf8.h"

namespace headlight::text {
namespace {

const UChar* bytes_of(std::string_view text) { return reinterpret_cast<const UChar*>(text.data()); }

std::string message_of(int code, OnigErrorInfo* info = nullptr) {
  UChar message[ONIG_MAX_ERROR_MESSAGE_LEN];
  const int length = info != nullptr ? onig_error_code_to_str(message, code, info)
                                     : onig_error_code_to_str(message, code);
  return {reinterpret_cast<const char*>(message), static_cast<size_t>(length)};
}

}  // namespace

Regex::Regex(const std::string& pattern) : pattern_(pattern) {
  static const bool ready = [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    onig_initialize(encodings, 1);
    // A hostile pattern must not search for ever.
    onig_set_retry_limit_in_match(10'000'000);
    onig_set_parse_depth_limit(250);
    return true;
  }();
  (void)ready;
  regex_t* compiled = nullptr;
  OnigErrorInfo info;
  const int code = onig_new(&compiled, bytes_of(pattern), bytes_of(pattern) + pattern.size(),
                            ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, ONIG_SYNTAX_RUBY, &info);
  if (code != ONIG_NORMAL) {
    throw Error(ErrorKind::bad_input, fmt::format("\"{}\" is not a regular expression ({})",
                                                  pattern, message_of(code, &info)));
  }
  compiled_.reset(compiled, onig_free);
}

std::vector<Range> Regex::find_all(std::string_view text) const {
  std::vector<Range> found;
  const UChar* begin = bytes_of(text);
  const UChar* end = begin + text.size();
  const std::unique_ptr<OnigRegion, void (*)(OnigRegion*)> region(
      onig_region_new(), [](OnigRegion* r) { onig_region_free(r, 1); });
  for (size_t at = 0; at <= text.size();) {
    const int place =
        onig_search(compiled_.get(), begin, end, begin + at, end, region.get(), ONIG_OPTION_NONE);
    if (place == ONIG_MISMATCH) break;
    if (place < 0) {
      throw Error(ErrorKind::bad_input, fmt::format("the regular expression \"{}\" fails ({})",
                                                    pattern_, message_of(place)));
    }
    const Range match{static_cast<size_t>(region->beg[0]), static_cast<size_t>(region->end[0])};
    const bool empty = match.begin == match.end;
    if (!empty || found.empty() || found.back().end != match.end) found.push_back(match);
    at = match.end;
    if (empty) at += at < text.size() ? character_at(text, at).bytes : 1;
  }
  return found;
}

std::vector<Range> find_all(std::string_view text, std::string_view what) {
  std::vector<Range> found;
  if (what.empty()) return found;
  for (size_t at = 0; (at = text.find(what, at)) != std::string_view::npos; at += what.size())
    found.push_back({at, at + what.size()});
  return found;
}

}  // namespace headlight::text
