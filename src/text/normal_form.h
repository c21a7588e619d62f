// Unicode normal forms, with the place that every character came from.
#pragma once

#include "text/aligned_text.h"

namespace headlight::text {

enum class NormalForm { nfc, nfd, nfkc, nfkd };

// UAX 15 as of Unicode 9, which is what published tokenizers were made with.
void to_normal_form(NormalForm form, AlignedText& text);

}  // namespace headlight::text
