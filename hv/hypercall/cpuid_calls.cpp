// What a child's processors answer to CPUID, for its parent (TLFS HvCallGetVpCpuidValues).
#include <array>
#include <span>

#include "hv/cpuid/cpuid_subject.h"
#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {
namespace {

using Leaves = std::span<const CpuidLeaf>;
using Values = std::span<CpuidValues>;

/// Under the VP's lock.
CpuidValues value_of(const VirtualProcessor& vp, const CpuidSubject& subject, const CpuidLeaf& leaf,
                     bool with_registered) {
  machine::CpuidResult answer = answer_cpuid(subject, leaf.leaf, leaf.subleaf);
  const CpuidResultParameters* const registered =
      with_registered ? vp.records.intercept_results.find_leaf(leaf.leaf, leaf.subleaf) : nullptr;
  if (registered != nullptr) {
    answer = apply(*registered, answer);
  }
  return {answer.eax, answer.ebx, answer.ecx, answer.edx};
}

/// Takes the management lock.
Status answer_all(const CallContext& context, const GetVpCpuidValuesInput& input, Leaves leaves,
                  Values values) {
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_active_target(context, input.partition, SelfAllowed::kNever);
  if (!target) {
    return target.error();
  }
  VirtualProcessor* const vp = (*target)->vp(input.vp);
  if (vp == nullptr) {
    return Status::kInvalidVpIndex;
  }
  CpuidSubject subject = cpuid_subject(context.processor, **target);
  const bool with_registered = (input.flags & GetVpCpuidValuesInput::kApplyRegistered) != 0;
  const machine::LockGuard vp_guard(vp->lock);
  subject.apic_id = vp->apic.id();
  for (std::size_t index = 0; index < leaves.size(); ++index) {
    values[index] = value_of(*vp, subject, leaves[index], with_registered);
  }
  return Status::kSuccess;
}

}  // namespace

CallOutcome get_vp_cpuid_values(CallContext& context, std::uint32_t first, std::uint32_t count) {
  const auto input = context.header<GetVpCpuidValuesInput>();
  if ((input.flags & ~GetVpCpuidValuesInput::kKnownFlags) != 0 || input.reserved != 0) {
    return fail(Status::kInvalidParameter);
  }
  std::array<CpuidLeaf, kElementsAtOnce> leaves;
  const std::span<CpuidLeaf> asked = std::span(leaves).first(count);
  if (!context.fetch_elements(first, asked)) {
    return CallOutcome::try_again();
  }
  std::array<CpuidValues, kElementsAtOnce> values;
  const std::span<CpuidValues> answers = std::span(values).first(count);
  if (const Status status = answer_all(context, input, asked, answers);
      status != Status::kSuccess) {
    return fail(status);
  }
  const Status written = context.put_elements(first, std::span<const CpuidValues>(answers));
  return {.status = written, .completed = written == Status::kSuccess ? count : 0};
}

}  // namespace hv::calls
