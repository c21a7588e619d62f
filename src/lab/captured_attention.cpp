#include "lab/captured_attention.h"

#include <ATen/ATen.h>

namespace headlight::lab {
namespace {

HeadTensor<const float> view(const at::Tensor& tensor, int64_t row) {
  const at::Tensor one = tensor[row];
  return {one.const_data_ptr<float>(), 0, one.stride(0), one.stride(1)};
}

}  // namespace

void each_layer(const model::Transformer& model, const model::Inputs& inputs,
                std::function<void(model::Capture::Layer&&)> visit) {
  model::Capture capture;
  capture.on_hidden = [](const std::string&, int64_t, const at::Tensor&) {};
  capture.on_layer = std::move(visit);
  model::Pass pass;
  pass.capture = &capture;
  model::hidden(model, inputs, pass);
}

model::Capture::Layer row_of(const model::Capture::Layer& all, int64_t row) {
  const auto one = [&](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.narrow(0, row, 1) : tensor;
  };
  model::Capture::Layer layer = all;
  layer.q = one(all.q);
  layer.k = one(all.k);
  layer.v = one(all.v);
  layer.key_lengths = one(all.key_lengths);
  layer.key_allowed = one(all.key_allowed);
  return layer;
}

std::vector<uint8_t> real_queries(const model::Capture::Layer& layer, const model::Inputs& inputs) {
  // What the same tokens are as keys.
  if (layer.stack != "cross") return real_keys(layer, 0);
  if (!inputs.mask.defined()) return {};
  const at::Tensor flags = inputs.mask[0].ne(0).contiguous();
  const bool* flag = flags.const_data_ptr<bool>();
  return {flag, flag + flags.numel()};
}

std::pair<int, int64_t> place_of(const model::Capture::Layer& layer) {
  return {layer.stack == "cross" ? 2 : layer.stack == "decoder" ? 1 : 0, layer.layer};
}

std::vector<uint8_t> real_keys(const model::Capture::Layer& layer, int64_t row) {
  const auto keys = static_cast<size_t>(layer.k.size(2));
  std::vector<uint8_t> real;
  if (layer.key_lengths.defined()) {
    real.assign(keys, 0);
    std::fill_n(real.begin(), layer.key_lengths[row].item<int64_t>(), uint8_t{1});
  } else if (layer.key_allowed.defined()) {
    const at::Tensor allowed = layer.key_allowed[row].contiguous();
    const bool* flag = allowed.const_data_ptr<bool>();
    real.assign(flag, flag + keys);
  }
  return real;
}

heads::Attention attention_of(const model::Capture::Layer& layer, int64_t row,
                              std::vector<uint8_t> query_valid) {
  heads::Attention attention;
  attention.heads = layer.q.size(1);
  attention.queries = layer.q.size(2);
  attention.keys = layer.k.size(2);
  attention.cross = layer.stack == "cross";
  attention.visibility.causal = layer.causal;
  attention.visibility.query_offset = layer.causal ? layer.past : 0;
  attention.visibility.window = layer.causal ? layer.window : 0;
  attention.visibility.query_valid = std::move(query_valid);
  attention.visibility.key_valid = real_keys(layer, row);

  heads::QueriesAndKeys qk;
  qk.q = view(layer.q, row);
  qk.k = view(layer.k, row);
  qk.kv_heads = layer.k.size(1);
  qk.head_dim = layer.q.size(3);
  qk.scale = layer.scale;
  qk.softcap = layer.softcap;
  if (layer.bias.defined()) qk.bias = layer.bias.const_data_ptr<float>();
  attention.queries_and_keys = qk;

  heads::ValuesAndOutput output;
  output.v = view(layer.v, row);
  output.kv_heads = layer.v.size(1);
  output.value_dim = layer.v.size(3);
  output.w_o = layer.w_o.const_data_ptr<float>();
  output.head_stride = layer.w_o.stride(0);
  output.row_stride = layer.w_o.stride(1);
  output.column_stride = layer.w_o.stride(2);
  output.width = layer.w_o.size(2);
  attention.output = output;
  return attention;
}

}  // namespace headlight::lab
