// Puts lines of text together without a heap.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace kernel {

/// A number to be written in hexadecimal, with as many digits as it has or as are asked for.
struct Hex {
  std::uint64_t value = 0;
  unsigned digits = 1;
};

/// Bytes to be written as pairs of hexadecimal digits.
struct HexBytes {
  std::span<const std::byte> bytes;
};

/// A line of at most kCapacity characters; what does not fit is cut off.
class TextLine {
 public:
  static constexpr std::size_t kCapacity = 232;

  TextLine& operator<<(std::string_view text);
  TextLine& operator<<(std::uint64_t number);
  TextLine& operator<<(Hex number);
  TextLine& operator<<(HexBytes bytes);

  [[nodiscard]] std::string_view view() const { return {characters_.data(), size_}; }

 private:
  void put(char character) {
    if (size_ < kCapacity) {
      characters_[size_++] = character;
    }
  }

  std::array<char, kCapacity> characters_{};
  std::size_t size_ = 0;
};

}  // namespace kernel
