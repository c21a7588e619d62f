#include "report/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "report/number.h"
#include "report/terminal.h"

namespace headlight::report {
namespace {

constexpr double kSecondsBetweenDrawings = 0.1;
constexpr double kSecondsBetweenSamples = 0.5;
constexpr double kShortestWindow = 10;  // seconds that the recent rate looks back on, at least,
constexpr double kWindowShare = 0.25;   // and as a share of the time since the start
constexpr int kBarWidth = 24;
constexpr int kNarrowestText = 12;

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double share_of(const ProgressState& state) {
  return state.total > 0 ? std::clamp(state.done / state.total, 0.0, 1.0) : 1.0;
}

std::string bar(double share) {
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = int(share * kBarWidth * 8);
  std::string text;
  for (int i = 0; i < eighths / 8; ++i) text += "█";
  text += kEighths[eighths % 8];
  const int used = eighths / 8 + (eighths % 8 > 0 ? 1 : 0);
  return "▕" + text + std::string(size_t(kBarWidth - used), ' ') + "▏";
}

// A rough figure should look like one: "1 min 20 s" of an hour's work is noise.
std::string time_left(double seconds) {
  if (seconds > 600)
    seconds = 60 * std::round(seconds / 60);
  else if (seconds > 60)
    seconds = 5 * std::round(seconds / 5);
  return duration(std::max(1.0, std::round(seconds))) + " left";
}

}  // namespace

std::string progress_text(const ProgressState& state, double rate, double seconds_left, int width) {
  // Rounded down: 100 % means done.
  std::string numbers = fmt::format("{:3.0f} %", std::floor(100 * share_of(state) + 1e-9));
  if (rate > 0 && !state.unit.empty())
    numbers += fmt::format("  {} {}/s", significant(rate), state.unit);
  if (seconds_left >= 0 && std::isfinite(seconds_left)) numbers += "  " + time_left(seconds_left);
  const std::string text = printable(state.text);
  const int with_bar = kBarWidth + 3 + display_width(numbers);
  const int wanted = text.empty() ? 0 : 2 + std::min(kNarrowestText, display_width(text));
  std::string line = with_bar + wanted <= width ? bar(share_of(state)) + " " + numbers : numbers;
  const int room = width - display_width(line) - 2;
  if (!text.empty() && room >= std::min(kNarrowestText, display_width(text)))
    line += "  " + clipped(text, room);
  return clipped(line, width);
}

ProgressLine::ProgressLine(ProgressOptions options) : options_(std::move(options)) {
  if (!options_.now) options_.now = steady_seconds;
  terminal_ = options_.terminal.value_or(isatty(fileno(options_.stream)) == 1);
  start_ = options_.now();
  last_shown_ = -INFINITY;
}

ProgressLine::~ProgressLine() { finish(); }

void ProgressLine::update(const ProgressState& state) {
  if (options_.quiet) return;
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  const double now = options_.now();
  const double rate = recent_rate(now, state.done);
  if (now - start_ < options_.silent_seconds) return;
  const double pause = terminal_ ? kSecondsBetweenDrawings : options_.seconds_between_lines;
  if (now - last_shown_ < pause) return;
  last_shown_ = now;

  double left = state.seconds_left;
  if (left < 0 && rate > 0) left = (state.total - state.done) / rate;
  if (terminal_) {
    // One column stays free: a full line makes some terminals wrap.
    const int width = (options_.width > 0 ? options_.width : terminal_width(Stream::err)) - 1;
    fmt::print(options_.stream, "\r{}\033[K", progress_text(state, rate, left, width));
    drawn_ = true;
  } else {
    std::string line = percent(std::floor(100 * share_of(state) + 1e-9) / 100, 0);
    if (left >= 0 && std::isfinite(left)) line += ", " + time_left(left);
    if (!state.text.empty()) line += ": " + printable(state.text);
    fmt::print(options_.stream, "{}\n", line);
  }
  std::fflush(options_.stream);
}

void ProgressLine::finish() {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  finished_ = true;
  if (!drawn_) return;
  std::fputs("\r\033[K", options_.stream);  // throws nothing: the destructor comes here
  std::fflush(options_.stream);
}

// Work done per second over the last while. Negative: not known yet.
double ProgressLine::recent_rate(double now, double done) {
  if (!samples_.empty() && done < samples_.back().done) samples_.clear();  // new work began
  if (samples_.empty() || now - samples_.back().time >= kSecondsBetweenSamples)
    samples_.push_back({now, done});
  const double window = std::max(kShortestWindow, kWindowShare * (now - start_));
  while (samples_.size() > 2 && now - samples_[1].time >= window) samples_.pop_front();
  const Sample& from = samples_.front();
  return now - from.time >= kSecondsBetweenSamples ? (done - from.done) / (now - from.time) : -1;
}

}  // namespace headlight::report
