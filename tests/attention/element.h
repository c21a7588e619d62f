// Numbers of 16 bits as the definition says them, by arithmetic on doubles: what the conversions of
// the kernels are held to.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "headlight/attention.h"

namespace headlight::attention {

struct Format {
  int mantissa;  // bits
  int least;     // exponent of the smallest normal number
  double most;   // the largest number
  uint16_t infinity;
};

template <typename E>
constexpr Format kFormat = {10, -14, 65504, 0x7c00};
template <>
constexpr Format kFormat<BFloat16> = {7, -126, 3.3895313892515355e38, 0x7f80};

// The nearest number of the format, ties to even.
template <typename E>
double rounded(double x) {
  const Format& f = kFormat<E>;
  if (!std::isfinite(x) || x == 0) return x;
  const int exponent = std::max(std::ilogb(x), f.least) - f.mantissa;
  const double value = std::ldexp(std::nearbyint(std::ldexp(x, -exponent)), exponent);
  if (std::abs(value) > f.most) return std::copysign(std::numeric_limits<double>::infinity(), x);
  return value;
}
template <>
inline double rounded<float>(double x) {
  return static_cast<float>(x);
}
template <>
inline double rounded<double>(double x) {
  return x;
}

template <typename E>
double to_double(E x) {
  const Format& f = kFormat<E>;
  const int fraction = x.bits & ((1 << f.mantissa) - 1);
  const int exponent = (x.bits & 0x7fff) >> f.mantissa;
  const double sign = x.bits & 0x8000 ? -1 : 1;
  if ((x.bits & 0x7fff) > f.infinity) return std::numeric_limits<double>::quiet_NaN();
  if ((x.bits & 0x7fff) == f.infinity) return sign * std::numeric_limits<double>::infinity();
  const int whole = exponent == 0 ? 0 : 1 << f.mantissa;
  return sign * std::ldexp(whole + fraction, std::max(exponent, 1) - 1 + f.least - f.mantissa);
}
inline double to_double(float x) { return x; }
inline double to_double(double x) { return x; }

// Of a number that the format holds.
template <typename E>
E to_element(double x) {
  const Format& f = kFormat<E>;
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  if (std::isnan(x)) return {static_cast<uint16_t>(f.infinity | 1 << (f.mantissa - 1))};
  if (std::isinf(x)) return {static_cast<uint16_t>(sign | f.infinity)};
  if (x == 0) return {sign};
  const int exponent = std::max(std::ilogb(x), f.least);
  const auto fraction =
      static_cast<int>(std::ldexp(std::abs(rounded<E>(x)), f.mantissa - exponent));
  // The hidden bit counts as one step of the exponent.
  return {static_cast<uint16_t>(sign | (((exponent - f.least) << f.mantissa) + fraction))};
}
template <>
inline float to_element<float>(double x) {
  return static_cast<float>(x);
}
template <>
inline double to_element<double>(double x) {
  return x;
}

}  // namespace headlight::attention
