// Reports as one offline HTML file each.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace headlight::report {

// A complete page, UTF-8, that shows `report` (schema headlight.study/1) and loads nothing. The
// report stands in it whole, compressed (zlib, base64): a third of its size, and nothing in it can
// end the element that it stands in. Bytes that are no UTF-8 become U+FFFD.
std::string study_page(const nlohmann::ordered_json& report);
// The same for schemas headlight.inspect/1, headlight.rank/1 and headlight.diff/1.
std::string inspect_page(const nlohmann::ordered_json& report);
std::string rank_page(const nlohmann::ordered_json& report);
std::string diff_page(const nlohmann::ordered_json& report);

}  // namespace headlight::report
