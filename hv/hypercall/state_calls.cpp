// The state of a child's virtual processors, seen by their parent (TLFS HvCallMapVpStatePage,
// HvCallUnmapVpStatePage).
#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/loaded_vp.h"
#include "hv/processor/state_pages.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {
namespace {

/// Under the management lock.
std::expected<VirtualProcessor*, Status> find_target_vp(const CallContext& context, PartitionId id,
                                                        VpIndex index, bool legal) {
  const auto child = find_active_target(context, id, SelfAllowed::kNever);
  if (!child) {
    return std::unexpected(child.error());
  }
  if (!legal) {
    return std::unexpected(Status::kInvalidParameter);
  }
  return find_vp(**child, index);
}

}  // namespace

CallOutcome map_vp_state_page(CallContext& context) {
  const auto input = context.header<MapVpStatePageInput>();
  const bool legal =
      input.target_vtl == 0 && (input.flags & ~MapVpStatePageInput::kPlaceGiven) == 0;
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto vp = find_target_vp(context, input.partition, input.vp, legal);
  if (!vp) {
    return fail(vp.error());
  }
  std::optional<machine::Gpn> place;
  if ((input.flags & MapVpStatePageInput::kPlaceGiven) != 0) {
    place = input.place;
  }
  const auto seen = map_state_page(context.hypervisor, **vp, input.type, place);
  return fail(seen ? context.put_output(MapVpStatePageOutput{*seen}) : seen.error());
}

CallOutcome unmap_vp_state_page(CallContext& context) {
  const auto input = context.header<UnmapVpStatePageInput>();
  const bool legal = input.target_vtl == 0 && input.reserved == 0;
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto vp = find_target_vp(context, input.partition, input.vp, legal);
  return fail(vp ? unmap_state_page(context.hypervisor, **vp, input.type) : vp.error());
}

}  // namespace hv::calls
