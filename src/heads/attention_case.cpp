#include <string>

#include "headlight/error.h"
#include "heads/attention_files.h"
#include "heads/case_arrays.h"

namespace headlight::heads {
namespace {

namespace fs = std::filesystem;
using tensorfile::Array;

// Reads the arrays of a case and keeps them alive with the sequence.
class CaseArrays {
 public:
  CaseArrays(const fs::path& folder, LoadedSequence& sequence)
      : folder_(folder), sequence_(sequence) {}

  bool has(const std::string& name) const { return has_case_array(folder_, name); }
  fs::path file(const std::string& name) const { return case_file(folder_, name); }
  Array read(const std::string& name, size_t rank) const {
    return read_case_array(folder_, name, rank);
  }
  void expect(const std::string& name, const Array& array,
              const std::vector<int64_t>& shape) const {
    require_shape(folder_, name, array, shape);
  }

  template <typename T>
  const T* values(const std::string& name, const Array& array) {
    auto kept =
        std::make_shared<std::vector<T>>(tensorfile::to_vector<T>(array, file(name).string()));
    sequence_.keepers.push_back(kept);
    return kept->data();
  }

  std::vector<uint8_t> flags(const std::string& name, const std::vector<int64_t>& shape) const {
    const Array array = read(name, shape.size());
    expect(name, array, shape);
    return tensorfile::to_vector<uint8_t>(array, file(name).string());
  }

 private:
  fs::path folder_;
  LoadedSequence& sequence_;
};

HeadTensor<const float> head_tensor(const float* data, int64_t rows, int64_t dim) {
  return {data, 0, rows * dim, dim};
}

void read_source(CaseArrays& arrays, Attention& attention) {
  if (arrays.has("attention")) {
    const Array array = arrays.read("attention", 3);
    attention.heads = array.dim(0);
    attention.queries = array.dim(1);
    attention.keys = array.dim(2);
    attention.double_probabilities =
        Probabilities<double>{arrays.values<double>("attention", array),
                              attention.queries * attention.keys, attention.keys};
    return;
  }
  const Array q = arrays.read("q", 3), k = arrays.read("k", 3);
  if (q.dim(2) != k.dim(2) || q.dim(2) < 1)
    refuse_input(arrays.file("k"), "heads of size " + std::to_string(k.dim(2)) + " where q has " +
                                       std::to_string(q.dim(2)));
  attention.heads = q.dim(0);
  attention.queries = q.dim(1);
  attention.keys = k.dim(1);
  attention.queries_and_keys =
      QueriesAndKeys{.q = head_tensor(arrays.values<float>("q", q), q.dim(1), q.dim(2)),
                     .k = head_tensor(arrays.values<float>("k", k), k.dim(1), k.dim(2)),
                     .kv_heads = k.dim(0),
                     .head_dim = q.dim(2)};
}

void read_output(CaseArrays& arrays, Attention& attention) {
  const Array v = arrays.read("v", 3), w = arrays.read("w_o", 3);
  if (v.dim(1) != attention.keys)
    refuse_input(arrays.file("v"), std::to_string(v.dim(1)) + " keys where the attention has " +
                                       std::to_string(attention.keys));
  arrays.expect("w_o", w, {attention.heads, v.dim(2), w.dim(2)});
  attention.output =
      ValuesAndOutput{.v = head_tensor(arrays.values<float>("v", v), v.dim(1), v.dim(2)),
                      .kv_heads = v.dim(0),
                      .value_dim = v.dim(2),
                      .w_o = arrays.values<float>("w_o", w),
                      .head_stride = v.dim(2) * w.dim(2),
                      .row_stride = w.dim(2),
                      .column_stride = 1,
                      .width = w.dim(2)};
}

}  // namespace

LoadedSequence read_attention_case(const fs::path& folder) {
  const fs::path file = folder / "case.json";
  const nlohmann::json about = read_case(folder);
  LoadedSequence sequence;
  CaseArrays arrays(folder, sequence);
  Attention& attention = sequence.attention;
  Visibility& visibility = attention.visibility;

  require_known_keys(
      about,
      {"kind", "causal", "q_offset", "window", "sink", "layers", "separators", "exclude", "tokens"},
      folder);
  if (about.contains("kind")) {
    const auto& kind = about["kind"];
    if (kind != "cross" && kind != "self")
      refuse_input(file, R"("kind" must be "self" or "cross")");
    attention.cross = kind == "cross";
  }
  if (about.contains("causal")) {
    if (!about["causal"].is_boolean()) refuse_input(file, "\"causal\" must be true or false");
    visibility.causal = about["causal"];
  }
  const auto number = [&](const char* key, int64_t& into) {
    if (about.contains(key) && !about[key].is_null()) into = case_number(about, key, folder);
  };
  const auto numbers = [&](const char* key, std::vector<int64_t>& into) {
    if (about.contains(key) && !about[key].is_null()) into = case_numbers(about, key, folder);
  };
  number("q_offset", visibility.query_offset);
  if (about.contains("window") && !about["window"].is_null()) {
    number("window", visibility.window);
    if (visibility.window < 1)
      refuse_input(file, "\"window\" must be 1 or more: a query sees keys nearer than that");
  }
  if (about.contains("sink") && !about["sink"].is_null() && about["sink"] != "last")
    sequence.options.sink = case_number(about, "sink", folder);
  numbers("separators", sequence.options.separators);
  numbers("exclude", sequence.options.exclude);
  numbers("tokens", sequence.options.tokens);
  if (about.contains("layers")) {
    if (!about["layers"].is_array())
      refuse_input(file, "\"layers\" must be a list of lists of heads");
    for (const auto& layer : about["layers"])
      sequence.options.layers.push_back(case_numbers({{"layers", layer}}, "layers", folder));
  }

  read_source(arrays, attention);
  if (leaves_no_key(sequence.options.exclude, attention.keys))
    refuse_input(file, "\"exclude\" names every key; at least one must be left");
  if (arrays.has("query_valid"))
    visibility.query_valid = arrays.flags("query_valid", {attention.queries});
  if (arrays.has("key_valid")) visibility.key_valid = arrays.flags("key_valid", {attention.keys});
  if (arrays.has("mask"))
    visibility.allowed = arrays.flags("mask", {attention.queries, attention.keys});
  if (arrays.has("v") && arrays.has("w_o")) read_output(arrays, attention);
  return sequence;
}

}  // namespace headlight::heads
