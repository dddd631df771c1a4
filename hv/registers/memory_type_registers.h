// The memory type range registers of one virtual processor (SDM vol. 3 11.11). Values are kept and
// given back; what a page is cached as comes from the GPA space and the guest's PAT, because
// guests' memory is coherent whatever these say.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hv {

class MemoryTypeRegisters {
 public:
  static constexpr std::size_t kVariableRanges = 8;
  static constexpr std::size_t kFixedRanges = 11;
  /// IA32_MTRRCAP: the variable ranges, fixed ranges (bit 8), write combining (bit 10).
  static constexpr std::uint64_t kCapabilities = kVariableRanges | (1u << 8) | (1u << 10);

  [[nodiscard]] std::uint64_t default_type() const { return default_type_; }
  [[nodiscard]] std::uint64_t base(std::size_t range) const { return bases_[range]; }
  [[nodiscard]] std::uint64_t mask(std::size_t range) const { return masks_[range]; }
  [[nodiscard]] std::uint64_t fixed(std::size_t range) const { return fixed_[range]; }

  // False, and nothing changed, for a value with a reserved bit or a type that does not exist.
  [[nodiscard]] bool set_default_type(std::uint64_t value) {
    constexpr std::uint64_t kBits = 0xCFF;  // enable, fixed enable, type
    return set(default_type_, value, (value & ~kBits) == 0 && is_type(value & 0xFF));
  }
  [[nodiscard]] bool set_base(std::size_t range, std::uint64_t value) {
    constexpr std::uint64_t kBits = kAddressBits | 0xFF;
    return set(bases_[range], value, (value & ~kBits) == 0 && is_type(value & 0xFF));
  }
  [[nodiscard]] bool set_mask(std::size_t range, std::uint64_t value) {
    constexpr std::uint64_t kBits = kAddressBits | kValid;
    return set(masks_[range], value, (value & ~kBits) == 0);
  }
  [[nodiscard]] bool set_fixed(std::size_t range, std::uint64_t value) {
    bool legal = true;
    for (unsigned byte = 0; byte < 8; ++byte) {
      legal = legal && is_type((value >> (8 * byte)) & 0xFF);
    }
    return set(fixed_[range], value, legal);
  }

 private:
  static constexpr std::uint64_t kAddressBits = 0x000F'FFFF'FFFF'F000;
  static constexpr std::uint64_t kValid = 1u << 11;

  static constexpr bool is_type(std::uint64_t type) { return type <= 6 && type != 2 && type != 3; }
  static bool set(std::uint64_t& to, std::uint64_t value, bool legal) {
    if (legal) {
      to = value;
    }
    return legal;
  }

  std::uint64_t default_type_ = 0;
  std::array<std::uint64_t, kVariableRanges> bases_{};
  std::array<std::uint64_t, kVariableRanges> masks_{};
  std::array<std::uint64_t, kFixedRanges> fixed_{};
};

}  // namespace hv
