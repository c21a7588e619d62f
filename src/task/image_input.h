// A picture as a model of images reads it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>

#include "model/transformer.h"

namespace headlight::task {

// [1, C, height, width], resized, cropped, scaled and normalised as the model's
// preprocessor_config.json says; without that file as transformers does by default (bilinear, to
// [-1, 1]). "background" there, three numbers from 0 to 255, is ours: what transparent pixels are
// laid over. Throws Error (bad_input) for a file that is no picture, and for settings that are not
// understood or end in another size than the model's.
at::Tensor read_image_input(const std::filesystem::path& image, const std::filesystem::path& model,
                            const model::Config& config);

// Writes a preprocessor_config.json for models of that size: over white, bilinear, to [-1, 1].
void write_preprocessing(const std::filesystem::path& model, int64_t height, int64_t width);

}  // namespace headlight::task
