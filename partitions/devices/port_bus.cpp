#include "partitions/devices/port_bus.h"

#include "machine/invariant.h"

namespace devices {

PortBus::RangeId PortBus::claim(std::uint16_t first, std::uint16_t count, PortDevice& device) {
  INVARIANT(range_count_ < kMaxRanges);
  ranges_[range_count_] = {.first = first, .count = count, .decoded = true, .device = &device};
  return RangeId{range_count_++};
}

void PortBus::move(RangeId range, std::uint16_t first, bool decoded) {
  const auto index = static_cast<std::uint32_t>(range);
  INVARIANT(index < range_count_);
  ranges_[index].first = first;
  ranges_[index].decoded = decoded;
}

std::uint32_t PortBus::read_port(std::uint16_t port, std::uint32_t size) {
  PortDevice* const device = device_at(port);
  const std::uint32_t all_ones = size >= 4 ? 0xFFFFFFFF : (1U << (8 * size)) - 1;
  return device != nullptr ? device->read_port(port, size) & all_ones : all_ones;
}

void PortBus::write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) {
  PortDevice* const device = device_at(port);
  if (device != nullptr) {
    device->write_port(port, size, value);
  }
}

PortDevice* PortBus::device_at(std::uint16_t port) const {
  for (std::uint32_t index = 0; index < range_count_; ++index) {
    const Range& range = ranges_[index];
    const auto offset = static_cast<std::uint16_t>(port - range.first);
    if (range.decoded && offset < range.count) {
      return range.device;
    }
  }
  return nullptr;
}

}  // namespace devices
