// One bit for each interrupt vector: IRR, ISR, TMR.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace hv {

class VectorSet {
 public:
  [[nodiscard]] constexpr bool has(std::uint8_t vector) const {
    return ((words_[vector / 64u] >> (vector % 64u)) & 1) != 0;
  }
  constexpr void add(std::uint8_t vector) { words_[vector / 64u] |= 1ull << (vector % 64u); }
  constexpr void remove(std::uint8_t vector) { words_[vector / 64u] &= ~(1ull << (vector % 64u)); }
  constexpr void set(std::uint8_t vector, bool present) {
    if (present) {
      add(vector);
    } else {
      remove(vector);
    }
  }
  constexpr void remove(const VectorSet& others) {
    for (std::size_t index = 0; index < words_.size(); ++index) {
      words_[index] &= ~others.words_[index];
    }
  }
  /// The vector of highest priority.
  [[nodiscard]] constexpr std::optional<std::uint8_t> highest() const {
    for (std::size_t index = words_.size(); index-- > 0;) {
      if (words_[index] != 0) {
        const auto bit = static_cast<std::size_t>(std::bit_width(words_[index])) - 1;
        return static_cast<std::uint8_t>(index * 64 + bit);
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] constexpr bool empty() const { return !highest().has_value(); }
  /// The 32 vectors from 32 * index, as the APIC registers show them.
  [[nodiscard]] constexpr std::uint32_t register_word(std::size_t index) const {
    return static_cast<std::uint32_t>(words_[index / 2] >> (index % 2 * 32));
  }
  constexpr void set_register_word(std::size_t index, std::uint32_t word) {
    const unsigned shift = index % 2 * 32;
    std::uint64_t& both = words_[index / 2];
    both = (both & ~(0xFFFF'FFFFull << shift)) | (static_cast<std::uint64_t>(word) << shift);
  }
  /// Those that are in both.
  [[nodiscard]] constexpr VectorSet with(const VectorSet& others) const {
    VectorSet both;
    for (std::size_t index = 0; index < words_.size(); ++index) {
      both.words_[index] = words_[index] & others.words_[index];
    }
    return both;
  }
  friend constexpr bool operator==(const VectorSet&, const VectorSet&) = default;

 private:
  std::array<std::uint64_t, 4> words_{};
};

}  // namespace hv
