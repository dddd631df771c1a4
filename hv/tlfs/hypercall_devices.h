// Interrupts of devices: which one, and to whom it goes (TLFS HvCallMapDeviceInterrupt,
// HvCallUnmapDeviceInterrupt, HvCallRetargetDeviceInterrupt).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/tlfs/partition.h"

namespace hv {

/// 63:62 of a device's id.
enum class DeviceType : std::uint8_t { kLogical = 0, kPci = 1, kIoApic = 2, kAcpi = 3 };
[[nodiscard]] constexpr DeviceType device_type(std::uint64_t device) {
  return static_cast<DeviceType>(device >> 62);
}

enum class InterruptSource : std::uint32_t {
  /// `data`: 31:0 the address that the device writes to, 63:32 what it writes.
  kMsi = 1,
  /// `data`: a redirection table entry.
  kIoApic = 2,
};

/// An interrupt as its device, or its IOAPIC, is programmed to signal it.
struct InterruptEntry {
  InterruptSource source{};
  std::uint32_t reserved = 0;
  std::uint64_t data = 0;
  /// The vector that it comes with.
  [[nodiscard]] constexpr std::uint8_t vector() const {
    return static_cast<std::uint8_t>(source == InterruptSource::kMsi ? data >> 32 : data);
  }
};
static_assert(sizeof(InterruptEntry) == 16);
static_assert(offsetof(InterruptEntry, data) == 8);

/// The end of an input. With kProcessorSet, `processors` is the format of a VP set, and its bank
/// mask and banks follow as the variable header; without, a bit for each VP of the first 64.
struct DeviceInterruptTarget {
  static constexpr std::uint32_t kMulticast = 1u << 0;
  static constexpr std::uint32_t kProcessorSet = 1u << 1;
  static constexpr std::uint32_t kProxyRedirect = 1u << 2;
  static constexpr std::uint32_t kMinVector = 0x10;
  static constexpr std::uint32_t kMaxVector = 0xFF;
  std::uint32_t vector = 0;
  std::uint32_t flags = 0;
  std::uint64_t processors = 0;
};
static_assert(sizeof(DeviceInterruptTarget) == 16);

struct RetargetDeviceInterruptInput {
  PartitionId partition{};
  std::uint64_t device = 0;
  InterruptEntry entry;
  std::uint64_t reserved = 0;
  DeviceInterruptTarget target;
};
static_assert(sizeof(RetargetDeviceInterruptInput) == 56);
static_assert(offsetof(RetargetDeviceInterruptInput, entry) == 16);
static_assert(offsetof(RetargetDeviceInterruptInput, target) == 40);

struct MapDeviceInterruptInput {
  static constexpr std::uint32_t kFixed = 0;
  static constexpr std::uint32_t kEdge = 0;
  static constexpr std::uint32_t kLevel = 1;
  /// As many messages as a device of PCI can be given (PCI 3.0 6.8.1).
  static constexpr std::uint32_t kMaxVectors = 32;
  PartitionId partition{};
  std::uint64_t device = 0;
  std::uint64_t flags = 0;
  /// Of an interrupt that is mapped for another partition; not used for one's own.
  InterruptEntry logical_entry;
  std::uint32_t interrupt_type = 0;
  std::uint32_t trigger_mode = 0;
  /// A power of two. The target's vector is the first one's.
  std::uint32_t vector_count = 0;
  std::uint32_t reserved = 0;
  DeviceInterruptTarget target;
};
static_assert(sizeof(MapDeviceInterruptInput) == 72);
static_assert(offsetof(MapDeviceInterruptInput, interrupt_type) == 40);
static_assert(offsetof(MapDeviceInterruptInput, target) == 56);

/// What the device, or its IOAPIC, has to be programmed with.
struct MapDeviceInterruptOutput {
  InterruptEntry entry;
  std::array<std::uint64_t, 5> reserved{};
};
static_assert(sizeof(MapDeviceInterruptOutput) == 56);

struct UnmapDeviceInterruptInput {
  PartitionId partition{};
  std::uint64_t device = 0;
  InterruptEntry entry;
};
static_assert(sizeof(UnmapDeviceInterruptInput) == 32);

}  // namespace hv
