#include "report/page.h"

#include <zlib.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "headlight/error.h"
#include "tensorfile/base64.h"

namespace headlight::report {
namespace {

constexpr std::string_view kPlaceholder = "__HEADLIGHT_REPORT__";

// Compressed, as text that may stand in a script element: the numbers of a hundred runs are long.
std::string packed(const std::string& json) {
  uLongf size = compressBound(uLong(json.size()));
  std::vector<uint8_t> bytes(size);
  const auto* text = reinterpret_cast<const Bytef*>(json.data());
  if (compress2(bytes.data(), &size, text, uLong(json.size()), Z_BEST_COMPRESSION) != Z_OK)
    throw Error(ErrorKind::no_resources, "not enough memory to compress the report");
  return tensorfile::base64({bytes.data(), size});
}

std::string filled(const char* start, const char* end, const nlohmann::ordered_json& report) {
  const std::string_view page(start, size_t(end - start));
  const size_t place = page.find(kPlaceholder);
  if (place == std::string_view::npos)
    throw Error(ErrorKind::bad_input,
                "The report page was built without a place for its data. Build headlight again.");
  const std::string json =
      report.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  std::string text(page.substr(0, place));
  text += packed(json);
  text += page.substr(place + kPlaceholder.size());
  return text;
}

}  // namespace

// What page_data.S holds of a page, and the function that fills it in.
#define HEADLIGHT_PAGE(name)                                                            \
  extern "C" const char headlight_##name##_page_start[], headlight_##name##_page_end[]; \
  std::string name##_page(const nlohmann::ordered_json& report) {                       \
    return filled(headlight_##name##_page_start, headlight_##name##_page_end, report);  \
  }

HEADLIGHT_PAGE(study)
HEADLIGHT_PAGE(inspect)
HEADLIGHT_PAGE(rank)
HEADLIGHT_PAGE(diff)

}  // namespace headlight::report
