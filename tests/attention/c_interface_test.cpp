// The C interface gives what the C++ one gives, and codes where that throws.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#include "element.h"
#include "from_c.h"
#include "headlight/attention.h"
#include "headlight/attention_c.h"
#include "run_case.h"

namespace headlight::attention {
namespace {

using testing::HasSubstr;

constexpr int64_t kQuerySize = kBatch * kHeads * kTokens * kDim;
constexpr int64_t kKeySize = kBatch * kKvHeads * kTokens * kDim;
constexpr int64_t kRows = kBatch * kHeads * kTokens;

template <typename E>
std::vector<E> elements(std::mt19937_64& random, int64_t count) {
  std::vector<E> result;
  for (double x : normal_numbers(random, count)) result.push_back(to_element<E>(x));
  return result;
}

template <typename E>
struct Arrays {
  using T = Compute<E>;
  std::mt19937_64 random{7};
  std::vector<E> q = elements<E>(random, kQuerySize), k = elements<E>(random, kKeySize),
                 v = elements<E>(random, kKeySize), grad_out = elements<E>(random, kQuerySize);
  std::vector<T> mask = elements<T>(random, kTokens), sinks = elements<T>(random, kHeads);
  std::vector<E> out = std::vector<E>(kQuerySize), grad_q = out, grad_k = std::vector<E>(kKeySize),
                 grad_v = grad_k;
  std::vector<T> lse = std::vector<T>(kRows), entropy = lse, grad_sinks = std::vector<T>(kHeads);
};

template <typename E>
void run_in_cpp(Arrays<E>& a) {
  using T = Compute<E>;
  const AttentionShape shape{kBatch, kHeads, kKvHeads, kTokens, kTokens, kDim, kDim};
  const auto placed = [](auto* data, int64_t heads) {
    return HeadTensor<std::remove_pointer_t<decltype(data)>>{data, heads * kTokens * kDim,
                                                             kTokens * kDim, kDim};
  };
  const auto read = [&](const std::vector<E>& x, int64_t heads) { return placed(x.data(), heads); };
  AttentionOptions<T> options{.softcap = 3,
                              .causal = Causal::top_left,
                              .window_left = 7,
                              .sinks = a.sinks.data(),
                              .dropout = 0.25,
                              .seed = 42};
  options.mask = {.data = a.mask.data(), .key_stride = 1};
  attention_forward<E>({.shape = shape,
                        .q = read(a.q, kHeads),
                        .k = read(a.k, kKvHeads),
                        .v = read(a.v, kKvHeads),
                        .out = placed(a.out.data(), kHeads),
                        .lse = a.lse.data(),
                        .statistics = {.entropy = a.entropy.data()}},
                       options);
  attention_backward<E>({.shape = shape,
                         .q = read(a.q, kHeads),
                         .k = read(a.k, kKvHeads),
                         .v = read(a.v, kKvHeads),
                         .out = read(a.out, kHeads),
                         .grad_out = read(a.grad_out, kHeads),
                         .lse = a.lse.data(),
                         .grad_q = placed(a.grad_q.data(), kHeads),
                         .grad_k = placed(a.grad_k.data(), kKvHeads),
                         .grad_v = placed(a.grad_v.data(), kKvHeads),
                         .grad_sinks = a.grad_sinks.data()},
                        options);
}

template <typename X>
void expect_same_bits(const std::vector<X>& a, const std::vector<X>& b, const char* name) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(X)), 0) << name;
  EXPECT_NE(std::vector<char>(reinterpret_cast<const char*>(a.data()),
                              reinterpret_cast<const char*>(a.data() + a.size())),
            std::vector<char>(a.size() * sizeof(X), 0))
      << name << " was not written";
}

template <typename E>
void gives_the_same(int data_type) {
  Arrays<E> c, cpp;
  const CallFromC call{.q = c.q.data(),
                       .k = c.k.data(),
                       .v = c.v.data(),
                       .mask = c.mask.data(),
                       .sinks = c.sinks.data(),
                       .grad_out = c.grad_out.data(),
                       .out = c.out.data(),
                       .lse = c.lse.data(),
                       .entropy = c.entropy.data(),
                       .grad_q = c.grad_q.data(),
                       .grad_k = c.grad_k.data(),
                       .grad_v = c.grad_v.data(),
                       .grad_sinks = c.grad_sinks.data(),
                       .threads = 2};
  ASSERT_EQ(call_from_c(data_type, &call), HEADLIGHT_OK) << headlight_last_error();
  run_in_cpp(cpp);
  expect_same_bits(c.out, cpp.out, "out");
  expect_same_bits(c.lse, cpp.lse, "lse");
  expect_same_bits(c.entropy, cpp.entropy, "entropy");
  expect_same_bits(c.grad_q, cpp.grad_q, "grad_q");
  expect_same_bits(c.grad_k, cpp.grad_k, "grad_k");
  expect_same_bits(c.grad_v, cpp.grad_v, "grad_v");
  expect_same_bits(c.grad_sinks, cpp.grad_sinks, "grad_sinks");
}

TEST(CInterface, GivesTheBitsOfTheCppInterfaceForEveryDataType) {
  gives_the_same<float>(HEADLIGHT_FLOAT32);
  gives_the_same<double>(HEADLIGHT_FLOAT64);
  gives_the_same<BFloat16>(HEADLIGHT_BFLOAT16);
  gives_the_same<Float16>(HEADLIGHT_FLOAT16);
}

