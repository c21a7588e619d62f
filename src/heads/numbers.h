// Numbers that stand for no number, and how close numbers count as equal.
#pragma once

#include <limits>

namespace headlight::heads {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kEqual = 1e-9;  // thresholds count as met within this

}  // namespace headlight::heads
