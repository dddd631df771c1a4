// The registers of the x87, SSE and AVX units of one logical processor, and the instructions that
// save and restore them (SDM vol. 1 chapter 13). Nothing in a world computes with them: their
// content is what software puts there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/common.h"

namespace sim {

class ExtendedRegisters {
 public:
  static constexpr std::uint64_t kComponents = 7;  // x87, SSE, AVX
  static constexpr std::size_t kLegacyBytes = 512;
  static constexpr std::size_t kHighHalvesOffset = 576;
  static constexpr std::size_t kHighHalvesBytes = 256;
  static constexpr std::size_t kAreaBytes = kHighHalvesOffset + kHighHalvesBytes;
  using Area = std::span<std::byte, kAreaBytes>;
  using ConstArea = std::span<const std::byte, kAreaBytes>;

  ExtendedRegisters();

  [[nodiscard]] std::uint64_t xcr0() const { return xcr0_; }
  /// XSETBV; false is #GP(0).
  [[nodiscard]] bool set_xcr0(std::uint64_t value);
  /// The size of an XSAVE area for the components in XCR0.
  [[nodiscard]] std::size_t area_bytes_in_use() const;

  [[nodiscard]] machine::XmmRegisters xmm() const;
  void set_xmm(const machine::XmmRegisters& registers);

  /// XSAVEOPT: changes of the area what the instruction writes.
  void save(std::uint64_t components, Area area) const;
  /// XRSTOR; false is #GP(0), with nothing changed.
  [[nodiscard]] bool restore(std::uint64_t components, ConstArea area);

 private:
  /// In the form of an XSAVE area's legacy region: MXCSR is not part of what SSE's component bit
  /// stands for.
  std::array<std::byte, kLegacyBytes> legacy_{};
  std::array<std::byte, kHighHalvesBytes> high_halves_{};
  std::uint64_t xcr0_ = 1;
};

}  // namespace sim
