#include "report/number.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

namespace headlight::report {
namespace {

std::optional<std::string> special(double value) {
  if (std::isnan(value)) return "–";
  if (std::isinf(value)) return value > 0 ? "∞" : "−∞";
  return std::nullopt;
}

// With a real minus, and without the sign of a zero.
std::string fixed(double value, int digits) {
  std::string text = fmt::format("{:.{}f}", std::abs(value), digits);
  const bool zero = text.find_first_not_of("0.") == std::string::npos;
  return value < 0 && !zero ? "−" + text : text;
}

std::string with_unit(double value, double step, const char* const* units, int count) {
  int unit = 0;
  while (unit + 1 < count && std::abs(value) >= step * 0.99995) {
    value /= step;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} {}", fixed(value, 0), units[0]);
  return fmt::format("{} {}", fixed(value, std::abs(value) < 99.95 ? 1 : 0), units[unit]);
}

// Decimals that show the first digit of an uncertainty, and a second one after a leading 1.
int decimals_for(double uncertainty) {
  const double exponent = std::floor(std::log10(uncertainty));
  const bool leading_one = uncertainty / std::pow(10.0, exponent) < 1.95;
  return std::clamp(int(-exponent) + (leading_one ? 1 : 0), 0, 9);
}

}  // namespace

std::string percent(double share, int digits) {
  if (auto text = special(share)) return *text;
  return fixed(100 * share, digits) + " %";
}

std::string points(double difference, int digits) {
  if (auto text = special(difference)) return *text;
  const std::string text = fixed(100 * difference, digits);
  const bool zero = text.find_first_not_of("0.") == std::string::npos;
  return difference > 0 && !zero ? "+" + text : text;
}

std::string significant(double value, int digits) {
  if (auto text = special(value)) return *text;
  if (value == 0) return "0";
  int exponent = int(std::floor(std::log10(std::abs(value))));
  // Rounding may reach the next power of ten: 9.996 has one digit before the point, 10.0 two.
  if (std::abs(value) >= std::pow(10.0, exponent + 1) - 0.5 * std::pow(10.0, exponent + 1 - digits))
    ++exponent;
  if (exponent < -4 || exponent > 12) {
    const std::string text = fmt::format("{:.{}e}", std::abs(value), std::max(0, digits - 1));
    return (value < 0 ? "−" : "") + text;
  }
  if (exponent + 1 >= digits) {
    return std::abs(value) >= 1000 ? whole(std::llround(value)) : fixed(value, 0);
  }
  return fixed(value, digits - 1 - exponent);
}

std::string whole(int64_t value) {
  std::string digits = fmt::format("{}", value < 0 ? 0 - uint64_t(value) : uint64_t(value));
  for (int place = int(digits.size()) - 3; place > 0; place -= 3)
    digits.insert(size_t(place), 1, ',');
  return value < 0 ? "−" + digits : digits;
}

std::string compact(double value) {
  if (auto text = special(value)) return *text;
  if (std::abs(value) < 999.5) return significant(value);
  static constexpr const char* kUnits[] = {"", "k", "M", "G", "T"};
  return with_unit(value, 1000, kUnits, int(std::size(kUnits)));
}

std::string plus_minus(double value, double uncertainty) {
  if (auto text = special(value)) return *text;
  if (special(uncertainty)) return significant(value);
  if (uncertainty <= 0) return significant(value) + " ± 0";
  const int digits = decimals_for(uncertainty);
  return fmt::format("{} ± {}", fixed(value, digits), fixed(uncertainty, digits));
}

std::string percent_plus_minus(double share, double uncertainty) {
  if (auto text = special(share)) return *text;
  if (special(uncertainty)) return percent(share);
  // More than two decimals of a percentage say nothing to a reader.
  const int digits = uncertainty <= 0 ? 1 : std::clamp(decimals_for(100 * uncertainty), 1, 2);
  return fmt::format("{} ± {} %", fixed(100 * share, digits), fixed(100 * uncertainty, digits));
}

std::string duration(double seconds) {
  if (auto text = special(seconds)) return *text;
  if (seconds < 0) return "−" + duration(-seconds);
  if (seconds == 0) return "0 s";
  if (seconds < 0.9995e-3) return significant(1e6 * seconds) + " µs";
  if (seconds < 0.9995) return significant(1e3 * seconds) + " ms";
  if (seconds < 9.95) return fixed(seconds, 1) + " s";
  const int64_t all = std::llround(seconds);
  if (all < 60) return fmt::format("{} s", all);
  if (all < 3600) return fmt::format("{} min {:02} s", all / 60, all % 60);
  const int64_t minutes = std::llround(seconds / 60);
  if (minutes < 48 * 60) return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
  return fmt::format("{} days {} h", minutes / 1440, minutes % 1440 / 60);
}

std::string bytes(uint64_t count) {
  static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  return with_unit(double(count), 1000, kUnits, int(std::size(kUnits)));
}

std::string counted(int64_t count, const std::string& one) {
  return whole(count) + " " + one + (count == 1 ? "" : "s");
}

}  // namespace headlight::report
