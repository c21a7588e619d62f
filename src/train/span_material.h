// What an encoder learns to mark answers from, and how good it is at it.
#pragma once

#include "train/text_training.h"

namespace headlight::train {

// The questions of run.data and run.valid in windows as task::mark_answers() reads them. Throws
// Error (bad_input) naming the file, and the question where one is to blame.
TextMaterial prepare_spans(const TextRun& run, const FromCheckpoint& from);

// The share of the held-out questions whose best span is the answer, in percent.
double exact_spans(const TextMaterial& material, const model::Transformer& model);

}  // namespace headlight::train
