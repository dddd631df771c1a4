#include "hv/device_interrupts.h"

#include "hv/hypercall/vp_set.h"
#include "hv/hypervisor.h"
#include "hv/processor/interrupt_delivery.h"

namespace hv {
namespace {

void deliver_past_apic(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint8_t vector) {
  {
    const machine::LockGuard guard(vp.lock);
    vp.external_vectors[vector / 64] |= 1ull << (vector % 64);
  }
  hypervisor.notify(vp);
}

bool takes_interrupts(VirtualProcessor& vp) {
  const machine::LockGuard guard(vp.lock);
  return vp.apic.enabled();
}

/// Under the communication lock.
void end_here(DeviceInterrupts& interrupts) {
  const std::uint32_t here = this_processor().index();
  for (;;) {
    const std::optional<std::uint8_t> vector = physical_apic::highest_in_service();
    if (!vector || !interrupts.is_over(*vector, here)) {
      return;
    }
    interrupts.release(*vector);
    physical_apic::end_of_interrupt();
  }
}

}  // namespace

std::optional<std::uint64_t> DeviceInterrupts::device(std::uint8_t vector) const {
  const Entry& entry = entries_[vector - kFirst];
  return entry.source ? std::optional(entry.source->device) : std::nullopt;
}

bool DeviceInterrupts::is_level(std::uint8_t vector) const {
  const Entry& entry = entries_[vector - kFirst];
  return entry.source && entry.source->trigger == Trigger::kLevel;
}

bool DeviceInterrupts::is_first_of(std::uint8_t vector, std::uint64_t device) const {
  const Entry& entry = entries_[vector - kFirst];
  return entry.source && entry.source->device == device && entry.first == vector;
}

bool DeviceInterrupts::are_free(std::uint8_t first, std::uint8_t count) const {
  for (std::uint32_t vector = first; vector < std::uint32_t{first} + count; ++vector) {
    const Entry& entry = entries_[vector - kFirst];
    if (entry.source || entry.route.processors != 0 || entry.held_by) {
      return false;
    }
  }
  return true;
}

std::optional<std::uint8_t> DeviceInterrupts::map(const DeviceInterruptSource& source,
                                                  const DeviceInterruptRoute& route) {
  const std::uint8_t count = source.vector_count;
  INVARIANT(std::has_single_bit(count) && kFirst % count == 0 && kEnd % count == 0);
  for (std::uint32_t end = kEnd; end > kFirst; end -= count) {
    const auto first = static_cast<std::uint8_t>(end - count);
    if (!are_free(first, count)) {
      continue;
    }
    for (std::uint8_t number = 0; number < count; ++number) {
      Entry& entry = entries_[first - kFirst + number];
      entry = Entry{};
      entry.route = route;
      entry.source = source;
      entry.first = first;
      entry.route.vector = static_cast<std::uint8_t>(route.vector + number);
    }
    return first;
  }
  return std::nullopt;
}

void DeviceInterrupts::unmap(std::uint8_t first) {
  const std::uint8_t count = entries_[first - kFirst].source->vector_count;
  for (std::uint8_t number = 0; number < count; ++number) {
    Entry& entry = entries_[first - kFirst + number];
    const std::optional<std::uint32_t> held_by = entry.held_by;
    entry = Entry{};
    entry.held_by = held_by;
  }
}

void DeviceInterrupts::hold(std::uint8_t vector, std::uint32_t lp, std::uint64_t vps) {
  Entry& entry = entries_[vector - kFirst];
  INVARIANT(!entry.held_by);
  entry.held_by = lp;
  entry.awaited = vps;
  entry.awaited_vector = entry.route.vector;
  held_count_.fetch_add(1);
}

bool DeviceInterrupts::is_over(std::uint8_t vector, std::uint32_t lp) const {
  const Entry& entry = entries_[vector - kFirst];
  return entry.held_by == lp && entry.awaited == 0;
}

void DeviceInterrupts::release(std::uint8_t vector) {
  entries_[vector - kFirst].held_by.reset();
  held_count_.fetch_add(~0u);
}

std::uint64_t DeviceInterrupts::processors_with_ended() const {
  std::uint64_t processors = 0;
  for (const Entry& entry : entries_) {
    if (entry.held_by && entry.awaited == 0) {
      processors |= 1ull << *entry.held_by;
    }
  }
  return processors;
}

void deliver_device_interrupt(Hypervisor& hypervisor, std::uint8_t vector) {
  const machine::LockGuard guard(hypervisor.communication_lock);
  Partition& root = hypervisor.root();
  DeviceInterrupts& interrupts = hypervisor.device_interrupts;
  // What the legacy controller signals is never in service here.
  const bool through_apic = !interrupts.is_held(vector) && physical_apic::in_service(vector);
  const bool level = through_apic && interrupts.is_level(vector);
  if (through_apic && !level) {
    physical_apic::end_of_interrupt();
  }
  const DeviceInterruptRoute& route = interrupts.route(vector);
  if (route.processors == 0) {
    if (VirtualProcessor* const first = root.vp(VpIndex{0})) {
      deliver_past_apic(hypervisor, *first, vector);
    }
    return;
  }
  std::uint64_t taken = 0;
  calls::for_each_bit(route.processors, [&](std::uint32_t index) {
    VirtualProcessor* const vp = root.vp(VpIndex{index});
    if (vp != nullptr && (route.multicast || taken == 0) && takes_interrupts(*vp)) {
      request_interrupt(hypervisor, *vp, route.vector, level ? Trigger::kLevel : Trigger::kEdge);
      taken |= 1ull << index;
    }
  });
  if (level) {
    // Nobody took it: it comes again, but not before a look at what has ended.
    interrupts.hold(vector, this_processor().index(), taken);
  }
}

void end_own_device_interrupts(Hypervisor& hypervisor) {
  const machine::LockGuard guard(hypervisor.communication_lock);
  end_here(hypervisor.device_interrupts);
}

// Whatever ended it, an EOI or an INIT, it is neither requested nor in service at the VP any more.
void end_device_interrupts(Hypervisor& hypervisor) {
  const machine::LockGuard guard(hypervisor.communication_lock);
  DeviceInterrupts& interrupts = hypervisor.device_interrupts;
  interrupts.forget_ended([&](std::uint32_t index, std::uint8_t vector) {
    VirtualProcessor* const vp = hypervisor.root().vp(VpIndex{index});
    if (vp == nullptr) {
      return true;
    }
    const machine::LockGuard vp_guard(vp->lock);
    return !vp->apic.has_to_do(vector);
  });
  end_here(interrupts);
  const std::uint64_t others =
      interrupts.processors_with_ended() & ~(1ull << this_processor().index());
  calls::for_each_bit(others, [&](std::uint32_t lp) { hypervisor.processor(lp).interrupt(); });
}

}  // namespace hv
