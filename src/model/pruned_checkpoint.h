// A pruned model as a directory, with everything that came along with the model it was cut from.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/head_name.h"
#include "model/transformer.h"

namespace headlight::model {

// compact: headlight's own form, any heads in any layer.
// uniform: files of transformers with as many heads in every layer.
// zeroed: the files of the model that was cut, with zeros behind attention where heads are gone.
enum class PrunedKind { compact, uniform, zeroed };

const char* name_of(PrunedKind kind);

struct Pruned {
  std::filesystem::path from;    // the directory of the model that was cut
  Transformer original;          // as load() read it
  std::vector<HeadPlace> heads;  // of it, that are gone
  Transformer cut;               // what is left, perhaps trained since
};

// Throws Error (usage) with the reason where a kind cannot be had of the model in a directory,
// before any work is done for it. "model_type" is in its config.json.
void check_kind(PrunedKind kind, const std::string& model_type);

// Into a folder that is there. Tensors that did not change keep the bytes of the file, others its
// type where that is exact; config.json keeps its other fields and tells (pruned_record.h) what
// was removed, from what, and what had been before. All other files but weights come along. Throws
// Error: usage for heads that the kind cannot have left, and as AtomicFile.
void write_pruned(const Pruned& pruned, PrunedKind kind, const std::filesystem::path& folder);

// The bytes of the files that hold a model's weights.
int64_t weight_bytes(const std::filesystem::path& folder);

}  // namespace headlight::model
