#include "hv/msr/msr_exit.h"

#include <optional>

#include "hv/hypervisor.h"
#include "hv/intercept.h"
#include "hv/msr/msr_table.h"
#include "hv/vtx/event_injection.h"
#include "machine/x86.h"

namespace hv {
namespace {

constexpr std::uint64_t kLowHalf = 0xFFFF'FFFF;

bool parent_wants_msr(Partition& partition, std::uint32_t msr, InterceptAccess access) {
  const machine::LockGuard guard(partition.space_lock);
  return partition.intercepts.wants_msr(msr, access == InterceptAccess::kWrite);
}

/// What becomes of an MSR that nobody has: what the parent said of this one, or of all.
std::uint64_t unimplemented_action(const VirtualProcessor& vp,
                                   const std::optional<std::uint32_t>& answer) {
  return answer ? *answer : vp.partition.unimplemented_msr_action.load();
}

void inject_general_protection(VirtualProcessor& vp) {
  vp.pending_event = vtx::hardware_exception(machine::x86::kVectorGeneralProtection, 0);
}

/// An MSR that the hypervisor does not have, or that this guest may not access: the parent's, or
/// ignored, or #GP. True if the instruction is complete.
bool handle_refused(LogicalProcessor& processor, VirtualProcessor& vp, MsrFailure failure,
                    InterceptAccess access) {
  const auto msr = static_cast<std::uint32_t>(vp.context.registers().rcx);
  const std::optional<std::uint32_t> answer =
      vp.records.intercept_results.find_msr(msr, access == InterceptAccess::kWrite);
  if (!answer && parent_wants_msr(vp.partition, msr, access)) {
    intercept_msr(processor.hypervisor(), vp, access);
    return false;
  }
  if (failure == MsrFailure::kUnknown &&
      unimplemented_action(vp, answer) == kUnimplementedMsrIgnore) {
    return true;
  }
  inject_general_protection(vp);
  return false;
}

/// Whether the instruction is complete although it failed.
bool handle_failure(LogicalProcessor& processor, VirtualProcessor& vp, MsrFailure failure,
                    InterceptAccess access) {
  switch (failure) {
    case MsrFailure::kUnknown:
    case MsrFailure::kNoPrivilege:
      return handle_refused(processor, vp, failure, access);
    case MsrFailure::kFault:
      inject_general_protection(vp);
      return false;
    case MsrFailure::kAgain:
    case MsrFailure::kRestarted:
    case MsrFailure::kIntercepted:
      return false;
  }
  return false;
}

}  // namespace

void handle_rdmsr(LogicalProcessor& processor, VirtualProcessor& vp) {
  machine::GuestRegisters& registers = vp.context.registers();
  const auto msr = static_cast<std::uint32_t>(registers.rcx);
  const auto value = read_guest_msr({processor.hypervisor(), vp, msr});
  if (!value && !handle_failure(processor, vp, value.error(), InterceptAccess::kRead)) {
    return;
  }
  registers.rax = value.value_or(0) & kLowHalf;
  registers.rdx = value.value_or(0) >> 32;
  vtx::complete_instruction();
}

void handle_wrmsr(LogicalProcessor& processor, VirtualProcessor& vp) {
  const machine::GuestRegisters& registers = vp.context.registers();
  const auto msr = static_cast<std::uint32_t>(registers.rcx);
  const std::uint64_t value = (registers.rdx << 32) | (registers.rax & kLowHalf);
  const auto written = write_guest_msr({processor.hypervisor(), vp, msr}, value);
  if (!written && !handle_failure(processor, vp, written.error(), InterceptAccess::kWrite)) {
    return;
  }
  vtx::complete_instruction();
}

}  // namespace hv
