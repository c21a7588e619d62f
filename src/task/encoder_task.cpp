#include "task/encoder_task.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "task/length_buckets.h"
#include "task/random.h"

namespace headlight::task {
namespace {

constexpr uint64_t kMaskStream = 0x6d61736b;
constexpr uint64_t kHeldOutMasks = 0x68656c64;

std::vector<LengthBuckets::Row> lengths_of(const std::vector<Sequence>& texts) {
  std::vector<LengthBuckets::Row> rows;
  for (const Sequence& text : texts) rows.push_back({text.size(), text.size()});
  return rows;
}

class EncoderTask : public Task {
 public:
  EncoderTask(TaskInfo info, ReadTexts training, ReadTexts held_out, int64_t padding,
              const Masking& masking, std::function<std::string(int64_t)> show)
      : info_(std::move(info)),
        training_(std::move(training)),
        held_out_(std::move(held_out)),
        padding_(padding),
        masking_(masking),
        show_(std::move(show)),
        buckets_(lengths_of(training_.texts)) {}

  const TaskInfo& info() const override { return info_; }
  std::string show(int64_t symbol) const override {
    return show_ ? show_(symbol) : std::to_string(symbol);
  }

  Batch train_batch(uint64_t seed, int64_t step, int64_t size) const override {
    return batch_of(training_, buckets_.rows(seed, step, size),
                    mix(mix(seed, kMaskStream), static_cast<uint64_t>(step)));
  }

  Batch test_set(int64_t samples) const override {
    return batch_of(held_out_, evenly_chosen(held_out_.texts.size(), samples), kHeldOutMasks);
  }

 private:
  Batch batch_of(const ReadTexts& all, const std::vector<size_t>& rows, uint64_t mask_seed) const {
    Batch batch;
    batch.size = static_cast<int64_t>(rows.size());
    batch.labels_a_row = !all.classes.empty() ? 1 : !all.spans.empty() ? 2 : 0;
    for (const size_t row : rows)
      batch.length = std::max(batch.length, static_cast<int64_t>(all.texts[row].size()));
    batch.inputs.resize(static_cast<size_t>(batch.size * batch.length), padding_);
    if (batch.labels_a_row == 0) batch.labels.resize(batch.inputs.size(), kNotScored);
    if (!all.types.empty()) batch.token_types.resize(batch.inputs.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      const Sequence& text = all.texts[rows[i]];
      const size_t begin = i * static_cast<size_t>(batch.length);
      std::copy(text.begin(), text.end(),
                batch.inputs.begin() + static_cast<std::ptrdiff_t>(begin));
      batch.lengths.push_back(static_cast<int64_t>(text.size()));
      if (!all.types.empty())
        std::ranges::copy(all.types[rows[i]],
                          batch.token_types.begin() + static_cast<std::ptrdiff_t>(begin));
      if (!all.classes.empty())
        batch.labels.push_back(all.classes[rows[i]]);
      else if (!all.spans.empty())
        batch.labels.insert(batch.labels.end(), all.spans[rows[i]].begin(),
                            all.spans[rows[i]].end());
      else
        mask(batch, begin, text.size(), Random(mix(mask_seed, i)));
    }
    return batch;
  }

  void mask(Batch& batch, size_t begin, size_t length, Random random) const {
    std::vector<size_t> places;
    for (size_t place = begin; place < begin + length; ++place)
      if (batch.inputs[place] >= masking_.first && batch.inputs[place] < masking_.last)
        places.push_back(place);
    const double share = std::round(kMaskedShare * static_cast<double>(places.size()));
    const size_t count = std::min(places.size(), static_cast<size_t>(std::max(1.0, share)));
    for (size_t i = 0; i < count; ++i) {
      const int64_t left = static_cast<int64_t>(places.size() - i);
      std::swap(places[i], places[i + static_cast<size_t>(random.index(left))]);
      int64_t& token = batch.inputs[places[i]];
      batch.labels[places[i]] = token;
      const double fate = random.uniform();
      if (fate < 0.8)
        token = masking_.mask;
      else if (fate < 0.9)
        token = masking_.first + random.index(masking_.last - masking_.first);
    }
  }

  TaskInfo info_;
  ReadTexts training_, held_out_;
  int64_t padding_;
  Masking masking_;
  std::function<std::string(int64_t)> show_;
  LengthBuckets buckets_;
};

}  // namespace

double most_frequent_share(const std::vector<int64_t>& classes) {
  std::map<int64_t, int64_t> counts;
  int64_t most = 0;
  for (const int64_t one : classes) most = std::max(most, ++counts[one]);
  return classes.empty() ? 0 : static_cast<double>(most) / static_cast<double>(classes.size());
}

std::unique_ptr<Task> make_encoder_task(std::string name, ReadTexts training, ReadTexts held_out,
                                        int64_t padding, const Masking& masking,
                                        std::function<std::string(int64_t)> show) {
  TaskInfo info;
  info.name = std::move(name);
  info.chance = most_frequent_share(held_out.classes);
  for (const ReadTexts* part : {&training, &held_out})
    for (const Sequence& text : part->texts)
      info.length = std::max(info.length, static_cast<int64_t>(text.size()));
  return std::make_unique<EncoderTask>(std::move(info), std::move(training), std::move(held_out),
                                       padding, masking, std::move(show));
}

}  // namespace headlight::task
