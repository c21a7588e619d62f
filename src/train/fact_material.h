// What a model learns from that answers questions about stories fact by fact.
#pragma once

#include "train/text_training.h"

namespace headlight::train {

// The stories of run.data and run.valid as task::story_of() reads them, with the folder's
// vocabulary or, if it has none, one that is learned and written there. Throws Error (bad_input)
// naming the file, and the question where one is to blame.
TextMaterial prepare_facts(const TextRun& run, const std::filesystem::path& folder);

}  // namespace headlight::train
