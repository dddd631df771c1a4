#include "hv/hypercall/call_targets.h"

namespace hv::calls {

std::expected<Partition*, Status> find_target(const CallContext& context, PartitionId id,
                                              SelfAllowed self) {
  Partition* found =
      id == kPartitionIdSelf ? &context.caller : context.hypervisor.find_partition(id);
  if (found == nullptr) {
    return std::unexpected(Status::kInvalidPartitionId);
  }
  const bool self_is_fine =
      found == &context.caller &&
      (self == SelfAllowed::kAnybody || (self == SelfAllowed::kRootOnly && found->is_root()));
  if (found->parent != &context.caller && !self_is_fine) {
    return std::unexpected(Status::kAccessDenied);
  }
  return found;
}

std::expected<Partition*, Status> find_active_target(const CallContext& context, PartitionId id,
                                                     SelfAllowed self) {
  const auto found = find_target(context, id, self);
  if (found && (*found)->state != PartitionState::kActive) {
    return std::unexpected(Status::kInvalidPartitionState);
  }
  return found;
}

CallOutcome refuse(const CallContext& context, PartitionId id, Status status) {
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_target(context, id, SelfAllowed::kRootOnly);
  return fail(target ? status : target.error());
}

std::expected<Partition*, Status> find_owner(const CallContext& context, PartitionId id,
                                             Privilege on_self) {
  Partition* found =
      id == kPartitionIdSelf ? &context.caller : context.hypervisor.find_partition(id);
  if (found == nullptr) {
    return std::unexpected(Status::kInvalidPartitionId);
  }
  const bool itself = found == &context.caller && found->privileges.has(on_self);
  if (found->parent != &context.caller && !itself) {
    return std::unexpected(Status::kAccessDenied);
  }
  if (found->state != PartitionState::kActive) {
    return std::unexpected(Status::kInvalidPartitionState);
  }
  return found;
}

bool is_legal(const ProximityDomainInfo& proximity) {
  const std::uint32_t known = ProximityDomainInfo::kPreferred | ProximityDomainInfo::kValid;
  const bool valid = (proximity.flags & ProximityDomainInfo::kValid) != 0;
  return (proximity.flags & ~known) == 0 && (!valid || proximity.id == 0);
}

}  // namespace hv::calls
