// Linear layers on the fastest matrix products of the machine: libtorch brings MKL and oneDNN, and
// cpu/products.h is our own for weights that fit a cache.
#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace headlight::model {

// Results differ in their last bits between backends, so a run records its own and a resumed run
// sets it again. The name is one of linear_backends(); chosen once per process from the processor's
// vendor, never by a race against the clock.
std::string linear_backend();
// Throws Error (usage) for a name that this machine does not have. Not while models are running.
void set_linear_backend(const std::string& name);
std::vector<std::string> linear_backends();

// What a linear layer multiplies. bfloat16: inputs are rounded to 8 bits behind the point, products
// summed in float32, and results rounded again (by oneDNN), as PyTorch's autocast does it.
enum class Precision { float32, bfloat16 };
NLOHMANN_JSON_SERIALIZE_ENUM(Precision,
                             {{Precision::float32, "float32"}, {Precision::bfloat16, "bfloat16"}})

// Whether this processor has products of bfloat16 (AVX512-BF16; processors with AMX have it too).
bool multiplies_bfloat16();

// The precision of linear layers in float32 that this thread runs while one of these lives, and of
// their gradients.
class UsePrecision {
 public:
  explicit UsePrecision(Precision precision);
  ~UsePrecision();
  UsePrecision(const UsePrecision&) = delete;
  UsePrecision& operator=(const UsePrecision&) = delete;

 private:
  Precision before_;
};
Precision precision_in_use();

enum class After { nothing, relu };

// x [..., in], weight [out, in], bias [out] or undefined; returns [..., out].
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  After after = After::nothing);

}  // namespace headlight::model
