// How alike the heads of one model are to those of another over the same tokens, from one pass over
// both patterns that keeps no matrix of tokens by tokens.
#pragma once

#include <cstdint>
#include <vector>

#include "heads/attention_source.h"

namespace headlight::heads {

// Sums over the used rows of one sequence, from which distances over many are made. Matrices are
// [heads of a][heads of b].
struct TwoModels {
  int64_t rows = 0;
  // Squared Hellinger distance of two rows, 1/2 sum_j (sqrt p_j - sqrt q_j)^2 = 1 - BC, summed.
  std::vector<std::vector<double>> squared_hellinger;

  // What heads add to the residual stream, Y_h = A V W_O. Alike here is what relates the rows to
  // each other in the same way, whatever the basis of the stream: linear HSIC, without the bias
  // that few rows give it (HSIC_1 of Song et al. 2012), so that sequences add up to a CKA (Nguyen,
  // Raghu & Kornblith 2021, minibatch CKA). 0 for fewer than four rows.
  std::vector<std::vector<double>> hsic;
  std::vector<double> own_hsic_a, own_hsic_b;  // of each head with itself
  std::vector<double> energy_a, energy_b;      // ||Y_h||^2, summed

  std::vector<bool> bad_a, bad_b;  // a NaN or infinity in the scores or values; its numbers are 0
};

// Both with values and output projections, over the same queries and keys; heads, head sizes and
// the width of the stream may differ. Throws headlight::Error (usage) for tokens that differ.
TwoModels compare(const Attention& a, const Attention& b, int threads = 1);

}  // namespace headlight::heads
