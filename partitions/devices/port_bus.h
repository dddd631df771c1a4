// Which device answers which I/O port.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "partitions/devices/platform.h"

namespace devices {

/// A table of port ranges. An access belongs to the range that holds its first port; a port without
/// a device reads all-ones and ignores writes.
class PortBus final : public PortDevice {
 public:
  static constexpr std::size_t kMaxRanges = 24;

  enum class RangeId : std::uint32_t {};

  /// Gives `count` ports from `first` on to `device`. The first range that holds a port wins.
  RangeId claim(std::uint16_t first, std::uint16_t count, PortDevice& device);
  /// Moves a range, or takes its ports away (`decoded` false): a PCI function's base address.
  void move(RangeId range, std::uint16_t first, bool decoded);

  [[nodiscard]] std::uint32_t read_port(std::uint16_t port, std::uint32_t size) override;
  void write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) override;

 private:
  struct Range {
    std::uint16_t first = 0;
    std::uint16_t count = 0;
    bool decoded = false;
    PortDevice* device = nullptr;
  };

  [[nodiscard]] PortDevice* device_at(std::uint16_t port) const;

  std::array<Range, kMaxRanges> ranges_{};
  std::uint32_t range_count_ = 0;
};

}  // namespace devices
