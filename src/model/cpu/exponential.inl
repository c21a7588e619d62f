// Included in an anonymous namespace, as tile.inl.
// e^x for x <= 0 to 2 units in the last place; below -87 it gives 0.
inline float exponential(float x) {
  const float clamped = x < -87.0f ? -87.0f : x;
  const float shifted =
      clamped * 1.44269504f + 12582912.0f;  // rounds to an integer in the low bits
  const float whole = shifted - 12582912.0f;
  const float r = (clamped - whole * 0.693359375f) + whole * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const auto exponent = (__builtin_bit_cast(uint32_t, shifted) << 23) + 0x3F800000u;
  const float power = __builtin_bit_cast(float, exponent);
  // A NaN fails the comparison and stays.
  return x < -87.0f ? 0.0f : p * power;
}
