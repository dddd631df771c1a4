// Reading, writing and changing words of simulated memory by the host's pointers to them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sim {

template <class Word>
[[nodiscard]] Word load_word(const std::byte* from) {
  Word value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class Word>
void store_word(std::byte* to, Word value) {
  std::memcpy(to, &value, sizeof value);
}

}  // namespace sim
