// Which heads a model needs, for the terminal.
#pragma once

#include <string>

#include "lab/ranking.h"

namespace headlight::report {

// What every head is worth, a grid for each stack; the heads that are needed least and most, with
// intervals; how well the gates guess it; what is left of the loss as heads go. Lines have at most
// `width` columns; ends with a line feed. `tolerance` in nats decides how many heads are free.
std::string ranking_text(const lab::Ranking& ranking, double tolerance, int width, bool colour);

}  // namespace headlight::report
