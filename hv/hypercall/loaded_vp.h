// Calls that look into a virtual processor: whom they are about, and having it loaded here.
#pragma once

#include <expected>

#include "hv/hypercall/call_targets.h"

namespace hv::calls {

/// kInvalidVpIndex if the partition has none of that index.
[[nodiscard]] std::expected<VirtualProcessor*, Status> find_vp(const Partition& partition,
                                                               VpIndex index);

/// The virtual processor of a register call, of a start call or a translation: of a child, or with
/// the privilege of the caller itself. Takes the management lock.
[[nodiscard]] std::expected<VirtualProcessor*, Status> find_owned_vp(const CallContext& context,
                                                                     PartitionId partition,
                                                                     VpIndex index,
                                                                     Privilege on_self);
/// A child's; the child is active. Takes the management lock.
[[nodiscard]] std::expected<VirtualProcessor*, Status> find_child_vp(const CallContext& context,
                                                                     PartitionId partition,
                                                                     VpIndex index);

/// Runs `action` on the virtual processor that `find` finds, loaded here: the caller's own, or
/// another that is stopped for it.
template <class Find, class Action>
CallOutcome with_loaded_vp(CallContext& context, Find find, Action action) {
  StopScope scope(context.hypervisor);
  if (!scope.begun()) {
    return CallOutcome::try_again();
  }
  const std::expected<VirtualProcessor*, Status> vp = find();
  if (!vp) {
    return fail(vp.error());
  }
  if (*vp == &context.vp) {
    return action(**vp);
  }
  scope.stop(**vp);
  CallOutcome outcome;
  context.processor.run_with_other_context([&] {
    (*vp)->context.load(context.processor.index());
    outcome = action(**vp);
    (*vp)->context.unload();
  });
  return outcome;
}

template <class Action>
CallOutcome with_loaded_vp(CallContext& context, PartitionId partition, VpIndex index,
                           Privilege on_self, Action action) {
  return with_loaded_vp(
      context, [&] { return find_owned_vp(context, partition, index, on_self); }, action);
}

}  // namespace hv::calls
