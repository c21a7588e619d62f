#include <string_view>

#include "headlight/attention.h"
#include "model/cpu/kernels.h"
#include "model/cpu/output_loss.h"
#include "model/cpu/products.h"

namespace headlight::model {

namespace portable {
extern const Kernels<float> float_kernels;
extern const Kernels<double> double_kernels;
extern const Products float_products;
extern const OutputLoss output_loss;
}  // namespace portable
#ifdef HEADLIGHT_MODEL_X86
namespace avx2 {
extern const Kernels<float> float_kernels;
extern const Kernels<double> double_kernels;
extern const Products float_products;
extern const OutputLoss output_loss;
}  // namespace avx2
namespace avx512 {
extern const Kernels<float> float_kernels;
extern const Kernels<double> double_kernels;
extern const Products float_products;
extern const OutputLoss output_loss;
}  // namespace avx512
#endif

namespace {

struct Tables {
  const Kernels<float>* of_float;
  const Kernels<double>* of_double;
  const Products* products;
  const OutputLoss* output_loss;
};

Tables chosen() {
#ifdef HEADLIGHT_MODEL_X86
  const std::string_view isa = attention_isa();
  if (isa.starts_with("avx512"))
    return {&avx512::float_kernels, &avx512::double_kernels, &avx512::float_products,
            &avx512::output_loss};
  if (isa == "avx2")
    return {&avx2::float_kernels, &avx2::double_kernels, &avx2::float_products, &avx2::output_loss};
#endif
  return {&portable::float_kernels, &portable::double_kernels, &portable::float_products,
          &portable::output_loss};
}

const Tables& tables() {
  static const Tables once = chosen();
  return once;
}

}  // namespace

template <>
const Kernels<float>& kernels<float>() {
  return *tables().of_float;
}
template <>
const Kernels<double>& kernels<double>() {
  return *tables().of_double;
}
const Products& products() { return *tables().products; }
const OutputLoss& output_loss_kernels() { return *tables().output_loss; }

}  // namespace headlight::model
