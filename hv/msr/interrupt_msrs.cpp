// MSRs of the local APIC, the SynIC and the synthetic timers.
#include "hv/hypervisor.h"
#include "hv/intercept.h"
#include "hv/msr/msr_handlers.h"
#include "hv/overlay_pages.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/tlfs/msr.h"
#include "machine/machine.h"
#include "machine/x86.h"

namespace hv::msr {
namespace {

namespace x86 = machine::x86;

constexpr std::uint64_t kApicBaseAddress = 0xFEE0'0000;

/// Carries out what a write to the local APIC asked for.
WriteResult finish_apic_write(const MsrAccess& access, const ApicWriteOutcome& outcome) {
  switch (outcome.kind) {
    case ApicWriteOutcome::Kind::kFault:
      return fault();
    case ApicWriteOutcome::Kind::kSendInterrupt:
      send_interrupt(access.hypervisor, access.vp, outcome.command);
      return {};
    case ApicWriteOutcome::Kind::kEndOfInterrupt:
      if (outcome.level_vector) {
        report_end_of_interrupt(access.hypervisor, access.vp, *outcome.level_vector);
      }
      break;
    case ApicWriteOutcome::Kind::kDone:
    case ApicWriteOutcome::Kind::kTimerChanged:
      break;
  }
  access.vp.changed = true;
  return {};
}

WriteResult write_apic(const MsrAccess& access, std::uint32_t apic_register, std::uint64_t value) {
  const std::uint64_t now = machine::read_tsc();
  ApicWriteOutcome outcome;
  {
    const machine::LockGuard guard(access.vp.lock);
    outcome = access.vp.apic.write(apic_register, value, now);
    if (outcome.kind == ApicWriteOutcome::Kind::kEndOfInterrupt) {
      deliver_messages(access.vp);
    }
  }
  return finish_apic_write(access, outcome);
}

ReadResult read_apic(const MsrAccess& access, std::uint32_t apic_register) {
  const std::uint64_t now = machine::read_tsc();
  const machine::LockGuard guard(access.vp.lock);
  const std::optional<std::uint64_t> value = access.vp.apic.read(apic_register, now);
  if (!value) {
    return fault();
  }
  return *value;
}

Status show_synic_page(const MsrAccess& access, OverlayKind kind, OverlayPageRegister where,
                       machine::Spn page) {
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

ReadResult read_x2apic(const MsrAccess& access) { return read_apic(access, access.msr); }
WriteResult write_x2apic(const MsrAccess& access, std::uint64_t value) {
  return write_apic(access, access.msr, value);
}

ReadResult read_tsc_deadline(const MsrAccess& access) {
  const machine::LockGuard guard(access.vp.lock);
  return access.vp.apic.tsc_deadline();
}

WriteResult write_tsc_deadline(const MsrAccess& access, std::uint64_t value) {
  const machine::LockGuard guard(access.vp.lock);
  access.vp.apic.set_tsc_deadline(value);
  access.vp.changed = true;
  return {};
}

ReadResult read_apic_base(const MsrAccess& access) {
  const bool first = access.vp.index == VpIndex{0};
  return kApicBaseAddress | x86::kApicBaseEnable | x86::kApicBaseX2ApicEnable |
         (first ? x86::kApicBaseBsp : 0);
}

/// The local APIC is always in x2APIC mode: only what it already is may be written.
WriteResult write_apic_base(const MsrAccess& access, std::uint64_t value) {
  return *read_apic_base(access) == value ? WriteResult() : fault();
}

ReadResult read_vp_assist(const MsrAccess& access) {
  const machine::LockGuard guard(access.vp.lock);
  return access.vp.vp_assist.value();
}

WriteResult write_vp_assist(const MsrAccess& access, std::uint64_t value) {
  const OverlayPageRegister wanted(value);
  const Status status =
      show_synic_page(access, OverlayKind::kVpAssist, wanted, access.vp.pages.assist);
  if (status == Status::kInsufficientMemory) {
    return fault();
  }
  const machine::LockGuard guard(access.vp.lock);
  access.vp.vp_assist = wanted;
  return {};
}

ReadResult read_synic(const MsrAccess& access) {
  const machine::LockGuard guard(access.vp.lock);
  return access.vp.synic.read(access.msr);
}

/// A place outside of the GPA space leaves the page out of the guest's reach, nothing more (TLFS
/// "SIMP Register").
WriteResult write_synic(const MsrAccess& access, std::uint64_t value) {
  VirtualProcessor& vp = access.vp;
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
      // A child has the register, but nothing to show there.
      if (vp.synic.has_event_rings()) {
        (void)show_synic_page(access, OverlayKind::kEventRingPage, OverlayPageRegister(value),
                              vp.pages.event_ring);
      }
      return {};
    case Synic::WriteEffect::kMessagePage:
      (void)show_synic_page(access, OverlayKind::kMessagePage, OverlayPageRegister(value),
                            vp.pages.message);
      break;
    case Synic::WriteEffect::kEventFlagsPage:
      (void)show_synic_page(access, OverlayKind::kEventFlagsPage, OverlayPageRegister(value),
                            vp.pages.event_flags);
      break;
    case Synic::WriteEffect::kDeliver:
      break;
  }
  const machine::LockGuard guard(vp.lock);
  deliver_messages(vp);
  vp.changed = true;
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
