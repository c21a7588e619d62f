// Lower case of whole texts.
#pragma once

#include <string>
#include <string_view>

namespace headlight::text {

// UTF-8 to lower case with Unicode's full rules (final sigma, İ to two characters), as in no
// particular language.
std::string lower_case_text(std::string_view text);

}  // namespace headlight::text
