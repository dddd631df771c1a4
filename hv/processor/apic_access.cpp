#include "hv/processor/apic_access.h"

#include "hv/hypervisor.h"
#include "hv/intercept.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/processor/lazy_end_of_interrupt.h"
#include "hv/processor/memory_access.h"
#include "hv/vtx/guest_context.h"
#include "machine/machine.h"
#include "machine/x86.h"

namespace hv {
namespace {

namespace x86 = machine::x86;
using Kind = ApicWriteOutcome::Kind;

constexpr std::uint32_t kPageEoi = 0xB0;

/// A startup IPI of a guest whose parent wants to start processors itself (TLFS intercept type
/// X64ApicInitSipi): the parent is told instead. One that nobody gets, nobody hears of.
bool intercepts_startup(Hypervisor& hypervisor, VirtualProcessor& vp,
                        const ApicWriteOutcome& outcome, std::uint32_t instruction_length) {
  if (outcome.kind != Kind::kSendInterrupt ||
      outcome.command.delivery != InterruptDelivery::kStartup ||
      !vp.partition.intercepts_all(InterceptType::kX64ApicInitSipi)) {
    return false;
  }
  const std::optional<VpIndex> target = only_destination(hypervisor, vp, outcome.command);
  if (!target) {
    return false;
  }
  intercept_startup(hypervisor, vp, {*target, outcome.command.vector, instruction_length});
  return true;
}

/// Outside of the VP's lock: commands go to others.
void carry_out(Hypervisor& hypervisor, VirtualProcessor& vp, const ApicWriteOutcome& outcome) {
  switch (outcome.kind) {
    case Kind::kFault:
      return;
    case Kind::kSendInterrupt:
      send_interrupt(hypervisor, vp, outcome.command);
      return;
    case Kind::kEndOfInterrupt:
      if (outcome.level_vector) {
        report_end_of_interrupt(hypervisor, vp, *outcome.level_vector);
      }
      if (vp.partition.is_root() && hypervisor.device_interrupts.any_held()) {
        end_device_interrupts(hypervisor);
      }
      break;
    case Kind::kDone:
    case Kind::kTimerChanged:
      break;
  }
  vp.changed = true;
}

/// Under the VP's lock: `write` is given the APIC.
template <class Write>
ApicWriteOutcome write_under_lock(VirtualProcessor& vp, bool is_end_of_interrupt, Write write) {
  const std::uint64_t now = machine::read_tsc();
  const machine::LockGuard guard(vp.lock);
  if (is_end_of_interrupt) {
    withdraw_lazy_end(vp);  // the guest makes no use of the offer
  } else {
    settle_lazy_end(vp);
  }
  const ApicWriteOutcome outcome = write(vp.apic, now);
  if (outcome.kind == Kind::kEndOfInterrupt) {
    deliver_messages(vp);
  }
  return outcome;
}

bool is_at_page(const VirtualProcessor& vp, machine::Gpa gpa, const vtx::EptViolation& violation) {
  return gpa.page() == machine::Gpa(LocalApic::kPageAddress).page() && !violation.mapped &&
         !violation.fetch && vp.apic.mode() == ApicMode::kXapic;
}

void load(VirtualProcessor& vp, const MemoryInstruction& instruction, std::uint32_t offset) {
  const std::uint64_t now = machine::read_tsc();
  std::uint64_t value = 0;
  {
    const machine::LockGuard guard(vp.lock);
    settle_lazy_end(vp);
    value = vp.apic.read_page(offset, instruction.size_bytes, now);
  }
  vp.changed = true;  // an access to no register is an error, which can be an interrupt
  const std::uint64_t before = vp.context.general_register(instruction.register_number);
  vp.context.set_general_register(instruction.register_number,
                                  loaded_register(instruction, before, value));
}

/// False: the parent completes the instruction.
bool store(LogicalProcessor& processor, VirtualProcessor& vp, const MemoryInstruction& instruction,
           std::uint32_t offset) {
  const std::uint64_t value =
      stored_value(instruction, vp.context.general_register(instruction.register_number));
  const ApicWriteOutcome outcome =
      write_under_lock(vp, offset == kPageEoi, [&](LocalApic& apic, std::uint64_t now) {
        return apic.write_page(offset, instruction.size_bytes, value, now);
      });
  if (intercepts_startup(processor.hypervisor(), vp, outcome, instruction.length)) {
    return false;
  }
  carry_out(processor.hypervisor(), vp, outcome);
  return true;
}

}  // namespace

std::optional<std::uint64_t> read_apic_register(VirtualProcessor& vp, std::uint32_t msr) {
  const std::uint64_t now = machine::read_tsc();
  const machine::LockGuard guard(vp.lock);
  settle_lazy_end(vp);
  return vp.apic.read(msr, now);
}

ApicWriteResult write_apic_register(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint32_t msr,
                                    std::uint64_t value, ApicWriter writer) {
  const ApicWriteOutcome outcome = write_under_lock(
      vp, msr == x86::kX2ApicEoi,
      [&](LocalApic& apic, std::uint64_t now) { return apic.write(msr, value, now); });
  if (writer == ApicWriter::kGuest &&
      intercepts_startup(hypervisor, vp, outcome, vtx::exit_instruction_length())) {
    return ApicWriteResult::kIntercepted;
  }
  carry_out(hypervisor, vp, outcome);
  return outcome.kind != Kind::kFault ? ApicWriteResult::kDone : ApicWriteResult::kFault;
}

std::uint64_t read_apic_base(VirtualProcessor& vp) {
  const machine::LockGuard guard(vp.lock);
  const ApicMode mode = vp.apic.mode();
  return LocalApic::kPageAddress | (vp.index == VpIndex{0} ? x86::kApicBaseBsp : 0) |
         (mode != ApicMode::kDisabled ? x86::kApicBaseEnable : 0) |
         (mode == ApicMode::kX2Apic ? x86::kApicBaseX2ApicEnable : 0);
}

bool write_apic_base(VirtualProcessor& vp, std::uint64_t value) {
  constexpr std::uint64_t kModeBits = x86::kApicBaseEnable | x86::kApicBaseX2ApicEnable;
  const std::uint64_t before = read_apic_base(vp);
  const bool enables = (value & x86::kApicBaseEnable) != 0;
  const bool as_x2apic = (value & x86::kApicBaseX2ApicEnable) != 0;
  if (((value ^ before) & ~kModeBits) != 0 || (as_x2apic && !enables) ||
      (as_x2apic && !may_use_x2apic(vp.partition))) {
    return false;
  }
  const machine::LockGuard guard(vp.lock);
  withdraw_lazy_end(vp);
  vp.changed = true;
  return vp.apic.set_mode(!enables    ? ApicMode::kDisabled
                          : as_x2apic ? ApicMode::kX2Apic
                                      : ApicMode::kXapic);
}

bool emulate_apic_page(LogicalProcessor& processor, VirtualProcessor& vp, machine::Gpa gpa,
                       const vtx::EptViolation& violation) {
  if (!is_at_page(vp, gpa, violation)) {
    return false;
  }
  const RefusedAccess access = decode_refused_access(vp, gpa, violation);
  if (access.kind != RefusedAccess::Kind::kDecoded) {
    return access.kind == RefusedAccess::Kind::kChanged;
  }
  const MemoryInstruction& instruction = access.instruction;
  const auto offset = static_cast<std::uint32_t>(gpa.offset_in_page());
  bool complete = true;
  if (instruction.writes) {
    complete = store(processor, vp, instruction, offset);
  } else {
    load(vp, instruction, offset);
  }
  if (complete) {
    vtx::complete_instruction(instruction.length);
  }
  return true;
}

}  // namespace hv
