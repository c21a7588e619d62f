// Hitting times of a graph that is not causal: t_i sum_{j != i} A_ji = c_i + sum_{j != i, s} A_ji
// t_j.
#pragma once

#include <vector>

#include "heads/walks.h"

namespace headlight::heads {

// Elimination without subtractions (Grassmann, Taksar & Heyman 1985): 2 n^3 / 3 operations, every
// result to full relative accuracy. Stranded nodes get infinity.
std::vector<double> eliminate(const TokenGraph&, const std::vector<bool>& stranded);

// BiCGSTAB between a sweep over the nodes down and one up (symmetric Gauss-Seidel), one pass over
// the graph per product. Accepted if every component of the residual is at most 1e-8 of the right
// side's; the inverse has no negative entry, so no time is then off by more than 1e-8 of itself.
// Else `residual` says what was reached.
HittingTimes iterate(const TokenGraph&, const std::vector<bool>& stranded);

}  // namespace headlight::heads
