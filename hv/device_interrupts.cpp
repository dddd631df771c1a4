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

}  // namespace

std::optional<std::uint8_t> DeviceInterrupts::map(std::uint64_t device,
                                                  const DeviceInterruptRoute& route) {
  for (std::uint8_t vector = kEnd; vector-- > kFirst;) {
    Entry& entry = entries_[vector - kFirst];
    if (!entry.device && entry.route.processors == 0) {
      entry = {route, device};
      return vector;
    }
  }
  return std::nullopt;
}

void deliver_device_interrupt(Hypervisor& hypervisor, std::uint8_t vector) {
  const machine::LockGuard guard(hypervisor.communication_lock);
  Partition& root = hypervisor.root();
  const DeviceInterruptRoute& route = hypervisor.device_interrupts.route(vector);
  if (hypervisor.device_interrupts.device(vector) && physical_apic::in_service(vector)) {
    // It came through the local APIC, and not from the legacy controller.
    physical_apic::end_of_interrupt();
  }
  if (route.processors == 0) {
    if (VirtualProcessor* const first = root.vp(VpIndex{0})) {
      deliver_past_apic(hypervisor, *first, vector);
    }
    return;
  }
  bool taken = false;
  calls::for_each_bit(route.processors, [&](std::uint32_t index) {
    VirtualProcessor* const vp = root.vp(VpIndex{index});
    if (vp != nullptr && (route.multicast || !taken) && takes_interrupts(*vp)) {
      request_interrupt(hypervisor, *vp, route.vector);
      taken = true;
    }
  });
}

}  // namespace hv
