// MSRs of the local APIC, the SynIC and the synthetic timers.
#include "hv/hypervisor.h"
#include "hv/msr/msr_handlers.h"
#include "hv/overlay_pages.h"
#include "hv/processor/apic_access.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/processor/lazy_end_of_interrupt.h"
#include "hv/tlfs/msr.h"
#include "machine/machine.h"
#include "machine/x86.h"

namespace hv::msr {
namespace {

namespace x86 = machine::x86;

WriteResult done_or_fault(bool done) { return done ? WriteResult() : fault(); }

ReadResult read_apic(const MsrAccess& access, std::uint32_t apic_register) {
  const std::optional<std::uint64_t> value = read_apic_register(access.vp, apic_register);
  return value ? ReadResult(*value) : ReadResult(fault());
}

WriteResult write_apic(const MsrAccess& access, std::uint32_t apic_register, std::uint64_t value) {
  const ApicWriter writer = access.as_register ? ApicWriter::kParent : ApicWriter::kGuest;
  switch (write_apic_register(access.hypervisor, access.vp, apic_register, value, writer)) {
    case ApicWriteResult::kDone:
      return {};
    case ApicWriteResult::kFault:
      return fault();
    case ApicWriteResult::kIntercepted:
      return std::unexpected(MsrFailure::kIntercepted);
  }
  return fault();
}

/// A parent's registers are there in every mode.
bool has_x2apic_msrs(const MsrAccess& access) {
  const machine::LockGuard guard(access.vp.lock);
  return access.as_register || access.vp.apic.mode() == ApicMode::kX2Apic;
}

Status show_synic_page(const MsrAccess& access, OverlayKind kind, OverlayPageRegister where,
                       machine::Spn page) {
  const machine::LockGuard guard(access.hypervisor.management_lock);
  return place_overlay(access.hypervisor, access.vp.partition, {kind, access.vp.index}, where, page,
                       GpaRights::all());
}

}  // namespace

WriteResult write_eoi(const MsrAccess& access, std::uint64_t value) {
  if ((value >> 32) != 0) {
    return fault();
  }
  return write_apic(access, x86::kX2ApicEoi, 0);
}

ReadResult read_icr(const MsrAccess& access) {
  const ReadResult value = read_apic(access, x86::kX2ApicIcr);
  return value ? ReadResult(xapic_icr_from_x2apic(*value)) : value;
}

WriteResult write_icr(const MsrAccess& access, std::uint64_t value) {
  return write_apic(access, x86::kX2ApicIcr, x2apic_icr_from_xapic(value));
}

ReadResult read_tpr(const MsrAccess& access) { return read_apic(access, x86::kX2ApicTpr); }
WriteResult write_tpr(const MsrAccess& access, std::uint64_t value) {
  return write_apic(access, x86::kX2ApicTpr, value);
}

ReadResult read_x2apic(const MsrAccess& access) {
  return has_x2apic_msrs(access) ? read_apic(access, access.msr) : fault();
}
WriteResult write_x2apic(const MsrAccess& access, std::uint64_t value) {
  return has_x2apic_msrs(access) ? write_apic(access, access.msr, value) : fault();
}

ReadResult read_tsc_deadline(const MsrAccess& access) {
  const machine::LockGuard guard(access.vp.lock);
  return access.vp.apic.tsc_deadline();
}

WriteResult write_tsc_deadline(const MsrAccess& access, std::uint64_t value) {
  const std::uint64_t now = machine::read_tsc();
  const machine::LockGuard guard(access.vp.lock);
  access.vp.apic.set_tsc_deadline(value, now);
  access.vp.changed = true;
  return {};
}

ReadResult read_apic_base(const MsrAccess& access) { return hv::read_apic_base(access.vp); }
WriteResult write_apic_base(const MsrAccess& access, std::uint64_t value) {
  return done_or_fault(hv::write_apic_base(access.vp, value));
}

ReadResult read_vp_assist(const MsrAccess& access) {
  const machine::LockGuard guard(access.vp.lock);
  return access.vp.vp_assist.value();
}

WriteResult write_vp_assist(const MsrAccess& access, std::uint64_t value) {
  const OverlayPageRegister wanted(value);
  const Status status =
      show_synic_page(access, OverlayKind::kVpAssist, wanted, access.vp.pages.assist);
  if (status != Status::kSuccess) {
    return fault();
  }
  const machine::LockGuard guard(access.vp.lock);
  withdraw_lazy_end(access.vp);
  access.vp.vp_assist = wanted;
  access.vp.changed = true;
  return {};
}

ReadResult read_synic(const MsrAccess& access) {
  const machine::LockGuard guard(access.vp.lock);
  return access.vp.synic.read(access.msr);
}

namespace {

/// Puts the page that a SynIC register places there; any other register asks for none.
Status place_synic_page(const MsrAccess& access, std::uint64_t value) {
  const VpPages& pages = access.vp.pages;
  const OverlayPageRegister where(value);
  switch (access.msr) {
    case kMsrSimp:
      return show_synic_page(access, OverlayKind::kMessagePage, where, pages.message);
    case kMsrSiefp:
      return show_synic_page(access, OverlayKind::kEventFlagsPage, where, pages.event_flags);
    case kMsrSirbp:
      // A child has the register, but nothing to show there.
      return access.vp.synic.has_event_rings()
                 ? show_synic_page(access, OverlayKind::kEventRingPage, where, pages.event_ring)
                 : Status::kSuccess;
    default:
      return Status::kSuccess;
  }
}

}  // namespace

/// The page first: without memory for its place nothing changes.
WriteResult write_synic(const MsrAccess& access, std::uint64_t value) {
  VirtualProcessor& vp = access.vp;
  if (place_synic_page(access, value) != Status::kSuccess) {
    return fault();
  }
  Synic::WriteEffect effect{};
  {
    const machine::LockGuard guard(vp.lock);
    effect = vp.synic.write(access.msr, value);
  }
  switch (effect) {
    case Synic::WriteEffect::kFault:
      return fault();
    case Synic::WriteEffect::kNone:
      return {};
    case Synic::WriteEffect::kEventRingPage:
      return {};
    case Synic::WriteEffect::kMessagePage:
    case Synic::WriteEffect::kEventFlagsPage:
    case Synic::WriteEffect::kDeliver:
      break;
  }
  const machine::LockGuard guard(vp.lock);
  deliver_messages(vp);
  vp.changed = true;
  return {};
}

ReadResult read_unhalted_timer(const MsrAccess& access) {
  const machine::LockGuard guard(access.vp.lock);
  return access.vp.records.unhalted_timer.read(access.msr);
}

WriteResult write_unhalted_timer(const MsrAccess& access, std::uint64_t value) {
  const std::uint64_t run_time = run_time_100ns(access.hypervisor, access.vp);
  const machine::LockGuard guard(access.vp.lock);
  if (!access.vp.records.unhalted_timer.write(access.msr, value, run_time)) {
    return fault();
  }
  access.vp.changed = true;
  return {};
}

ReadResult read_timer(const MsrAccess& access) {
  const machine::LockGuard guard(access.vp.lock);
  return access.vp.timers.read(access.msr);
}

WriteResult write_timer(const MsrAccess& access, std::uint64_t value) {
  const std::uint64_t now = machine::read_tsc();
  const machine::LockGuard guard(access.vp.lock);
  if (!access.vp.timers.write(access.msr, value, access.vp.partition.clock.time_at(now))) {
    return fault();
  }
  access.vp.changed = true;
  return {};
}

}  // namespace hv::msr
