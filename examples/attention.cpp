// Causal self-attention of 4 sequences with 8 heads, read from packed [batch, tokens, 3, heads,
// dim] projections and written as [batch, tokens, heads, dim]: no copies around the call.
#include <headlight/attention.h>
#include <headlight/error.h>

#include <cmath>
#include <cstdio>
#include <vector>

int main() try {
  const headlight::AttentionShape shape{.batch = 4,
                                        .heads = 8,
                                        .kv_heads = 8,
                                        .queries = 100,
                                        .keys = 100,
                                        .head_dim = 64,
                                        .value_dim = 64};
  const int64_t width = shape.heads * shape.head_dim;
  std::vector<float> qkv(shape.batch * shape.queries * 3 * width);
  std::vector<float> out(shape.batch * shape.queries * width);
  for (size_t i = 0; i < qkv.size(); ++i) qkv[i] = std::sin(0.1f * static_cast<float>(i % 9973));

  const auto part = [&](int64_t n) {  // 0 queries, 1 keys, 2 values
    return headlight::HeadTensor<const float>{.data = qkv.data() + n * width,
                                              .batch_stride = shape.queries * 3 * width,
                                              .head_stride = shape.head_dim,
                                              .row_stride = 3 * width};
  };
  headlight::attention_forward<float>(
      {.shape = shape,
       .q = part(0),
       .k = part(1),
       .v = part(2),
       .out = {out.data(), shape.queries * width, shape.head_dim, width}},
      {.causal = headlight::Causal::top_left});

  // The first query sees one key, so the first row is that key's value.
  std::printf("%s: %.6f, expected %.6f\n", headlight::attention_isa(), out[5], qkv[2 * width + 5]);
  return std::abs(out[5] - qkv[2 * width + 5]) < 1e-6f ? 0 : 1;
} catch (const headlight::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.kind());
}
