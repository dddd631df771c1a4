#include "hv/hypercall/loaded_vp.h"

namespace hv::calls {

std::expected<VirtualProcessor*, Status> find_vp(const Partition& partition, VpIndex index) {
  VirtualProcessor* vp = partition.vp(index);
  if (vp == nullptr) {
    return std::unexpected(Status::kInvalidVpIndex);
  }
  return vp;
}

std::expected<VirtualProcessor*, Status> find_owned_vp(const CallContext& context,
                                                       PartitionId partition, VpIndex index,
                                                       Privilege on_self) {
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto owner = find_owner(context, partition, on_self);
  if (!owner) {
    return std::unexpected(owner.error());
  }
  if (index == kVpIndexSelf && *owner == &context.caller) {
    return &context.vp;
  }
  return find_vp(**owner, index);
}

std::expected<VirtualProcessor*, Status> find_child_vp(const CallContext& context,
                                                       PartitionId partition, VpIndex index) {
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto child = find_active_target(context, partition, SelfAllowed::kNever);
  if (!child) {
    return std::unexpected(child.error());
  }
  return find_vp(**child, index);
}

}  // namespace hv::calls