// One query, one key: the smallest call that works.
struct SmallCall {
  float q = 1, k = 2, v = 3, out = 0;
  headlight_forward call = {
      .shape = {.batch = 1,
                .heads = 1,
                .kv_heads = 1,
                .queries = 1,
                .keys = 1,
                .head_dim = 1,
                .value_dim = 1},
      .q = {.data = &q},
      .k = {.data = &k},
      .v = {.data = &v},
      .out = {.data = &out},
      .statistics = HEADLIGHT_ATTENTION_STATISTICS,
  };
};

TEST(CInterface, TakesNullForDefaultOptionsAndThreads) {
  SmallCall small;
  ASSERT_EQ(headlight_attention_forward(HEADLIGHT_FLOAT32, &small.call, nullptr, nullptr),
            HEADLIGHT_OK);
  EXPECT_EQ(small.out, 3);
  EXPECT_STREQ(headlight_attention_isa(), attention_isa());
}

TEST(CInterface, InitializersHoldTheDefaultsOfTheCppStructs) {
  const headlight_attention_options c = HEADLIGHT_ATTENTION_OPTIONS;
  const AttentionOptions<float> cpp;
  EXPECT_EQ(c.window_left, cpp.window_left);
  EXPECT_EQ(c.window_right, cpp.window_right);
  EXPECT_EQ(c.causal, static_cast<int32_t>(cpp.causal));
  const headlight_attention_statistics statistics = HEADLIGHT_ATTENTION_STATISTICS;
  EXPECT_EQ(statistics.local_window, AttentionStatistics<float>().local_window);
}

TEST(CInterface, RefusesWhatMakesNoSenseWithACodeAndWords) {
  const auto refused = [](int data_type, const headlight_forward* call,
                          const headlight_attention_options* options) {
    EXPECT_EQ(headlight_attention_forward(data_type, call, options, nullptr),
              HEADLIGHT_WRONG_USAGE);
    return std::string(headlight_last_error());
  };
  SmallCall small;
  EXPECT_THAT(refused(HEADLIGHT_FLOAT32, nullptr, nullptr), HasSubstr("call is null"));
  EXPECT_THAT(refused(9, &small.call, nullptr), HasSubstr("data_type is 9"));
  EXPECT_THAT(refused(-1, &small.call, nullptr), HasSubstr("data_type is -1"));
  headlight_attention_options options = HEADLIGHT_ATTENTION_OPTIONS;
  options.causal = 4;
  EXPECT_THAT(refused(HEADLIGHT_FLOAT32, &small.call, &options), HasSubstr("causal is 4"));
  options.causal = HEADLIGHT_CAUSAL_NONE;
  options.dropout = 1;
  EXPECT_THAT(refused(HEADLIGHT_FLOAT64, &small.call, &options), HasSubstr("dropout"));
  small.call.shape.kv_heads = 2;
  EXPECT_THAT(refused(HEADLIGHT_BFLOAT16, &small.call, nullptr), HasSubstr("kv_heads (2)"));
  small.call.shape.kv_heads = 1;
  small.call.k.data = nullptr;
  EXPECT_THAT(refused(HEADLIGHT_FLOAT16, &small.call, nullptr), HasSubstr("k has no data"));
  EXPECT_EQ(small.out, 0) << "a refused call wrote its output";

  EXPECT_EQ(headlight_attention_backward(HEADLIGHT_FLOAT32, nullptr, nullptr, nullptr),
            HEADLIGHT_WRONG_USAGE);
  const headlight_backward backward = {.shape = small.call.shape, .q = small.call.q};
  EXPECT_EQ(headlight_attention_backward(HEADLIGHT_FLOAT32, &backward, nullptr, nullptr),
            HEADLIGHT_WRONG_USAGE);
}

TEST(CInterface, KeepsTheLastErrorOfEachThreadApart) {
  SmallCall small;
  headlight_attention_forward(77, &small.call, nullptr, nullptr);
  std::string elsewhere = "not asked";
  std::thread([&] { elsewhere = headlight_last_error(); }).join();
  EXPECT_EQ(elsewhere, "");
  headlight_attention_forward(HEADLIGHT_FLOAT32, &small.call, nullptr, nullptr);
  EXPECT_THAT(headlight_last_error(), HasSubstr("77")) << "a success took the message away";
}

TEST(CInterface, TurnsAnExceptionOfTheCallersThreadsIntoACode) {
  SmallCall small;  // and many of it, so that there is something to share out
  std::vector<float> out(300000);
  small.call.shape.batch = static_cast<int64_t>(out.size());
  small.call.out = {.data = out.data(), .batch_stride = 1};
  headlight_parallel parallel = {};
  parallel.run = [](void*, int64_t, void (*)(void*, int64_t), void*) {
    throw std::runtime_error("no thread today");
  };
  EXPECT_EQ(headlight_attention_forward(HEADLIGHT_FLOAT32, &small.call, nullptr, &parallel),
            HEADLIGHT_BUG);
  EXPECT_STREQ(headlight_last_error(), "no thread today");
  parallel.run = [](void*, int64_t, void (*)(void*, int64_t), void*) { throw std::bad_alloc(); };
  EXPECT_EQ(headlight_attention_forward(HEADLIGHT_FLOAT32, &small.call, nullptr, &parallel),
            HEADLIGHT_NO_RESOURCES);
}

}  // namespace
}  // namespace headlight::attention
