#include "speed/training_step.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>

#include "headlight/error.h"
#include "model/adam_step.h"
#include "model/transformer.h"

namespace headlight::speed {
namespace {

using namespace headlight::model;
using nlohmann::json;

struct Setting {
  std::string name;
  Config config;
  int64_t batch, length, scored;  // the last `scored` places of a sequence have labels
  int64_t source_length = 0;      // of an encoder_decoder
  double label_smoothing = 0;
};

// The published study's model, the one the default study trains by the dozen, and what `train`
// makes of pairs of sentences.
Setting setting_of(const std::string& name) {
  Setting published{"published", {}, 50, 100, 100};
  published.config.vocabulary = 256;
  published.config.dim = 64;
  published.config.layers = 4;
  published.config.ffn = 128;
  published.config.positions = 100;
  published.config.dropout = 0.1;
  Setting small{"small", {}, 64, 32, 16};
  small.config.vocabulary = 18;
  small.config.classes = 64;
  small.config.dim = 32;
  small.config.ffn = 64;
  small.config.positions = 32;
  Setting translator{"translator", {}, 64, 32, 32, 32, 0.1};
  Config& c = translator.config;
  c.kind = Kind::encoder_decoder;
  c.vocabulary = 8000;
  c.dim = 128;
  c.layers = 4;
  c.ffn = 256;
  c.positions = 256;
  c.norm = Norm::layer;
  c.norm_epsilon = 1e-5;
  c.final_norm = true;
  c.position = Position::sinusoidal_halves;
  c.embedding_scale = std::sqrt(128.0);
  c.tied = c.shared_tokens = true;
  c.dropout = c.embedding_dropout = 0.3;
  for (const Setting& setting : {published, small, translator})
    if (name == setting.name) return setting;
  throw Error(ErrorKind::usage,
              fmt::format("there is no model {}; there are published, small and translator", name));
}

json peer_model(const Setting& s) {
  const Config c = completed(s.config);
  return {{"vocabulary", c.vocabulary},
          {"classes", c.classes},
          {"dim", c.dim},
          {"layers", c.layers},
          {"ffn", c.ffn},
          {"dropout", c.dropout},
          {"batch", s.batch},
          {"length", s.length},
          {"scored", s.scored},
          {"source_length", s.source_length},
          {"label_smoothing", s.label_smoothing}};
}

// A model that is being trained on one batch.
class Ours {
 public:
  Ours(const Setting& s, int64_t heads) : label_smoothing_(s.label_smoothing) {
    Config config = s.config;
    config.heads = heads;
    model_ = initialised(config, 1);
    parameters_ = parameters(model_);
    state_ = adam_state(parameters_);
    inputs_.tokens = at::randint(model_.config.vocabulary, {s.batch, s.length}, at::kLong);
    if (s.source_length > 0)
      inputs_.source = at::randint(model_.config.vocabulary, {s.batch, s.source_length}, at::kLong);
    labels_ = at::randint(model_.config.classes, {s.batch, s.length}, at::kLong);
    labels_.narrow(1, 0, s.length - s.scored).fill_(kUnscored);
    for (int i = 0; i < 3; ++i) step();
  }

  void step() {
    loss(model_, inputs_, labels_,
         {.training = true,
          .dropout_seed = static_cast<uint64_t>(state_.steps),
          .label_smoothing = label_smoothing_})
        .backward();
    adam_step(parameters_, state_, {});
  }

 private:
  Transformer model_;
  std::vector<NamedTensor> parameters_;
  AdamState state_;
  Inputs inputs_;
  at::Tensor labels_;
  double label_smoothing_;
};

double milliseconds(Ours& ours, int steps) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < steps; ++i) ours.step();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
             .count() /
         steps;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

}  // namespace

PyTorch::PyTorch(const std::filesystem::path& python, const std::filesystem::path& script) {
  std::signal(SIGPIPE, SIG_IGN);  // an interpreter that is not there is an answer, not an end
  int ask[2], answer[2];
  if (pipe(ask) != 0 || pipe(answer) != 0)
    throw Error(ErrorKind::no_resources, "no pipe to another process could be opened");
  child_ = fork();
  if (child_ == 0) {
    dup2(ask[0], 0);
    dup2(answer[1], 1);
    for (const int end : {ask[0], ask[1], answer[0], answer[1]}) close(end);
    execlp(python.c_str(), python.c_str(), script.c_str(), nullptr);
    _exit(127);
  }
  close(ask[0]);
  close(answer[1]);
  to_ = fdopen(ask[1], "w");
  from_ = fdopen(answer[0], "r");
}

PyTorch::~PyTorch() {
  std::fclose(to_);
  std::fclose(from_);
  waitpid(child_, nullptr, 0);
}

std::optional<double> PyTorch::milliseconds(const TrainingWork& work,
                                            const std::string& implementation, int steps,
                                            std::string& why) {
  const json request = {{"heads", work.heads},
                        {"threads", work.threads},
                        {"implementation", implementation},
                        {"steps", steps},
                        {"model", peer_model(setting_of(work.model))}};
  std::fputs((request.dump() + "\n").c_str(), to_);
  std::fflush(to_);
  char line[4096];
  const json reply = std::fgets(line, sizeof line, from_)
                         ? json::parse(line, nullptr, false)
                         : json({{"error", "PyTorch is not there"}});
  if (reply.contains("milliseconds")) return reply["milliseconds"].get<double>();
  why = reply.value("error", "its answer cannot be read");
  return std::nullopt;
}

std::vector<TrainingTime> training_step(const TrainingWork& work, PyTorch* pytorch,
                                        const std::vector<std::string>& peers, int rounds) {
  const Setting setting = setting_of(work.model);
  at::set_num_threads(work.threads);
  Ours ours(setting, work.heads);
  const int steps = setting.config.dim >= 64 ? 5 : 100;
  std::vector<double> own;
  std::vector<std::vector<double>> theirs(peers.size());
  std::vector<TrainingTime> times{{"headlight", 0, ""}};
  for (const std::string& peer : peers) times.push_back({peer, 0, pytorch ? "" : "no PyTorch"});
  for (int round = 0; round < rounds; ++round) {
    own.push_back(milliseconds(ours, steps));
    for (size_t i = 0; i < peers.size(); ++i) {
      if (!times[i + 1].why.empty()) continue;
      if (const auto time = pytorch->milliseconds(work, peers[i], steps, times[i + 1].why))
        theirs[i].push_back(*time);
    }
  }
  times[0].milliseconds = median(own);
  for (size_t i = 0; i < peers.size(); ++i)
    if (!theirs[i].empty()) times[i + 1].milliseconds = median(theirs[i]);
  return times;
}

}  // namespace headlight::speed
