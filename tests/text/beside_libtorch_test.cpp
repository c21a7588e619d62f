#include <ATen/ATen.h>
#include <c10/util/Logging.h>
#include <gtest/gtest.h>

#include "text/vocabulary.h"

namespace headlight::text {
namespace {

TEST(Vocabulary, LearnsAndEncodesInAProgramThatComputesWithLibtorch) {
  const at::Tensor before = at::matmul(at::ones({8, 8}), at::ones({8, 8}));
  std::string text;
  for (int i = 0; i < 200; ++i) text += "the number " + std::to_string(i * 7919) + "\n";
  const std::string_view view = text;
  const Vocabulary vocabulary = Vocabulary::learn({&view, 1}, 300);
  const std::vector<int64_t> symbols = vocabulary.encode(text);
  const at::Tensor counts = at::bincount(at::tensor(symbols, at::kLong), {}, vocabulary.size());
  EXPECT_EQ(counts.sum().item<int64_t>(), static_cast<int64_t>(symbols.size()));
  EXPECT_EQ(vocabulary.decode(symbols), text);
  EXPECT_EQ(before.sum().item<float>(), 512.0f);
}

// Both libraries define FLAGS_minloglevel. Where libtorch's served both, sentencepiece would write
// over the flags behind it, and every error of libtorch would end the program.
TEST(Vocabulary, LeavesTheFlagsOfLibtorchAlone) {
  EXPECT_THROW(c10::ThrowEnforceNotMet(__FILE__, __LINE__, "no", "thrown"), c10::Error);
}

}  // namespace
}  // namespace headlight::text
