// What there is to learn: batches of numbers to predict, and what is known about them in advance.
//
// Training data is a pure function of (seed, step, size), so a resumed run sees what an
// uninterrupted one sees. The test set comes from a stream of its own, is the same for all seeds,
// and shares no input with any training data.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace headlight::text {
class Vocabulary;
}

namespace headlight::task {

constexpr int64_t kNotScored = -100;

struct Batch {
  int64_t size = 0, length = 0;
  std::vector<int64_t> inputs;       // [size, length], or with sentence_tokens W [size, length, W]
  int64_t sentence_tokens = 0;       // of the model that reads them; 0: a place is one token
  std::vector<int64_t> labels;       // [size, length]; kNotScored: no prediction is asked for here
  int64_t labels_a_row = 0;          // if not 0, labels are [size] or [size, labels_a_row]
  std::vector<int64_t> lengths;      // [size], how many inputs of each are real; empty: all
  std::vector<int64_t> token_types;  // [size, length]; empty: all 0
  // Encoder-decoder only: `inputs` are then the decoder's, shifted right by one.
  int64_t source_length = 0;
  std::vector<int64_t> source;          // [size, source_length]
  std::vector<int64_t> source_lengths;  // [size]
  at::Tensor pixels;                    // [size, C, height, width]: images in place of source
};

struct TaskInfo {
  std::string name;   // canonical: "fetch(16,2,6)"
  std::string about;  // one plain sentence
  int64_t length = 0;
  int64_t symbols = 0;  // inputs are 0 to symbols - 1
  int64_t classes = 0;  // labels are 0 to classes - 1
  bool encoder_decoder = false;
  int64_t source_length = 0, source_symbols = 0;
  double accuracy_ceiling = 1;  // what a causal model can reach at most, from 0 to 1
  double chance = 0;            // accuracy of the best guess that knows only the position
  int64_t recommended_steps = 0, recommended_layers = 1, evaluate_every = 25;
  double recommended_learning_rate = 1e-3;
  std::string note;   // what a result does not say; may be empty
  std::string space;  // number of distinct inputs, "2^32"
};

class Task {
 public:
  virtual ~Task() = default;
  virtual const TaskInfo& info() const = 0;
  virtual Batch train_batch(uint64_t seed, int64_t step, int64_t size) const = 0;
  // The first `samples` held-out sequences; fewer where the user's data has no more.
  virtual Batch test_set(int64_t samples) const = 0;
  // What to write for an input symbol in a picture.
  virtual std::string show(int64_t symbol) const = 0;
  // How text became symbols; null where it was none.
  virtual const text::Vocabulary* vocabulary() const { return nullptr; }
};

struct TaskOptions {
  // 0: fresh data at every step; else a fixed training set of that many samples (another one for
  // every seed), in another order in every epoch.
  int64_t samples = 0;
  // Every test input is replaced with this probability by another symbol of its kind (a separator
  // has none); labels stay. The same corrupted set for all runs, and a larger probability replaces
  // a superset.
  double noise = 0;
};

// From "fetch(16,2,6)", with or without spaces, or from the name alone for its usual size. Throws
// Error (usage) naming the argument and its range, or the nearest name.
std::unique_ptr<Task> make_task(const std::string& specification, const TaskOptions& options = {});

// How a task is written, in the order in which they are best read.
struct TaskForm {
  std::string form;     // "fetch(n,V,m)"
  std::string usual;    // "fetch(16,2,6)": what the name alone means
  std::string meaning;  // of the task and its arguments
};
std::vector<TaskForm> task_forms();

// A language model of text files: windows of `length` symbols, each to be followed by the next. The
// last tenth of every file is held out. `vocabulary` 0: bytes; else that many byte-pair pieces,
// learned from the training part. Throws Error (bad_input) for text that is too short.
std::unique_ptr<Task> make_text_task(const std::vector<std::filesystem::path>& files,
                                     int64_t length, int64_t vocabulary);

// An encoder-decoder on two files that agree line by line. Lines over `length` symbols and empty
// ones are left out (info().note counts them); about a tenth of the pairs is held out, equal source
// lines on the same side. Throws Error (bad_input) for different numbers of lines.
std::unique_ptr<Task> make_pairs_task(const std::filesystem::path& source,
                                      const std::filesystem::path& target, int64_t length,
                                      int64_t vocabulary);

}  // namespace headlight::task
