// Where the interrupts of devices go: each is known by the vector that it comes with. All devices
// are the root's (TLFS HvCallMapDeviceInterrupt, HvCallRetargetDeviceInterrupt).
//
// What nobody has said anything of is for the root's first VP, with the vector it has, past the
// local APIC, as the legacy interrupt controller expects. What was mapped or retargeted is a fixed
// interrupt of the local APICs that were named.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "hv/apic/local_apic.h"
#include "hv/processor/physical_apic.h"
#include "hv/tlfs/partition.h"
#include "machine/shared.h"

namespace hv {

class Hypervisor;

struct DeviceInterruptRoute {
  /// A bit for each VP of the root; none: it goes where such interrupts always go.
  std::uint64_t processors = 0;
  std::uint8_t vector = 0;
  /// All of them get it, not the first that takes interrupts.
  bool multicast = false;
};

/// Whose interrupts are mapped: so many vectors in a row for one device, a power of two.
struct DeviceInterruptSource {
  std::uint64_t device = 0;
  Trigger trigger = Trigger::kEdge;
  std::uint8_t vector_count = 1;
};

/// Under the communication lock, but for any_held().
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
  [[nodiscard]] std::optional<std::uint64_t> device(std::uint8_t vector) const;
  [[nodiscard]] bool is_level(std::uint8_t vector) const;
  /// The vector is the first of those that were mapped at once for the device.
  [[nodiscard]] bool is_first_of(std::uint8_t vector, std::uint64_t device) const;

  void retarget(std::uint8_t vector, const DeviceInterruptRoute& route) {
    entries_[vector - kFirst].route = route;
  }
  /// The first of the vectors for a device's interrupts, which is a multiple of their count: from
  /// above, for the root places what it programs itself from below. The route is the first's; each
  /// after it goes to the vector after. Nothing when none are left, that is, were neither mapped
  /// nor retargeted.
  [[nodiscard]] std::optional<std::uint8_t> map(const DeviceInterruptSource& source,
                                                const DeviceInterruptRoute& route);
  /// All that were mapped with `first`. What of them is held ends.
  void unmap(std::uint8_t first);

  // --- Level-triggered interrupts, from when they come to their end ----------
  // In between they are in service at the local APIC of the processor that they came to: its EOI is
  // what lets an I/O APIC look at the line again, and is for when the root has served the device.

  [[nodiscard]] bool any_held() const { return held_count_.load() != 0; }
  [[nodiscard]] bool is_held(std::uint8_t vector) const {
    return entries_[vector - kFirst].held_by.has_value();
  }
  /// In service at a processor until it has ended at all these VPs, as the vector of its route.
  void hold(std::uint8_t vector, std::uint32_t lp, std::uint64_t vps);
  /// Asks of each VP that it has not ended at: ended_at(vp_index, vector).
  template <class EndedAt>
  void forget_ended(const EndedAt& ended_at) {
    for (Entry& entry : entries_) {
      std::uint64_t left = entry.held_by ? entry.awaited : 0;
      for (; left != 0; left &= left - 1) {
        const auto vp = static_cast<std::uint32_t>(std::countr_zero(left));
        if (ended_at(vp, entry.awaited_vector)) {
          entry.awaited &= ~(1ull << vp);
        }
      }
    }
  }
  /// Held by the processor, and at its end everywhere.
  [[nodiscard]] bool is_over(std::uint8_t vector, std::uint32_t lp) const;
  void release(std::uint8_t vector);
  /// A bit for each processor that holds something which is over.
  [[nodiscard]] std::uint64_t processors_with_ended() const;

 private:
  struct Entry {
    DeviceInterruptRoute route;
    std::optional<DeviceInterruptSource> source;
    /// Where those that were mapped at once begin.
    std::uint8_t first = 0;
    std::uint8_t awaited_vector = 0;
    std::optional<std::uint32_t> held_by;
    std::uint64_t awaited = 0;
  };
  [[nodiscard]] bool are_free(std::uint8_t first, std::uint8_t count) const;

  std::array<Entry, kEnd - kFirst> entries_{};
  machine::Shared<std::uint32_t> held_count_{0};
};

/// An interrupt of a device has come. Takes the communication lock.
void deliver_device_interrupt(Hypervisor& hypervisor, std::uint8_t vector);

/// Something that ends an interrupt at a VP of the root may have happened: ends what is over here,
/// and asks other processors to. Takes the communication lock. To be asked for while any_held().
void end_device_interrupts(Hypervisor& hypervisor);
/// What is over at the executing processor, in the order in which its local APIC ends interrupts:
/// from the highest down. Takes the communication lock.
void end_own_device_interrupts(Hypervisor& hypervisor);

}  // namespace hv
