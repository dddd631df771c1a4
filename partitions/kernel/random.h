// Repeatable pseudo-random numbers: the same seed gives the same numbers on every machine.
#pragma once

#include <cstdint>

namespace kernel {

/// SplitMix64 (public domain, after Vigna).
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) : state_(seed) {}

  constexpr std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15;
    std::uint64_t value = state_;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
    return value ^ (value >> 31);
  }
  /// A number in [0, limit); limit is not 0. The slight bias of the remainder does not matter here.
  constexpr std::uint64_t below(std::uint64_t limit) { return next() % limit; }

 private:
  std::uint64_t state_;
};

}  // namespace kernel
