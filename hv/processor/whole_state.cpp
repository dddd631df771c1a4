#include "hv/processor/whole_state.h"

#include <array>
#include <span>

#include "hv/partition.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/processor/lazy_end_of_interrupt.h"
#include "hv/virtual_processor.h"
#include "machine/invariant.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"

namespace hv {
namespace {

using machine::Spa;

void copy_page(Spa to, Spa from) {
  std::array<std::byte, 256> chunk;
  for (std::uint64_t offset = 0; offset < machine::kPageSize; offset += chunk.size()) {
    machine::read_memory(from + offset, chunk);
    machine::write_memory(to + offset, chunk);
  }
}

/// Vectors of SINTs that leave service by themselves. Under the VP's lock.
VectorSet auto_eoi_vectors(const VirtualProcessor& vp) {
  VectorSet vectors;
  for (std::uint32_t index = 0; index < kSintCount; ++index) {
    const SintRegister sint = vp.synic.sint(index);
    if (sint.auto_eoi() && !sint.masked()) {
      vectors.add(sint.vector());
    }
  }
  return vectors;
}

void save_apic(VirtualProcessor& vp, Spa page) {
  LocalApicState state;
  const std::uint64_t now = machine::read_tsc();
  {
    const machine::LockGuard guard(vp.lock);
    // What the guest or its timer ended before this moment has ended.
    withdraw_lazy_end(vp);
    (void)vp.apic.expire_timer(now);
    vp.apic.save(state, now);
  }
  machine::fill_memory(page, machine::kPageSize, 0);
  machine::write_memory(page, std::as_bytes(std::span(&state, 1)));
}

bool restore_apic(VirtualProcessor& vp, Spa page) {
  LocalApicState state;
  machine::read_memory(page, std::as_writable_bytes(std::span(&state, 1)));
  const std::uint64_t now = machine::read_tsc();
  const machine::LockGuard guard(vp.lock);
  withdraw_lazy_end(vp);
  return vp.apic.restore(state, auto_eoi_vectors(vp), now);
}

/// The page of the SynIC that a type names.
Spa synic_page(const VirtualProcessor& vp, VpStateType type) {
  return Spa(type == VpStateType::kMessagePage ? vp.synic.message_page()
                                               : vp.synic.event_flags_page());
}

bool is_synic_page(VpStateType type) {
  return type == VpStateType::kMessagePage || type == VpStateType::kEventFlagsPage;
}

}  // namespace

void save_to_page(VirtualProcessor& vp, const PageState& state, Spa page) {
  if (state.type == VpStateType::kLocalApic) {
    save_apic(vp, page);
  } else if (state.type == VpStateType::kXsave) {
    machine::fill_memory(page, machine::kPageSize, 0);
    vp.extended.copy_out(page, state.states);
  } else {
    INVARIANT(is_synic_page(state.type));
    const machine::LockGuard guard(vp.lock);
    copy_page(page, synic_page(vp, state.type));
  }
}

bool restore_from_page(VirtualProcessor& vp, const PageState& state, Spa page) {
  vp.changed = true;
  if (state.type == VpStateType::kLocalApic) {
    return restore_apic(vp, page);
  }
  if (state.type == VpStateType::kXsave) {
    return vp.extended.copy_in(page, state.states);
  }
  INVARIANT(is_synic_page(state.type));
  const machine::LockGuard guard(vp.lock);
  copy_page(synic_page(vp, state.type), page);
  // A slot may have become free for what waits.
  deliver_messages(vp);
  return true;
}

void save_timers(VirtualProcessor& vp, SyntheticTimersState& state) {
  const machine::LockGuard guard(vp.lock);
  vp.timers.save(state);
}

bool restore_timers(VirtualProcessor& vp, const SyntheticTimersState& state) {
  const std::uint64_t now = machine::read_tsc();
  const machine::LockGuard guard(vp.lock);
  if (!SyntheticTimers::is_restorable(state)) {
    return false;
  }
  vp.synic.drop(vp.timers.message_owner());
  INVARIANT(vp.timers.restore(state, vp.partition.clock.time_at(now)));
  vp.changed = true;
  return true;
}

}  // namespace hv
