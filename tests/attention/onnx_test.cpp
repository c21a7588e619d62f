// The public operator vectors of ONNX, read from ../shared/data where that folder exists.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "headlight/attention.h"
#include "tensorfile/json_file.h"
#include "tensorfile/npy.h"

namespace headlight::attention {
namespace {

namespace fs = std::filesystem;
using tensorfile::Array;

struct Values {
  std::vector<float> data;
  std::vector<int64_t> shape;
};

Values read(const fs::path& path) {
  const Array array = tensorfile::read_npy(path);
  return {tensorfile::to_vector<float>(array, path.string()), array.shape};
}

// [B, H, S, D] as it is; [B, S, H * D] is head-interleaved.
template <typename T>
HeadTensor<T> heads_of(const std::vector<int64_t>& shape, int64_t heads, T* data) {
  if (shape.size() == 4) {
    return {data, heads * shape[2] * shape[3], shape[2] * shape[3], shape[3]};
  }
  return {data, shape[1] * shape[2], shape[2] / heads, shape[2]};
}

int64_t rows_of(const Values& x) { return x.shape[x.shape.size() - 2]; }

// The past [B, H, P, D] before the present, as one [B, H, P + S, D].
Values after_past(const Values& past, const Values& present, int64_t heads) {
  const HeadTensor<const float> from = heads_of(present.shape, heads, present.data.data());
  const int64_t dim = past.shape[3];
  Values all{{}, {past.shape[0], heads, past.shape[2] + rows_of(present), dim}};
  for (int64_t b = 0; b < all.shape[0]; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      const float* old = past.data.data() + (b * heads + h) * past.shape[2] * dim;
      all.data.insert(all.data.end(), old, old + past.shape[2] * dim);
      for (int64_t i = 0; i < rows_of(present); ++i) {
        const float* row =
            from.data + b * from.batch_stride + h * from.head_stride + i * from.row_stride;
        all.data.insert(all.data.end(), row, row + dim);
      }
    }
  }
  return all;
}

template <typename T>
ScoreTensor<const T> scores_of(const std::vector<int64_t>& shape, const T* data) {
  std::vector<int64_t> stride(4, 0);
  int64_t size = 1;
  for (std::size_t n = 1; n <= shape.size(); ++n) {
    const int64_t extent = shape[shape.size() - n];
    if (extent > 1) stride[4 - n] = size;
    size *= extent;
  }
  return {data, stride[0], stride[1], stride[2], stride[3]};
}

void run(const fs::path& folder) {
  const auto json = tensorfile::read_json_file(folder / "case.json");
  std::map<std::string, Values> in;
  std::string mask_type;
  for (const auto& x : json["inputs"]) {
    in[x["name"]] = read(folder / std::string(x["file"]));
    if (x["name"] == "attn_mask") mask_type = x["dtype"];
  }
  const auto& attributes = json["attributes"];
  const bool three = in["Q"].shape.size() == 3;
  AttentionShape s;
  s.batch = in["Q"].shape[0];
  s.heads = three ? attributes["q_num_heads"].get<int64_t>() : in["Q"].shape[1];
  s.kv_heads = three ? attributes["kv_num_heads"].get<int64_t>() : in["K"].shape[1];
  AttentionOptions<float> o;
  o.scale = attributes.value("scale", 0.0);
  o.softcap = attributes.value("softcap", 0.0);
  if (attributes.value("is_causal", 0)) {
    o.causal = Causal::offset;
    o.causal_offset = in.count("past_key") ? in["past_key"].shape[2] : 0;
  }
  Values k = in["K"], v = in["V"];
  if (in.count("past_key")) {
    k = after_past(in["past_key"], k, s.kv_heads);
    v = after_past(in["past_value"], v, s.kv_heads);
  }
  s.queries = rows_of(in["Q"]);
  s.keys = rows_of(k);
  s.head_dim = in["Q"].shape.back() / (three ? s.heads : 1);
  s.value_dim = v.shape.size() == 3 ? v.shape[2] / s.kv_heads : v.shape[3];
  std::unique_ptr<bool[]> allowed;
  if (mask_type == "bool") {
    const Values& mask = in["attn_mask"];
    allowed.reset(new bool[mask.data.size()]);
    for (std::size_t n = 0; n < mask.data.size(); ++n) allowed[n] = mask.data[n] != 0;
    o.allowed = scores_of<bool>(mask.shape, allowed.get());
  } else if (!mask_type.empty()) {
    o.mask = scores_of<float>(in["attn_mask"].shape, in["attn_mask"].data.data());
  }
  const auto& first = json["outputs"][0];
  const Values expected = read(folder / std::string(first["file"]));
  std::vector<float> out(expected.data.size());
  attention_forward<float>({s,
                            heads_of<const float>(in["Q"].shape, s.heads, in["Q"].data.data()),
                            heads_of<const float>(k.shape, s.kv_heads, k.data.data()),
                            heads_of<const float>(v.shape, s.kv_heads, v.data.data()),
                            heads_of<float>(expected.shape, s.heads, out.data()),
                            nullptr,
                            {}},
                           o);
  // A half has 11 bits, and the vectors of that type were computed in it.
  const double tolerance = first["dtype"] == "float16" ? 2e-3 : 2e-6;
  for (std::size_t n = 0; n < out.size(); ++n) {
    ASSERT_NEAR(out[n], expected.data[n], tolerance) << n;
  }
}

TEST(AttentionOnnx, PublicVectorsAgree) {
  const fs::path folder = fs::path(HEADLIGHT_SHARED_DATA) / "onnx" / "attention";
  if (!fs::exists(folder)) GTEST_SKIP() << "no public vectors at " << folder;
  int cases = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().filename().string());
    run(entry.path());
    ++cases;
  }
  EXPECT_GE(cases, 40);
}

}  // namespace
}  // namespace headlight::attention
