// What the machine could do at best, measured: the yardstick of a kernel.
#pragma once

namespace headlight::speed {

// Floating-point operations per second (an addition and a multiplication each) in float, of the
// widest vectors that both the machine and the kernels have, `threads` threads at once.
double multiply_add_peak(int threads);

// Bytes per second read from memory that no cache holds, `threads` threads at once.
double read_bandwidth(int threads);

}  // namespace headlight::speed
