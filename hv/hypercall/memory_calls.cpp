// Memory pools and GPA spaces (TLFS "Physical Hardware Management", "Guest Physical Address
// Spaces"). Every child's memory comes from the root, whose GPA space is the identity: there a page
// has the same number as in the system.
#include <array>
#include <span>

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {
namespace {

using machine::Gpn;
using machine::Spn;

constexpr machine::Site kDepositIsUnmapped{"hv.isolation.deposited_page_is_unmapped"};

constexpr std::uint32_t kKnownMapFlags =
    kMapRightsMask | kMapAdjustable | kMapNoAccess | kMapNoOverlay | kMapUncached | kMapLargePage;
constexpr std::uint32_t kKnownUnmapFlags = kUnmapKeepPrecommitted | kUnmapLargePage;

/// Lets go of what the space took out of use, once no processor has it any more.
void finish_changes(Hypervisor& hypervisor, Partition& partition) {
  {
    const machine::LockGuard guard(partition.space_lock);
    if (!partition.space->invalidation_needed()) {
      return;
    }
  }
  hypervisor.flush_translations(partition);
  const machine::LockGuard guard(partition.space_lock);
  partition.space->invalidation_done();
}

/// A page may become the hypervisor's if the caller has it as ordinary memory, and no child has it.
Status take_from_caller(Hypervisor& hypervisor, Partition& caller, Gpn gpn) {
  const machine::LockGuard guard(caller.space_lock);
  GpaSpace& space = *caller.space;
  if (!space.contains(gpn) || space.is_overlaid(gpn)) {
    return Status::kOperationDenied;
  }
  const std::optional<GpaMapping> mapping = space.lookup(gpn);
  if (!mapping || mapping->rights != GpaRights::all() ||
      mapping->caching != GpaCaching::kWriteBack) {
    return Status::kOperationDenied;
  }
  if (hypervisor.child_pages_mapped.any(mapping->page)) {
    return Status::kOperationDenied;
  }
  const Status status = space.unmap(gpn);
  machine::always(kDepositIsUnmapped, status != Status::kSuccess || !space.lookup(gpn).has_value(),
                  gpn.value());
  return status;
}

struct MapRequest {
  GpaRights rights;
  bool uncached = false;
  bool large = false;
};

std::expected<MapRequest, Status> decode_map_flags(std::uint32_t flags) {
  if ((flags & ~kKnownMapFlags) != 0) {
    return std::unexpected(Status::kInvalidParameter);
  }
  MapRequest request;
  std::uint8_t bits = 0;
  if ((flags & kMapNoAccess) == 0) {
    bits = static_cast<std::uint8_t>(((flags & kMapRead) != 0 ? GpaRights::kReadBit : 0) |
                                     ((flags & kMapWrite) != 0 ? GpaRights::kWriteBit : 0) |
                                     ((flags & kMapExecute) != 0 ? GpaRights::kExecuteBit : 0));
  }
  request.rights = GpaRights(bits);
  request.uncached = (flags & kMapUncached) != 0;
  request.large = (flags & kMapLargePage) != 0;
  const bool contradicts = (flags & kMapNoAccess) != 0 && (flags & kMapRightsMask) != 0;
  if (!request.rights.legal() || contradicts) {
    return std::unexpected(Status::kInvalidParameter);
  }
  return request;
}

/// What the caller has at a page, or at 512 pages that must lie in order.
std::expected<GpaMapping, Status> find_source(Partition& caller, Gpn gpn, bool large) {
  const machine::LockGuard guard(caller.space_lock);
  const std::uint64_t count = large ? GpaSpace::kPagesPerLargePage : 1;
  std::optional<GpaMapping> first;
  for (std::uint64_t index = 0; index < count; ++index) {
    const Gpn page = gpn + index;
    const std::optional<GpaMapping> mapping =
        caller.space->contains(page) ? caller.space->lookup_beneath_overlays(page) : std::nullopt;
    if (!mapping) {
      return std::unexpected(Status::kOperationDenied);
    }
    if (!first) {
      first = mapping;
    } else if (mapping->page != first->page + index) {
      return std::unexpected(Status::kInvalidParameter);
    }
  }
  return *first;
}

Status map_one(Partition& caller, Partition& target, Gpn target_gpn, Gpn source_gpn,
               const MapRequest& request) {
  const auto source = find_source(caller, source_gpn, request.large);
  if (!source) {
    return source.error();
  }
  GpaMapping mapping = *source;
  mapping.rights = request.rights;
  if (request.uncached) {
    mapping.caching = GpaCaching::kUncached;
  }
  const machine::LockGuard guard(target.space_lock);
  return request.large ? target.space->map_large(target_gpn, mapping)
                       : target.space->map(target_gpn, mapping);
}

}  // namespace

CallOutcome deposit_memory(CallContext& context, std::uint32_t first, std::uint32_t count) {
  const auto input = context.header<DepositMemoryInput>();
  std::array<Gpn, kElementsAtOnce> pages;
  if (!context.fetch_elements(first, std::span(pages).first(count))) {
    return CallOutcome::try_again();
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_target(context, input.partition, SelfAllowed::kRootOnly);
  if (!target) {
    return fail(target.error());
  }
  if ((*target)->state != PartitionState::kActive &&
      (*target)->state != PartitionState::kUninitialized) {
    return fail(Status::kInvalidPartitionState);
  }
  CallOutcome outcome;
  while (outcome.completed < count && outcome.status == Status::kSuccess) {
    outcome.status = take_from_caller(context.hypervisor, context.caller, pages[outcome.completed]);
    outcome.completed += outcome.status == Status::kSuccess ? 1 : 0;
  }
  // Not before every processor has dropped them do the pages hold anything of the hypervisor's.
  finish_changes(context.hypervisor, context.caller);
  for (std::uint32_t index = 0; index < outcome.completed; ++index) {
    (*target)->pool.deposit(Spn(pages[index].value()));
  }
  return outcome;
}

CallOutcome withdraw_memory(CallContext& context, std::uint32_t first, std::uint32_t count) {
  const auto input = context.header<MemoryPoolInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_target(context, input.partition, SelfAllowed::kRootOnly);
  if (!target) {
    return fail(target.error());
  }
  CallOutcome outcome;
  std::array<Gpn, kElementsAtOnce> pages;
  while (outcome.completed < count) {
    const std::optional<Spn> page = (*target)->pool.withdraw();
    if (!page) {
      outcome.status = Status::kNoResources;
      break;
    }
    const Gpn gpn(page->value());
    const machine::LockGuard space_guard(context.caller.space_lock);
    outcome.status = context.caller.space->map(gpn, GpaMapping{*page, GpaRights::all()});
    if (outcome.status != Status::kSuccess) {
      (*target)->pool.deposit(*page);
      break;
    }
    pages[outcome.completed++] = gpn;
  }
  const Status written =
      context.put_elements(first, std::span<const Gpn>(std::span(pages).first(outcome.completed)));
  if (written != Status::kSuccess) {
    outcome.status = written;
  }
  return outcome;
}

CallOutcome get_memory_balance(CallContext& context) {
  const auto input = context.header<MemoryPoolInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_target(context, input.partition, SelfAllowed::kRootOnly);
  if (!target) {
    return fail(target.error());
  }
  const PagePool& pool = (*target)->pool;
  return fail(context.put_output(GetMemoryBalanceOutput{pool.available(), pool.in_use()}));
}

CallOutcome map_gpa_pages(CallContext& context, std::uint32_t first, std::uint32_t count) {
  const auto input = context.header<MapGpaPagesInput>();
  const auto request = decode_map_flags(input.flags);
  if (!request || input.reserved != 0) {
    return fail(Status::kInvalidParameter);
  }
  std::array<Gpn, kElementsAtOnce> sources;
  if (!context.fetch_elements(first, std::span(sources).first(count))) {
    return CallOutcome::try_again();
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_active_target(context, input.target, SelfAllowed::kNever);
  if (!target) {
    return fail(target.error());
  }
  const std::uint64_t step = request->large ? GpaSpace::kPagesPerLargePage : 1;
  CallOutcome outcome;
  while (outcome.completed < count && outcome.status == Status::kSuccess) {
    const Gpn target_gpn = input.target_gpn + (first + outcome.completed) * step;
    outcome.status =
        map_one(context.caller, **target, target_gpn, sources[outcome.completed], *request);
    outcome.completed += outcome.status == Status::kSuccess ? 1 : 0;
  }
  finish_changes(context.hypervisor, **target);
  return outcome;
}

CallOutcome unmap_gpa_pages(CallContext& context, std::uint32_t first, std::uint32_t count) {
  const auto input = context.header<UnmapGpaPagesInput>();
  if ((input.flags & ~kKnownUnmapFlags) != 0 || input.reserved != 0) {
    return fail(Status::kInvalidParameter);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_active_target(context, input.target, SelfAllowed::kNever);
  if (!target) {
    return fail(target.error());
  }
  const bool large = (input.flags & kUnmapLargePage) != 0;
  const std::uint64_t step = large ? GpaSpace::kPagesPerLargePage : 1;
  CallOutcome outcome;
  {
    const machine::LockGuard space_guard((*target)->space_lock);
    GpaSpace& space = *(*target)->space;
    while (outcome.completed < count && outcome.status == Status::kSuccess) {
      const Gpn gpn = input.target_gpn + (first + outcome.completed) * step;
      outcome.status = large ? space.unmap_large(gpn) : space.unmap(gpn);
      outcome.completed += outcome.status == Status::kSuccess ? 1 : 0;
    }
  }
  finish_changes(context.hypervisor, **target);
  return outcome;
}

}  // namespace hv::calls
