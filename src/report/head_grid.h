// What every head of a model does: a grid of layers by heads, and some sentences.
#pragma once

#include <string>
#include <vector>

#include "lab/inspection.h"

namespace headlight::report {

// One letter a head, the same as on the page; with colour its strength as brightness, and the same
// as a percentage where the width has room. Effective heads stand at the end of each row. Behind
// the grids: what the letters mean, groups of heads that look alike, sinks, heads without numbers.
// Lines have at most `width` columns; ends with a line feed.
std::string head_grid(const lab::Inspection&, int width, bool colour);

// The same as a picture: a square a head in the colour of its role, the paler the weaker; letters
// as in the terminal, and a legend.
std::string head_grid_svg(const lab::Inspection&);

// What stands out most, the most telling first; at most `count` sentences, each with its numbers.
std::vector<std::string> telling_sentences(const lab::Inspection&, size_t count = 3);

// "self.0.3": how users name heads.
std::string head_name(const lab::InspectedLayer&, size_t head);

}  // namespace headlight::report
