// Stories with questions, for models whose places are sentences.
#pragma once

#include "app/model_input.h"

namespace headlight::app {

// One example for every question: of --lines all, of --text and --file the last, which sees the
// whole story. The words of an example are its sentences; labels are the answers that the model
// has. Throws Error: usage for other inputs, bad_input naming file and question.
ModelInput read_stories(const InputOptions& options, const model::Transformer& model);

}  // namespace headlight::app
