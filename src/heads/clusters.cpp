#include "heads/clusters.h"

#include <cmath>
#include <limits>

namespace headlight::heads {
namespace {

constexpr double kTie = 1e-12;  // sums in another order must not break a tie

double mean_distance(const HeadMatrix& distance, const std::vector<int64_t>& a,
                     const std::vector<int64_t>& b) {
  double sum = 0;
  for (int64_t h : a)
    for (int64_t g : b) sum += distance[h][g];
  return sum / static_cast<double>(a.size() * b.size());
}

}  // namespace

Clusters cluster_heads(const HeadMatrix& distance, double cut) {
  std::vector<std::vector<int64_t>> groups;
  for (size_t h = 0; h < distance.size(); ++h) {
    for (double d : distance[h])
      if (std::isnan(d)) return {};
    groups.push_back({static_cast<int64_t>(h)});
  }
  HeadMatrix between = distance;  // of groups; rows of absorbed groups are not read any more
  while (true) {
    double nearest = std::numeric_limits<double>::infinity();
    size_t first = 0, second = 0;
    for (size_t a = 0; a < groups.size(); ++a)
      for (size_t b = a + 1; b < groups.size(); ++b)
        if (!groups[a].empty() && !groups[b].empty() && between[a][b] < nearest - kTie) {
          nearest = between[a][b];
          first = a;
          second = b;
        }
    if (!(nearest <= cut + kTie)) break;
    groups[first].insert(groups[first].end(), groups[second].begin(), groups[second].end());
    groups[second].clear();
    for (size_t g = 0; g < groups.size(); ++g)
      if (g != first && !groups[g].empty())
        between[first][g] = between[g][first] = mean_distance(distance, groups[first], groups[g]);
  }
  // A group keeps the place of its lowest head, so groups are already in order of appearance.
  Clusters result;
  result.labels.resize(distance.size());
  for (const auto& group : groups) {
    if (group.empty()) continue;
    double smallest = std::numeric_limits<double>::infinity();
    int64_t medoid = group.front();
    for (int64_t h : group) {
      double sum = 0;
      for (int64_t g : group) sum += distance[h][g];
      if (sum < smallest - kTie || (sum <= smallest + kTie && h < medoid)) {
        smallest = sum;
        medoid = h;
      }
      result.labels[h] = static_cast<int64_t>(result.medoids.size());
    }
    result.medoids.push_back(medoid);
  }
  return result;
}

}  // namespace headlight::heads
