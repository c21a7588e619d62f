// Which tensor of a checkpoint is which part of a Transformer: one list for reading and writing.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "model/transformer.h"

namespace headlight::model {

// The file's tensor is `view` reshaped to `shape`, less `added`. The view is of the model's own
// memory, in any layout: a narrow or transposed part of it.
struct TensorName {
  std::string name;
  at::Tensor view;
  std::vector<int64_t> shape;
  double added = 0;  // gemma keeps its gains less 1
};

// Collects the names. `has` tells whether the checkpoint that is read holds a tensor; where one is
// written, whether that form of the name is wanted.
class TensorNames {
 public:
  explicit TensorNames(std::function<bool(const std::string&)> has) : has_(std::move(has)) {}

  bool has(const std::string& name) const { return has_(name); }
  void add(std::string name, const at::Tensor& view, double added = 0);
  void add(std::string name, const at::Tensor& view, std::vector<int64_t> shape);
  // "NAME.weight" and "NAME.bias", each if the model has it.
  void linear(const std::string& name, const Linear& layer);
  void linear_transposed(const std::string& name, const Linear& layer);  // weights [in, out]
  void norm(const std::string& name, const NormWeights& weights);
  // Rows [first, first + count) of a packed projection.
  void rows(const std::string& name, const Linear& packed, int64_t first, int64_t count);
  // q, k and v of a self-attention under names of their own.
  void query_key_value(const std::string& query, const std::string& key, const std::string& value,
                       const SelfAttention& attention);
  void query_key_value(const std::string& query, const std::string& key, const std::string& value,
                       const CrossAttention& attention);
  // The two halves of a gated feed-forward part's first layer.
  void gate_and_up(const std::string& gate, const std::string& up, const Linear& both);
  // Allowed in the file and not needed: buffers, copies of tied weights, heads that are not ours.
  void ignore(std::string name) { ignored_.push_back(std::move(name)); }
  void ignore_below(std::string prefix) { ignored_prefixes_.push_back(std::move(prefix)); }

  const std::vector<TensorName>& all() const { return all_; }
  bool is_ignored(const std::string& name) const;

 private:
  std::function<bool(const std::string&)> has_;
  std::vector<TensorName> all_;
  std::vector<std::string> ignored_, ignored_prefixes_;
};

}  // namespace headlight::model
