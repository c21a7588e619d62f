#include "heads/gates_case.h"

#include <Eigen/Core>
#include <algorithm>

#include "heads/attention_source.h"
#include "heads/case_arrays.h"
#include "heads/pattern.h"
#include "heads/spearman.h"

namespace headlight::heads {
namespace {

namespace fs = std::filesystem;
using tensorfile::Array;
using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Head contributions Y_h [rows, width] of one example and what they should add up to.
struct Example {
  std::vector<Matrix> contributions;
  Matrix missing;  // target - bias
};

std::vector<float> floats(const fs::path& folder, const char* name, const Array& array) {
  return tensorfile::to_vector<float>(array, case_file(folder, name).string());
}

std::vector<Example> read_examples(const fs::path& folder) {
  const nlohmann::json about = read_case(folder);
  require_known_keys(about, {"causal", "lengths"}, folder);
  const Array q = read_case_array(folder, "q", 4), k = read_case_array(folder, "k", 4);
  const Array v = read_case_array(folder, "v", 4), w = read_case_array(folder, "w_o", 3);
  const Array bias = read_case_array(folder, "bias", 1);
  const Array target = read_case_array(folder, "target", 3);
  const int64_t batch = q.dim(0), heads = q.dim(1), n = q.dim(2), dim = q.dim(3);
  const int64_t kv_heads = k.dim(1), value_dim = v.dim(3), width = w.dim(2);
  require_shape(folder, "k", k, {batch, kv_heads, n, dim});
  require_shape(folder, "v", v, {batch, kv_heads, n, value_dim});
  require_shape(folder, "w_o", w, {heads, value_dim, width});
  require_shape(folder, "bias", bias, {width});
  require_shape(folder, "target", target, {batch, n, width});
  if (kv_heads < 1 || heads % kv_heads != 0)
    refuse_input(case_file(folder, "k"), "the heads of q are no multiple of its heads");
  if (about.contains("causal") && !about["causal"].is_boolean())
    refuse_input(folder / "case.json", "\"causal\" must be true or false");
  const bool causal = about.value("causal", false);
  const std::vector<int64_t> lengths = case_numbers(about, "lengths", folder);
  if (static_cast<int64_t>(lengths.size()) != batch)
    refuse_input(folder / "case.json", "\"lengths\" must have one entry per sequence");
  const std::vector<float> queries = floats(folder, "q", q), keys = floats(folder, "k", k);
  const std::vector<float> values = floats(folder, "v", v), weights = floats(folder, "w_o", w);
  const std::vector<float> shift = floats(folder, "bias", bias);
  const std::vector<float> wanted = floats(folder, "target", target);
  using Floats = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto floats_at = [](const std::vector<float>& from, int64_t offset, int64_t rows,
                            int64_t columns) -> Matrix {
    return Eigen::Map<const Floats>(from.data() + offset, rows, columns).cast<double>();
  };

  std::vector<Example> examples(batch);
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t length = lengths[b];
    if (length < 1 || length > n)
      refuse_input(folder / "case.json", "length " + std::to_string(length) + " of sequence " +
                                             std::to_string(b) + " is not between 1 and " +
                                             std::to_string(n));
    // Padding comes last and is not read: the sequence is its first `length` tokens.
    Attention attention{.heads = heads, .queries = length, .keys = length};
    attention.visibility.causal = causal;
    attention.queries_and_keys =
        QueriesAndKeys{.q = {queries.data() + b * heads * n * dim, 0, n * dim, dim},
                       .k = {keys.data() + b * kv_heads * n * dim, 0, n * dim, dim},
                       .kv_heads = kv_heads,
                       .head_dim = dim};
    const VisibleKeys visible(attention);
    const Pattern pattern(attention, visible, {});
    Matrix p(length, length);
    std::vector<float> scores;
    for (int64_t h = 0; h < heads; ++h) {
      if (pattern.rows(h).bad_row)
        refuse_input(case_file(folder, "q"), "scores of sequence " + std::to_string(b) + ", head " +
                                                 std::to_string(h) + " are not finite");
      pattern.band(h, 0, length, p.data(), scores);
      const int64_t kv = b * kv_heads + h / (heads / kv_heads);
      examples[b].contributions.push_back(
          p * floats_at(values, kv * n * value_dim, length, value_dim) *
          floats_at(weights, h * value_dim * width, value_dim, width));
    }
    examples[b].missing = floats_at(wanted, b * n * width, length, width);
    examples[b].missing.rowwise() -= floats_at(shift, 0, 1, width).row(0);
  }
  return examples;
}

// The loss with every head's contribution scaled by its gate, plus constant[h] in every row.
double loss_with(const std::vector<Example>& examples, const std::vector<double>& gates,
                 const Matrix* constant = nullptr) {
  double loss = 0;
  for (const Example& example : examples) {
    Matrix error = -example.missing;
    for (size_t h = 0; h < gates.size(); ++h)
      if (gates[h] != 0) error += gates[h] * example.contributions[h];
    if (constant) error.rowwise() += constant->row(0);
    loss += error.squaredNorm() / static_cast<double>(error.size());
  }
  return loss / static_cast<double>(examples.size());
}

}  // namespace

bool is_gates_case(const fs::path& folder) {
  return has_case_array(folder, "target") && has_case_array(folder, "w_o");
}

GatesCase read_gates_case(const fs::path& folder) {
  const std::vector<Example> examples = read_examples(folder);
  const size_t heads = examples[0].contributions.size();
  const std::vector<double> all(heads, 1.0);
  GatesCase result;
  result.loss = loss_with(examples, all);

  std::vector<std::vector<double>> gradients;
  for (const Example& example : examples) {
    Matrix error = -example.missing;
    for (const Matrix& y : example.contributions) error += y;
    auto& gradient = gradients.emplace_back();
    for (const Matrix& y : example.contributions)
      gradient.push_back(2 * error.cwiseProduct(y).sum() / static_cast<double>(error.size()));
  }
  result.scores = gate_scores(gradients);

  for (size_t h = 0; h < heads; ++h) {
    std::vector<double> gates = all;
    gates[h] = 0;
    result.ablation_zero.push_back(loss_with(examples, gates) - result.loss);
    Matrix mean = Matrix::Zero(1, examples[0].missing.cols());
    double rows = 0;
    for (const Example& example : examples) {
      mean += example.contributions[h].colwise().sum();
      rows += static_cast<double>(example.missing.rows());
    }
    mean /= rows;
    result.ablation_mean.push_back(loss_with(examples, gates, &mean) - result.loss);
  }
  const std::vector<double>& score = result.scores.gate_gradient_per_example;
  result.spearman_gate_zero = spearman(score, result.ablation_zero);
  result.spearman_gate_mean = spearman(score, result.ablation_mean);
  const LossWithout loss = [&](const std::vector<bool>& removed) {
    std::vector<double> gates;
    for (bool gone : removed) gates.push_back(gone ? 0 : 1);
    return loss_with(examples, gates);
  };
  result.greedy = greedy_removal(static_cast<int64_t>(heads), loss);
  result.gate = removal_by_score(score, loss);
  return result;
}

}  // namespace headlight::heads
