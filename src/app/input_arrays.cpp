#include "app/input_arrays.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <set>
#include <utility>

#include "headlight/error.h"
#include "tensorfile/npy.h"

namespace headlight::app {
namespace {

using tensorfile::Array;

class Arrays {
 public:
  explicit Arrays(const std::filesystem::path& path)
      : path_(path.string()), arrays_(tensorfile::read_npz(path)) {}

  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorKind::bad_input, fmt::format("{}: {}", path_, what));
  }
  bool has(const std::string& name) const { return arrays_.contains(name); }
  void allow(const std::set<std::string>& known) const {
    // Fixtures hold prompts of generation beside what one pass reads.
    for (const auto& [name, array] : arrays_)
      if (!known.contains(name) && name != "prompt")
        refuse(fmt::format("'{}' is nothing that this model reads; it reads {}", name,
                           fmt::join(known, ", ")));
  }

  // Undefined if it is not there. A size of -1 may be anything above 0.
  at::Tensor whole(const std::string& name, const std::vector<int64_t>& shape) const {
    const Array* array = found(name, shape);
    if (!array) return {};
    if (tensorfile::is_floating(array->dtype))
      refuse(fmt::format("'{}' holds {}; whole numbers belong there", name,
                         tensorfile::numpy_name(array->dtype)));
    return at::tensor(tensorfile::to_vector<int64_t>(*array, place(name))).view(array->shape);
  }
  at::Tensor real(const std::string& name, const std::vector<int64_t>& shape) const {
    const Array* array = found(name, shape);
    if (!array) return {};
    const at::Tensor numbers =
        (array->dtype == tensorfile::DType::f64
             ? at::tensor(tensorfile::to_vector<double>(*array, place(name))).to(at::kFloat)
             : at::tensor(tensorfile::to_vector<float>(*array, place(name))))
            .view(array->shape);
    if (!numbers.isfinite().all().item<bool>())
      refuse(fmt::format("'{}' holds a NaN or an infinity", name));
    return numbers;
  }
  at::Tensor ids(const std::string& name, const std::vector<int64_t>& shape, int64_t limit,
                 int64_t also = 0) const {
    const at::Tensor all = whole(name, shape);
    if (!all.defined()) return all;
    const at::Tensor wrong =
        all.lt(0).logical_or(all.ge(limit)).logical_and(all.ne(also)).nonzero();
    if (wrong.size(0) == 0) return all;
    std::vector<int64_t> at;
    at::Tensor value = all;
    for (int64_t i = 0; i < wrong.size(1); ++i) {
      at.push_back(wrong[0][i].item<int64_t>());
      value = value[at.back()];
    }
    refuse(fmt::format("{}{} is {}, but the model has ids from 0 to {}", name,
                       tensorfile::shape_text(at), value.item<int64_t>(), limit - 1));
  }
  at::Tensor mask(const std::string& name, const at::Tensor& like) const {
    const at::Tensor mask = whole(name, like.sizes().vec());
    if (!mask.defined()) return mask;
    if (!mask.eq(0).logical_or(mask.eq(1)).all().item<bool>())
      refuse(fmt::format("'{}' holds other numbers than 1 (a token) and 0 (padding)", name));
    if (mask.sum(1).eq(0).any().item<bool>())
      refuse(fmt::format("'{}' leaves no token in row {}", name,
                         mask.sum(1).eq(0).nonzero()[0].item<int64_t>()));
    return mask;
  }
  void require(const std::string& name, const std::string& form) const {
    if (has(name)) return;
    std::vector<std::string> names;
    for (const auto& [known, array] : arrays_) names.push_back(known);
    refuse(fmt::format("has no array '{}' {}; it holds {}", name, form, fmt::join(names, ", ")));
  }

