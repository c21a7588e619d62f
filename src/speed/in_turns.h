// Times of things that are run in turns, so that whatever else the machine does meets all alike.
#pragma once

#include <functional>
#include <vector>

namespace headlight::speed {

struct Times {
  double median = 0, fastest = 0;  // seconds of one step
};

// Every step goes through the same rounds, about `seconds` for all of them together and three
// rounds at least; in a round short steps are repeated, behind one that is not timed: it wakes
// threads and brings back what the others threw out of the caches.
std::vector<Times> in_turns(const std::vector<std::function<void()>>& steps, double seconds);

}  // namespace headlight::speed
