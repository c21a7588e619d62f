#include "text/letter_case.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>

#include "headlight/error.h"

namespace headlight::text {

std::string lower_case_text(std::string_view text) {
  std::string lower;
  icu::StringByteSink<std::string> sink(&lower);
  UErrorCode status = U_ZERO_ERROR;
  icu::CaseMap::utf8ToLower("", 0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())),
                            sink, nullptr, status);
  if (U_FAILURE(status))
    throw Error(ErrorKind::no_resources, "ICU cannot bring a text into lower case");
  return lower;
}

}  // namespace headlight::text