 private:
  std::string place(const std::string& name) const { return fmt::format("{}: '{}'", path_, name); }
  const Array* found(const std::string& name, const std::vector<int64_t>& shape) const {
    const auto at = arrays_.find(name);
    if (at == arrays_.end()) return nullptr;
    bool fits = at->second.shape.size() == shape.size();
    for (size_t i = 0; fits && i < shape.size(); ++i)
      fits = shape[i] < 0 ? at->second.shape[i] > 0 : at->second.shape[i] == shape[i];
    std::vector<std::string> sizes;
    for (const int64_t size : shape) sizes.push_back(size < 0 ? "any" : std::to_string(size));
    if (!fits)
      refuse(fmt::format("'{}' is {} where [{}] belongs", name,
                         tensorfile::shape_text(at->second.shape), fmt::join(sizes, ", ")));
    return &at->second;
  }

  std::string path_;
  std::map<std::string, Array, std::less<>> arrays_;
};

}  // namespace

ModelInput read_input_arrays(const std::filesystem::path& path, const model::Transformer& model) {
  const model::Config& c = model.config;
  const Arrays arrays(path);
  const bool two = c.kind == model::Kind::encoder_decoder;
  std::set<std::string> known = {"labels", "readout_weight", "readout_bias"};
  if (c.patch > 0)
    known.insert("pixel_values");
  else
    known.insert({"input_ids", "attention_mask", "token_type_ids"});
  if (two) known.insert({"decoder_input_ids", "decoder_attention_mask"});
  arrays.allow(known);

  ModelInput result;
  model::Inputs& in = result.inputs;
  result.readout_weight = arrays.real("readout_weight", {-1, c.dim});
  const int64_t read = result.readout_weight.defined() ? result.readout_weight.size(0) : 0;
  result.readout_bias = arrays.real("readout_bias", {read > 0 ? read : -1});
  if (result.readout_weight.defined() != result.readout_bias.defined())
    arrays.refuse("readout_weight and readout_bias belong together; one of them is missing");
  const int64_t classes = read > 0 ? read : c.classes;

  int64_t rows = 0;
  if (c.patch > 0) {
    arrays.require("pixel_values", "[batch, channels, height, width]");
    in.pixels = arrays.real("pixel_values", {-1, c.channels, c.image_height, c.image_width});
    rows = in.pixels.size(0);
  } else {
    const bool encodes = c.kind != model::Kind::decoder_only;
    const model::Stack& stack = encodes ? model.encoder : model.decoder;
    arrays.require("input_ids", "[batch, length]");
    at::Tensor ids = arrays.ids("input_ids", {-1, -1}, stack.tokens.size(0));
    at::Tensor mask = arrays.mask("attention_mask", ids);
    if (const int64_t most = longest_text(c, stack); most > 0 && ids.size(1) > most)
      arrays.refuse(fmt::format("'input_ids' has rows of {} tokens; the model has {} positions",
                                ids.size(1), most));
    rows = ids.size(0);
    if (arrays.has("token_type_ids") && c.token_types > 0)
      in.token_types = arrays.ids("token_type_ids", ids.sizes().vec(), c.token_types);
    (two ? in.source : in.tokens) = std::move(ids);
    (two ? in.source_mask : in.mask) = std::move(mask);
  }
  if (two) {
    arrays.require("decoder_input_ids", "[batch, length]");
    in.tokens = arrays.ids("decoder_input_ids", {rows, -1}, model.decoder.tokens.size(0));
    in.mask = arrays.mask("decoder_attention_mask", in.tokens);
    if (const int64_t most = longest_text(c, model.decoder); most > 0 && in.tokens.size(1) > most)
      arrays.refuse(
          fmt::format("'decoder_input_ids' has rows of {} tokens; the model has {} positions",
                      in.tokens.size(1), most));
  }
  if (arrays.has("labels")) {
    const bool every =
        c.output_place == model::OutputPlace::every && read == 0 && in.tokens.defined();
    result.labels = arrays.ids(
        "labels",
        every ? std::vector<int64_t>{rows, in.tokens.size(1)} : std::vector<int64_t>{rows}, classes,
        model::kUnscored);
  }
  return result;
}

}  // namespace headlight::app
