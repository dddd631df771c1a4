// Statistics pages (TLFS HvCallMapStatsPage, HvCallUnmapStatsPage, HvCallMapStatsPage2).
#include "hv/statistics/statistics_pages.h"

#include <optional>

#include "hv/hypercall/call_arithmetic.h"
#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {
namespace {

/// What a call is about, checked.
struct Named {
  StatisticsObject object;
  StatisticsView view{};
};

/// Nothing for an area that does not exist.
std::optional<StatisticsView> view_of(StatisticsArea area) {
  switch (area) {
    case StatisticsArea::kSelf:
      return StatisticsView::kSelfArea;
    case StatisticsArea::kParent:
      return StatisticsView::kParentArea;
    case StatisticsArea::kInternal:
      return StatisticsView::kInternalArea;
  }
  return std::nullopt;  // a guest chose the number
}

bool reserved_are_zero(const StatisticsPageInput& input) {
  const StatisticsIdentity& identity = input.identity;
  const bool has_vp = input.type == StatisticsObjectType::kVp;
  const bool has_owner = input.type != StatisticsObjectType::kHypervisor;
  return input.reserved == 0 && identity.flags == 0 && identity.reserved == 0 &&
         (has_vp || identity.vp == VpIndex{0}) &&
         (has_owner || identity.partition_or_processor == 0) && view_of(identity.area);
}

/// A partition may see what it has itself, its parent's area apart, and what its children have.
std::expected<Partition*, Status> find_owner(const CallContext& context,
                                             const StatisticsIdentity& identity) {
  const PartitionId id{identity.partition_or_processor};
  Partition* const owner =
      id == kPartitionIdSelf ? &context.caller : context.hypervisor.find_partition(id);
  if (owner == nullptr) {
    return std::unexpected(Status::kInvalidPartitionId);
  }
  const bool own = owner == &context.caller && identity.area != StatisticsArea::kParent;
  if (!own && owner->parent != &context.caller) {
    return std::unexpected(Status::kAccessDenied);
  }
  if (owner->state != PartitionState::kActive) {
    return std::unexpected(Status::kInvalidPartitionState);
  }
  return owner;
}

/// Under the management lock.
std::expected<Named, Status> find_object(const CallContext& context,
                                         const StatisticsPageInput& input) {
  const StatisticsIdentity& identity = input.identity;
  Named named{{input.type, {}, 0}, view_of(identity.area).value_or(StatisticsView::kSelfArea)};
  switch (input.type) {
    case StatisticsObjectType::kHypervisor:
    case StatisticsObjectType::kLogicalProcessor:
      if (!context.caller.is_root()) {
        return std::unexpected(Status::kAccessDenied);
      }
      if (!reserved_are_zero(input) ||
          identity.partition_or_processor >= context.hypervisor.processor_count()) {
        return std::unexpected(Status::kInvalidParameter);
      }
      named.object.index = static_cast<std::uint32_t>(identity.partition_or_processor);
      return named;
    case StatisticsObjectType::kPartition:
    case StatisticsObjectType::kVp:
      break;
    default:  // a guest chose the number
      return std::unexpected(Status::kInvalidParameter);
  }
  const auto owner = find_owner(context, identity);
  if (!owner) {
    return std::unexpected(owner.error());
  }
  if (!reserved_are_zero(input)) {
    return std::unexpected(Status::kInvalidParameter);
  }
  if (input.type == StatisticsObjectType::kVp && (*owner)->vp(identity.vp) == nullptr) {
    return std::unexpected(Status::kInvalidVpIndex);
  }
  named.object.partition = (*owner)->id;
  named.object.index = static_cast<std::uint32_t>(identity.vp);
  return named;
}

std::expected<machine::Gpn, Status> map(CallContext& context, const StatisticsPageInput& input,
                                        std::optional<machine::Gpn> place) {
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto named = find_object(context, input);
  if (!named) {
    return std::unexpected(named.error());
  }
  return map_statistics(context.hypervisor, context.caller, named->object, named->view, place);
}

}  // namespace

/// The root does not say where, and is answered; others say where, and are not. The call's
/// description has no answer therefore, and registers no place for one.
CallOutcome map_stats_page(CallContext& context) {
  const auto input = context.header<MapStatsPageInput>();
  if (!context.caller.is_root()) {
    const auto place = map(context, input.page, input.place);
    return fail(place ? Status::kSuccess : place.error());
  }
  if (context.call.fast) {
    return fail(Status::kInvalidHypercallInput);
  }
  if (!call_arithmetic::block_is_placed_well(context.output_gpa.value(),
                                             std::uint64_t{sizeof(MapStatsPageOutput)}) ||
      !context.caller.is_writable(context.output_gpa)) {
    return fail(Status::kInvalidAlignment);
  }
  const auto place = map(context, input.page, std::nullopt);
  if (!place) {
    return fail(place.error());
  }
  const MapStatsPageOutput output{*place};
  return fail(context.caller.write_memory(context.output_gpa, std::as_bytes(std::span(&output, 1)))
                  ? Status::kSuccess
                  : Status::kInvalidAlignment);
}

CallOutcome map_stats_page2(CallContext& context) {
  const auto input = context.header<MapStatsPageInput>();
  const auto place = map(context, input.page, input.place);
  return fail(place ? Status::kSuccess : place.error());
}

CallOutcome unmap_stats_page(CallContext& context) {
  const auto input = context.header<StatisticsPageInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto named = find_object(context, input);
  if (!named) {
    return fail(named.error());
  }
  return fail(unmap_statistics(context.hypervisor, context.caller, named->object, named->view));
}

}  // namespace hv::calls
