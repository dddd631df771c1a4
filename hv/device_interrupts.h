// Where the interrupts of devices go: each is known by the vector that it comes with. All devices
// are the root's (TLFS HvCallMapDeviceInterrupt, HvCallRetargetDeviceInterrupt).
//
// What nobody has said anything of is for the root's first VP, with the vector it has, past the
// local APIC, as the legacy interrupt controller expects. What was mapped or retargeted is a fixed
// interrupt of the local APICs that were named.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "hv/processor/physical_apic.h"
#include "hv/tlfs/partition.h"

namespace hv {

class Hypervisor;

struct DeviceInterruptRoute {
  /// A bit for each VP of the root; none: it goes where such interrupts always go.
  std::uint64_t processors = 0;
  std::uint8_t vector = 0;
  /// All of them get it, not the first that takes interrupts.
  bool multicast = false;
};

/// Under the communication lock.
class DeviceInterrupts {
 public:
  static constexpr std::uint8_t kFirst = physical_apic::kFirstInterruptVector;
  static constexpr std::uint8_t kEnd = physical_apic::kFirstHypervisorVector;

  /// Whether devices may signal with that vector: others are exceptions, or the hypervisor's.
  [[nodiscard]] static constexpr bool has(std::uint8_t vector) {
    return vector >= kFirst && vector < kEnd;
  }
  [[nodiscard]] const DeviceInterruptRoute& route(std::uint8_t vector) const {
    return entries_[vector - kFirst].route;
  }
  /// The device that the vector was mapped for.
  [[nodiscard]] std::optional<std::uint64_t> device(std::uint8_t vector) const {
    return entries_[vector - kFirst].device;
  }

  void retarget(std::uint8_t vector, const DeviceInterruptRoute& route) {
    entries_[vector - kFirst].route = route;
  }
  /// A vector for an interrupt of a device: from above, for the root places what it programs itself
  /// from below. Nothing when none is left, that is, was neither mapped nor retargeted.
  [[nodiscard]] std::optional<std::uint8_t> map(std::uint64_t device,
                                                const DeviceInterruptRoute& route);
  void unmap(std::uint8_t vector) { entries_[vector - kFirst] = {}; }

 private:
  struct Entry {
    DeviceInterruptRoute route;
    std::optional<std::uint64_t> device;
  };
  std::array<Entry, kEnd - kFirst> entries_{};
};

/// An interrupt of a device has come. Takes the communication lock.
void deliver_device_interrupt(Hypervisor& hypervisor, std::uint8_t vector);

}  // namespace hv
