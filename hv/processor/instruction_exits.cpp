#include "hv/processor/instruction_exits.h"

#include "hv/cpuid/cpuid_subject.h"
#include "hv/hypervisor.h"
#include "hv/intercept.h"
#include "hv/processor/apic_access.h"
#include "hv/processor/doorbells.h"
#include "hv/processor/string_io.h"
#include "hv/vtx/event_injection.h"
#include "hv/vtx/guest_context.h"
#include "machine/machine.h"
#include "machine/vmx_architecture.h"
#include "machine/x86.h"

namespace hv {
namespace {

namespace x86 = machine::x86;

constexpr std::uint64_t kLmswBits = 0xF;
constexpr std::uint64_t kLmswCannotClear = 1;
constexpr std::uint64_t kTaskSwitched = 1u << 3;
constexpr std::uint64_t kCr8Max = 15;

void inject_general_protection(VirtualProcessor& vp) {
  vp.pending_event = vtx::hardware_exception(x86::kVectorGeneralProtection, 0);
}

/// IN fills AL, AX, or EAX, which clears the upper half of RAX.
std::uint64_t merge_input(std::uint64_t rax, std::uint32_t value, std::uint8_t size_bytes) {
  switch (size_bytes) {
    case 1:
      return (rax & ~0xFFull) | (value & 0xFF);
    case 2:
      return (rax & ~0xFFFFull) | (value & 0xFFFF);
    default:
      return value;
  }
}

bool write_control_register(const vtx::Capabilities& capabilities, VirtualProcessor& vp,
                            std::uint8_t number, std::uint64_t value) {
  switch (number) {
    case 0:
      return vtx::write_cr0(capabilities, value);
    case 4:
      return vtx::write_cr4(capabilities, value);
    case 8: {
      if (value > kCr8Max) {
        return false;
      }
      const machine::LockGuard guard(vp.lock);
      vp.apic.set_cr8(static_cast<std::uint8_t>(value));
      vp.changed = true;
      return true;
    }
    default:
      return false;
  }
}

std::uint64_t read_control_register(VirtualProcessor& vp, std::uint8_t number) {
  INVARIANT(number == 8);  // no other exits
  const machine::LockGuard guard(vp.lock);
  return vp.apic.cr8();
}

bool parent_wants_port(Partition& partition, const vtx::IoExit& access) {
  const machine::LockGuard guard(partition.space_lock);
  return partition.intercepts.wants_port(access.port, access.size_bytes);
}

bool parent_wants_cpuid(Partition& partition, std::uint32_t leaf) {
  const machine::LockGuard guard(partition.space_lock);
  return partition.intercepts.wants_cpuid(leaf);
}

/// What leaf 1 shows of the VP's own: CR4.OSXSAVE and the mode of its local APIC.
std::uint32_t state_shown(const VirtualProcessor& vp) {
  return static_cast<std::uint32_t>(vp.apic.mode()) |
         static_cast<std::uint32_t>(vtx::xsave_enabled() ? x86::kCr4Osxsave : 0);
}

void complete_cpuid(VirtualProcessor& vp, const machine::CpuidResult& result) {
  machine::GuestRegisters& registers = vp.context.registers();
  registers.rax = result.eax;
  registers.rbx = result.ebx;
  registers.rcx = result.ecx;
  registers.rdx = result.edx;
  vtx::complete_instruction();
}

/// Apart from the short way, so that it costs that one no registers. `generation` was read before.
[[gnu::noinline]] void make_cpuid_answer(LogicalProcessor& processor, VirtualProcessor& vp,
                                         CpuidAnswers::Question question,
                                         std::uint64_t generation) {
  const std::uint32_t leaf = question.leaf();
  const std::uint32_t subleaf = question.subleaf();
  CpuidSubject subject = cpuid_subject(processor, vp, leaf);
  subject.os_xsave = vtx::xsave_enabled();
  machine::CpuidResult result = answer_cpuid(subject, leaf, subleaf);
  const CpuidResultParameters* const answer = vp.records.intercept_results.find_leaf(leaf, subleaf);
  const bool wanted = parent_wants_cpuid(vp.partition, leaf);
  if (answer != nullptr && (wanted || answer->always_override != 0)) {
    result = apply(*answer, result);
  } else if (wanted) {
    intercept_cpuid(processor.hypervisor(), vp, result);
    return;
  }
  if (CpuidAnswers::may_keep(leaf)) {
    vp.records.cpuid_answers.keep(question, generation, result);
  }
  complete_cpuid(vp, result);
}

/// Whether the partition's mapping allows what the processor refused. The processor may have used a
/// table that was just taken out of use: then the access is simply tried again.
bool allows(const std::optional<GpaMapping>& mapping, const vtx::EptViolation& violation) {
  return mapping && (!violation.read || mapping->rights.can_read()) &&
         (!violation.write || mapping->rights.can_write()) &&
         (!violation.fetch || mapping->rights.can_execute());
}

/// The power management timer that the parent left to the hypervisor: only IN, at that port alone,
/// whoever else wants the port (TLFS "Emulated Timer Assist").
bool answer_pm_timer(VirtualProcessor& vp, const vtx::IoExit& access) {
  const PmTimerAssist assist(vp.partition.pm_timer_assist.load());
  if (!access.in || access.string || !assist.answers(access.port)) {
    return false;
  }
  const std::uint64_t now = machine::read_tsc();
  machine::GuestRegisters& registers = vp.context.registers();
  registers.rax = merge_input(registers.rax, assist.counter_at(vp.partition.clock.time_at(now)),
                              access.size_bytes);
  vtx::complete_instruction();
  return true;
}

}  // namespace

void refuse_overlay_access(VirtualProcessor& vp, OverlayKind kind) {
  if (kind == OverlayKind::kHypercall) {
    inject_general_protection(vp);
  } else {
    vp.pending_event = vtx::hardware_exception(x86::kVectorMachineCheck);
  }
}

void handle_hlt(VirtualProcessor& vp) {
  vtx::complete_instruction();
  vp.halts = true;
  vp.changed = true;
}

void handle_io(LogicalProcessor& processor, VirtualProcessor& vp) {
  const vtx::IoExit access = vtx::decode_io(vtx::exit_qualification());
  if (answer_pm_timer(vp, access)) {
    return;
  }
  if (parent_wants_port(vp.partition, access)) {
    intercept_io(processor.hypervisor(), vp, access);
    return;
  }
  if (access.string) {
    complete_string_io(processor, vp, access);
    return;
  }
  if (access.in) {
    machine::GuestRegisters& registers = vp.context.registers();
    registers.rax = merge_input(registers.rax, ~0u, access.size_bytes);
  }
  vtx::complete_instruction();
}

void handle_control_register(LogicalProcessor& processor, VirtualProcessor& vp) {
  const vtx::ControlRegisterExit exit = vtx::decode_control_register(vtx::exit_qualification());
  bool legal = true;
  switch (exit.access) {
    case vtx::ControlRegisterAccess::kMoveTo:
      legal = write_control_register(processor.capabilities(), vp, exit.control_register,
                                     vp.context.general_register(exit.general_register));
      break;
    case vtx::ControlRegisterAccess::kMoveFrom:
      vp.context.set_general_register(exit.general_register,
                                      read_control_register(vp, exit.control_register));
      break;
    case vtx::ControlRegisterAccess::kClts:
      legal = vtx::write_cr0(processor.capabilities(), vtx::read_cr0() & ~kTaskSwitched);
      break;
    case vtx::ControlRegisterAccess::kLmsw: {
      // LMSW can set PE but not clear it.
      const std::uint64_t old = vtx::read_cr0();
      legal = vtx::write_cr0(processor.capabilities(), (old & (~kLmswBits | kLmswCannotClear)) |
                                                           (exit.lmsw_source & kLmswBits));
      break;
    }
  }
  if (legal) {
    vtx::complete_instruction();
  } else {
    inject_general_protection(vp);
  }
}

/// XCR0 is the only one of its kind (SDM vol. 2 XSETBV); the privilege level the processor checks.
void handle_xsetbv(LogicalProcessor& processor, VirtualProcessor& vp) {
  const machine::GuestRegisters& registers = vp.context.registers();
  const std::uint64_t value = (registers.rdx << 32) | (registers.rax & 0xFFFF'FFFF);
  const std::uint64_t offered =
      offered_components(processor.capabilities().extended_components, vp.partition);
  if (static_cast<std::uint32_t>(registers.rcx) == 0 && vp.extended.write_xcr0(offered, value)) {
    vtx::complete_instruction();
  } else {
    inject_general_protection(vp);
  }
}

void handle_cpuid(LogicalProcessor& processor, VirtualProcessor& vp) {
  const machine::GuestRegisters& registers = vp.context.registers();
  const auto leaf = static_cast<std::uint32_t>(registers.rax);
  const auto subleaf = static_cast<std::uint32_t>(registers.rcx);
  const std::uint32_t state = leaf == kCpuidProcessorFeatures ? state_shown(vp) : 0;
  const CpuidAnswers::Question question(leaf, subleaf, state);
  const std::uint64_t generation = vp.partition.cpuid_generation.load();
  if (const machine::CpuidResult* const kept = vp.records.cpuid_answers.find(question, generation))
      [[likely]] {
    complete_cpuid(vp, *kept);
  } else {
    make_cpuid_answer(processor, vp, question, generation);
  }
}

void handle_ept_violation(LogicalProcessor& processor, VirtualProcessor& vp) {
  const vtx::EptViolation violation = vtx::decode_ept_violation(vtx::exit_qualification());
  const machine::Gpa gpa(vtx::exit_guest_physical_address());
  Partition& partition = vp.partition;
  std::optional<OverlayKind> overlay;
  {
    const machine::LockGuard guard(partition.space_lock);
    const bool inside = partition.space->contains(gpa.page());
    if (inside && allows(partition.space->lookup(gpa.page()), violation)) {
      return;
    }
    overlay = inside ? partition.space->overlay_at(gpa.page()) : std::nullopt;
  }
  if (overlay) {
    refuse_overlay_access(vp, *overlay);
    return;
  }
  if (!emulate_apic_page(processor, vp, gpa, violation) &&
      !emulate_doorbell(processor.hypervisor(), vp, gpa, violation)) {
    intercept_memory(processor.hypervisor(), vp, gpa.value(), violation);
  }
}

}  // namespace hv
