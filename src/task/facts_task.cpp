#include <algorithm>
#include <map>
#include <utility>

#include "task/facts.h"
#include "task/length_buckets.h"
#include "task/random.h"

namespace headlight::task {
namespace {

constexpr uint64_t kEmptyStream = 0x656d7074;

class FactsTask : public Task {
 public:
  FactsTask(TaskInfo info, ReadTexts training, ReadTexts held_out, const StorySize& size)
      : info_(std::move(info)),
        training_(std::move(training)),
        held_out_(std::move(held_out)),
        size_(size),
        buckets_(places_of(training_, size)) {}

  const TaskInfo& info() const override { return info_; }
  std::string show(int64_t symbol) const override { return std::to_string(symbol); }

  Batch train_batch(uint64_t seed, int64_t step, int64_t size) const override {
    const std::vector<size_t> rows = buckets_.rows(seed, step, size);
    std::vector<Sequence> stories;
    Random random(mix(mix(seed, kEmptyStream), static_cast<uint64_t>(step)));
    for (const size_t row : rows)
      stories.push_back(with_empty_places(training_.texts[row], random));
    return batch_of(stories, training_.classes, rows);
  }

  Batch test_set(int64_t samples) const override {
    const std::vector<size_t> rows = evenly_chosen(held_out_.texts.size(), samples);
    std::vector<Sequence> stories;
    for (const size_t row : rows) stories.push_back(held_out_.texts[row]);
    return batch_of(stories, held_out_.classes, rows);
  }

 private:
  static std::vector<LengthBuckets::Row> places_of(const ReadTexts& all, const StorySize& size) {
    std::vector<LengthBuckets::Row> rows;
    for (const Sequence& story : all.texts) {
      const size_t places = story.size() / static_cast<size_t>(size.sentence_tokens);
      rows.push_back({places, places});
    }
    return rows;
  }

  // The question stays where it is.
  Sequence with_empty_places(const Sequence& story, Random& random) const {
    const auto sentence = static_cast<size_t>(size_.sentence_tokens);
    const size_t most = sentence * static_cast<size_t>(size_.places);
    Sequence spread(story.begin(), story.begin() + size_.sentence_tokens);
    for (size_t at = sentence; at < story.size(); at += sentence) {
      while (random.uniform() < kEmptyPlaces)
        if (spread.size() + story.size() - at < most) spread.resize(spread.size() + sentence);
      const auto fact = story.begin() + static_cast<std::ptrdiff_t>(at);
      spread.insert(spread.end(), fact, fact + size_.sentence_tokens);
    }
    return spread;
  }

  Batch batch_of(const std::vector<Sequence>& stories, const std::vector<int64_t>& classes,
                 const std::vector<size_t>& rows) const {
    size_t longest = 0;
    for (const Sequence& story : stories) longest = std::max(longest, story.size());
    Batch batch;
    batch.size = std::ssize(stories);
    batch.length = static_cast<int64_t>(longest) / size_.sentence_tokens;
    batch.sentence_tokens = size_.sentence_tokens;
    batch.labels_a_row = 1;
    batch.inputs.resize(stories.size() * longest);
    for (size_t i = 0; i < stories.size(); ++i) {
      std::ranges::copy(stories[i],
                        batch.inputs.begin() + static_cast<std::ptrdiff_t>(i * longest));
      batch.lengths.push_back(std::ssize(stories[i]) / size_.sentence_tokens);
      batch.labels.push_back(classes[rows[i]]);
    }
    return batch;
  }

  TaskInfo info_;
  ReadTexts training_, held_out_;
  StorySize size_;
  LengthBuckets buckets_;
};

}  // namespace

std::unique_ptr<Task> make_facts_task(std::string name, ReadTexts training, ReadTexts held_out,
                                      const StorySize& size) {
  TaskInfo info;
  info.name = std::move(name);
  info.length = size.places;
  info.chance = most_frequent_share(held_out.classes);
  return std::make_unique<FactsTask>(std::move(info), std::move(training), std::move(held_out),
                                     size);
}

}  // namespace headlight::task
