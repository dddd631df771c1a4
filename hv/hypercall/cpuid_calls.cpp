// What a child's processors answer to CPUID, for its parent (TLFS HvCallGetVpCpuidValues).
#include <array>
#include <span>

#include "hv/cpuid/cpuid_subject.h"
#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {
namespace {

/// Takes the management lock.
std::expected<CpuidSubject, Status> find_subject(const CallContext& context, PartitionId id,
                                                 VpIndex index) {
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_active_target(context, id, SelfAllowed::kNever);
  if (!target) {
    return std::unexpected(target.error());
  }
  VirtualProcessor* const vp = (*target)->vp(index);
  if (vp == nullptr) {
    return std::unexpected(Status::kInvalidVpIndex);
  }
  CpuidSubject subject = cpuid_subject(context.processor, **target);
  const machine::LockGuard vp_guard(vp->lock);
  subject.apic_id = vp->apic.id();
  return subject;
}

}  // namespace

CallOutcome get_vp_cpuid_values(CallContext& context, std::uint32_t first, std::uint32_t count) {
  const auto input = context.header<GetVpCpuidValuesInput>();
  if ((input.flags & ~GetVpCpuidValuesInput::kKnownFlags) != 0 || input.reserved != 0) {
    return fail(Status::kInvalidParameter);
  }
  const auto subject = find_subject(context, input.partition, input.vp);
  if (!subject) {
    return fail(subject.error());
  }
  std::array<CpuidLeaf, kElementsAtOnce> leaves;
  if (!context.fetch_elements(first, std::span(leaves).first(count))) {
    return CallOutcome::try_again();
  }
  std::array<CpuidValues, kElementsAtOnce> values;
  for (std::uint32_t index = 0; index < count; ++index) {
    const machine::CpuidResult answer =
        answer_cpuid(*subject, leaves[index].leaf, leaves[index].subleaf);
    values[index] = {answer.eax, answer.ebx, answer.ecx, answer.edx};
  }
  const Status written =
      context.put_elements(first, std::span<const CpuidValues>(std::span(values).first(count)));
  return {.status = written, .completed = written == Status::kSuccess ? count : 0};
}

}  // namespace hv::calls
