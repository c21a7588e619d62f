#include "app/trace.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <memory>

#include "app/interrupt.h"
#include "app/model_input.h"
#include "headlight/error.h"
#include "model/run.h"
#include "report/number.h"
#include "tensorfile/safetensors_writer.h"

namespace headlight::app {
namespace {

using tensorfile::TensorShape;

struct TraceOptions {
  InputOptions input;
  std::filesystem::path out;
  bool attentions = false;
};

// What model::run() will hand over, in its order; the file's header stands before the numbers.
class Layout {
 public:
  Layout(const model::Transformer& model, const model::Inputs& in, bool attentions)
      : model_(model), c_(model.config), attentions_(attentions) {
    rows_ = row_count(in);
    const int64_t places = model::image_places(c_);
    read_ = in.tokens.defined() ? in.tokens.size(1) : places;
    source_ = in.source.defined() ? in.source.size(1) : places;
  }

  std::vector<TensorShape> all(bool labels, bool pooled) {
    if (c_.kind == model::Kind::encoder_decoder) stack(model_.encoder, "encoder_", source_, false);
    const bool decodes = c_.kind != model::Kind::encoder_only;
    const bool two = c_.kind == model::Kind::encoder_decoder;
    stack(decodes ? model_.decoder : model_.encoder, two ? "decoder_" : "", read_, two);
    add("last_hidden_state", {rows_, read_, c_.dim});
    if (pooled) add("pooler_output", {rows_, c_.dim});
    if (c_.output) {
      const bool every = c_.output_place == model::OutputPlace::every;
      add("logits", every ? std::vector<int64_t>{rows_, read_, c_.classes}
                          : std::vector<int64_t>{rows_, c_.classes});
      if (labels) add("loss", {1});
    }
    return std::move(shapes_);
  }

 private:
  void add(const std::string& name, std::vector<int64_t> shape) {
    shapes_.push_back({name, tensorfile::DType::f32, std::move(shape)});
  }
  void heads(const std::string& prefix, size_t layer, int64_t count, int64_t keys,
             int64_t queries) {
    if (count == 0) return;  // pruned away
    add(fmt::format("{}lse.{}", prefix, layer), {rows_, count, queries});
    if (attentions_)
      add(fmt::format("{}attentions.{}", prefix, layer), {rows_, count, queries, keys});
  }
  void stack(const model::Stack& s, const std::string& prefix, int64_t length, bool reads_source) {
    const auto hidden = [&](size_t layer) {
      add(fmt::format("{}hidden_states.{}", prefix, layer), {rows_, length, c_.dim});
    };
    hidden(0);
    for (size_t l = 0; l < s.blocks.size(); ++l) {
      heads(prefix, l, s.blocks[l].attention.heads.heads, length,
            c_.only_first_attends ? 1 : length);
      if (reads_source) heads("cross_", l, s.blocks[l].cross.heads.heads, source_, length);
      hidden(l + 1);
    }
  }

  const model::Transformer& model_;
  const model::Config& c_;
  bool attentions_;
  int64_t rows_ = 0, read_ = 0, source_ = 0;
  std::vector<TensorShape> shapes_;
};

void trace(const TraceOptions& options, const Common& common) {
  need_cpu(common, "trace");
  at::set_num_threads(thread_count(common));
  const model::Transformer base = load_model(options.input);
  const ModelInput input = read_model_input(options.input, base);
  const bool own_readout = input.readout_weight.defined();
  const model::Transformer model =
      own_readout ? model::with_readout(base, input.readout_weight, input.readout_bias) : base;
  model::Ask ask;
  ask.attentions = options.attentions;
  if (model.config.output) ask.labels = input.labels;
  // A read-out stands in for the model's own output; what is pooled for that stays of interest.
  const bool pooled_first = own_readout && base.config.transform && !base.config.output;
  const bool pooled = base.config.transform && !base.config.output;

  Layout layout(model, input.inputs, options.attentions);
  std::vector<TensorShape> shapes = layout.all(ask.labels.defined(), pooled);
  const size_t count = shapes.size();
  tensorfile::SafetensorsWriter writer(options.out, std::move(shapes),
                                       {{"format", "pt"}, {"headlight", "trace"}});
  watch_for_interrupt();
  int64_t bytes = 0;
  const auto write = [&](const std::string& name, const at::Tensor& tensor) {
    const at::Tensor whole = tensor.detach().to(at::kFloat).contiguous();
    bytes += whole.nbytes();
    writer.write(name, {static_cast<const std::byte*>(whole.const_data_ptr()), whole.nbytes()});
  };
  model::run(model, input.inputs, ask, [&](const std::string& name, const at::Tensor& tensor) {
    // Leaving this way takes the unfinished file along.
    if (interrupted()) throw Error(ErrorKind::interrupted, "stopped; nothing was written");
    write(name, tensor);
    if (pooled_first && name == "last_hidden_state")
      write("pooler_output", model::transformed(base, tensor, input.inputs));
  });
  writer.commit();
  if (common.json)
    fmt::print("{}\n", nlohmann::ordered_json({{"schema", "headlight.trace/1"},
                                               {"file", options.out.string()},
                                               {"tensors", count},
                                               {"bytes", bytes},
                                               {"note", input.note}})
                           .dump());
  else
    fmt::print("{}: {} tensors, {}\n{}", options.out.string(), count,
               report::bytes(static_cast<uint64_t>(bytes)),
               input.note.empty() ? "" : input.note + "\n");
}

}  // namespace

void add_trace(CLI::App& program, const Common& common) {
  auto options = std::make_shared<TraceOptions>();
  CLI::App* verb = program.add_subcommand(
      "trace", "All internals of one forward pass, for any tool that reads safetensors");
  add_input_options(*verb, options->input);
  verb->add_flag("--attentions", options->attentions,
                 "Also the probabilities of every head: queries times keys numbers each");
  verb->add_option("--out", options->out, "The file to write; it appears when it is complete")
      ->required()
      ->type_name("FILE");
  verb->footer(
      "hidden_states.L (0: the embedding), attentions.L, lse.L, last_hidden_state,\n"
      "pooler_output, logits, loss; two stacks: encoder_…, decoder_…, cross_….\n\n"
      "Example:\n"
      "  headlight trace model/ --text \"He didn't trust him\" --out trace.safetensors");
  verb->callback([options, &common] { trace(*options, common); });
}

}  // namespace headlight::app
