#include "train/text_run.h"

#include <fmt/format.h>

#include <cmath>

#include "headlight/error.h"
#include "text/learned_pieces.h"

namespace headlight::train {

TextRun defaults_of(TextKind kind, const std::string& size) {
  TextRun run;
  run.kind = kind;
  run.lower_case = kind == TextKind::translate;
  Settings& s = run.settings;
  s.steps = 12'000;
  s.batch = 2048;
  s.learning_rate = 3e-3;
  s.warmup = 1500;
  s.schedule = Schedule::inverse_sqrt;
  s.beta2 = 0.98;
  s.label_smoothing = 0.1;
  s.average = 8;
  s.evaluate_every = 500;
  s.checkpoint_seconds = 60;
  s.target_accuracy = 1;
  if (kind == TextKind::summarize) {
    run.length = 512;
    run.dropout = 0.1;
    s.batch = 4096;
    s.learning_rate = 2e-3;
  }
  if (kind == TextKind::answer) {
    run.vocabulary = 2000;
    run.length = 512;
    run.dropout = 0.1;
    s.batch = 4096;
    s.learning_rate = 1e-3;
    s.label_smoothing = 0;
  }
  if (kind == TextKind::caption) {
    run.vocabulary = 2000;
    run.length = 64;
    run.dropout = 0.1;
    s.batch = 4096;
    s.learning_rate = 1e-3;
  }
  if (kind == TextKind::lm) {
    run.ffn = 384;
    run.dropout = 0.1;
    s.label_smoothing = 0;
    s.learning_rate = 2e-3;
  }
  if (size == "base") {
    run.layers = 6;
    run.dim = 512;
    run.heads = 8;
    run.ffn = kind == TextKind::lm ? 1536 : 2048;
    run.dropout = 0.1;
    s.batch = 8192;
    s.learning_rate = 7e-4;
    s.warmup = 4000;
    s.steps = 100'000;
  } else if (size != "small") {
    throw Error(ErrorKind::usage,
                fmt::format("there is no size \"{}\"; there are small and base", size));
  }
  return run;
}

model::Config config_of(const TextRun& run, int64_t vocabulary) {
  model::Config c;
  c.vocabulary = vocabulary;
  c.dim = run.dim;
  c.layers = run.layers;
  c.heads = run.heads;
  c.ffn = run.ffn;
  c.positions = run.length;
  c.tied = true;
  c.final_norm = true;
  c.dropout = c.embedding_dropout = run.dropout;
  c.end_tokens = {text::kEnd};
  if (run.kind == TextKind::lm) {
    c.kind = model::Kind::decoder_only;
    c.norm = model::Norm::rms;
    c.activation = model::Activation::swiglu;
    c.position = model::Position::rotary;
    c.linear_bias = c.output_bias = false;
    c.predicts_next = true;
  } else {
    c.kind = model::Kind::encoder_decoder;
    c.norm = model::Norm::layer;
    c.norm_epsilon = 1e-5;
    c.activation = model::Activation::relu;
    c.position = model::Position::sinusoidal_halves;
    c.embedding_scale = std::sqrt(static_cast<double>(run.dim));
    c.shared_tokens = run.kind != TextKind::caption;
    c.start_token = text::kBegin;
  }
  if (run.kind == TextKind::caption) {
    if (run.patch < 1)
      throw Error(ErrorKind::usage,
                  fmt::format("patches are {} pixels wide; 1 or more make sense", run.patch));
    c.position = model::Position::learned;  // of patches in two directions
    c.patch = run.patch;
    c.channels = 3;
    c.image_height = c.image_width = run.image_size;
  }
  return model::completed(c);
}

}  // namespace headlight::train
