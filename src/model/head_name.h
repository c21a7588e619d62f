// Heads by name: STACK.LAYER.HEAD, as in self.0.3 or cross.1.2.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"

namespace headlight::model {

struct HeadPlace {
  std::string stack;  // "self" (the only stack), "encoder", "decoder" or "cross"
  int64_t layer = 0, head = 0;

  auto operator<=>(const HeadPlace&) const = default;
};

std::string name_of(const HeadPlace& place);

// Every head of a model: the encoder's, the decoder's, then those of cross-attention.
std::vector<HeadPlace> all_heads(const Config& config);

// The stacks of a model under those names, in that order, and what each is made of.
struct NamedPart {
  std::string stack;
  Part part;
  int64_t layers = 0;
};
std::vector<NamedPart> parts_of(const Config& config);

// Names with commas between them, or @FILE with a JSON list of names or of objects {"stack",
// "layer", "head"}. Sorted, each once. Throws Error: usage for a name that is none or a head that
// the model does not have (naming those it has), bad_input for a file that holds no such list.
std::vector<HeadPlace> parse_heads(const std::string& list, const Config& config);

}  // namespace headlight::model
