// The RAM of one simulated computer: sparse, zero at power-on, reached by system physical address.
//
// RAM lies from 0 up, as on a PC: what would fall into the gap below 4 GiB continues above it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "machine/address.h"

namespace sim {

class PhysicalMemory {
 public:
  /// The gap for device memory.
  static constexpr std::uint64_t kGapBegin = 0xC000'0000;
  static constexpr std::uint64_t kGapEnd = 0x1'0000'0000;

  /// `size_bytes` is a multiple of the page size. Untouched pages cost nothing.
  explicit PhysicalMemory(std::uint64_t size_bytes);
  ~PhysicalMemory();
  PhysicalMemory(const PhysicalMemory&) = delete;
  PhysicalMemory& operator=(const PhysicalMemory&) = delete;

  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  /// One past the highest RAM address.
  [[nodiscard]] std::uint64_t end() const { return end_; }

  /// The host's view of [address, address + size_bytes); null if any of it is not RAM.
  [[nodiscard]] std::byte* at(machine::Spa address, std::uint64_t size_bytes) const {
    const std::uint64_t first = address.value();
    if (first < low_end_ && size_bytes <= low_end_ - first) [[likely]] {
      return memory_ + first;
    }
    if (first >= kGapEnd && first < end_ && size_bytes <= end_ - first) {
      return memory_ + first;
    }
    return nullptr;
  }

 private:
  std::byte* memory_ = nullptr;
  std::uint64_t size_bytes_ = 0;
  std::uint64_t low_end_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace sim
