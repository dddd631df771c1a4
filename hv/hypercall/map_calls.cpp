// GPA spaces: what is mapped where, with which rights, and what was accessed (TLFS "Guest Physical
// Address Spaces"). Every child's memory comes from the root, whose GPA space is the identity:
// there a page has the same number as in the system.
#include <algorithm>
#include <array>
#include <span>

#include "hv/gpa_changes.h"
#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/hypercall/map_flags.h"
#include "hv/memory/gpa_range.h"
#include "hv/statistics/statistics_pages.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {
namespace {

using machine::Gpn;

constexpr std::uint32_t kKnownUnmapFlags = kUnmapKeepPrecommitted | kUnmapLargePage;
/// Pages of 4 KiB that are mapped between two looks at the time.
constexpr std::uint32_t kPagesAtOnce = 128;
/// Pages whose notes are answered between two invalidations.
constexpr std::uint32_t kNotesAtOnce = 512;

constexpr std::uint64_t pages_each(bool large) { return large ? GpaSpace::kPagesPerLargePage : 1; }

/// One repetition: what is to appear where.
struct MapElement {
  Gpn target;
  Gpn source;
  /// The target is a page of the space, as far as that follows from where the list begins.
  bool inside = true;
};

/// What the caller has at a page, or at 512 pages that must be as one: in order, and cached alike.
/// Under the caller's space lock.
std::expected<GpaMapping, Status> find_source(const GpaSpace& space, Gpn gpn, bool large) {
  if (!large) {
    const auto mapping = space.contains(gpn) ? space.lookup_beneath_overlays(gpn) : std::nullopt;
    return mapping ? std::expected<GpaMapping, Status>(*mapping)
                   : std::unexpected(Status::kOperationDenied);
  }
  if (!gpa_range::is_aligned(gpn.value(), GpaSpace::kPagesPerLargePage)) {
    return std::unexpected(Status::kInvalidParameter);
  }
  if (const auto whole = space.lookup_large(gpn)) {
    return *whole;
  }
  const auto first = find_source(space, gpn, false);
  for (std::uint64_t index = 1; first && index < GpaSpace::kPagesPerLargePage; ++index) {
    const auto next = find_source(space, gpn + index, false);
    if (!next) {
      return next;
    }
    if (next->page != first->page + index || next->caching != first->caching) {
      return std::unexpected(Status::kInvalidParameter);
    }
  }
  return first;
}

/// The mapping that a request makes of a source, or of a page that all share.
GpaMapping make_mapping(const Hypervisor& hypervisor, const MapRequest& request,
                        const GpaMapping& source) {
  GpaMapping mapping;
  mapping.page = request.backing == MapBacking::kZeros  ? hypervisor.zero_page()
                 : request.backing == MapBacking::kOnes ? hypervisor.ones_page()
                                                        : source.page;
  mapping.read_only = request.backing != MapBacking::kSource;
  mapping.rights = request.rights;
  mapping.caching = request.uncached ? GpaCaching::kUncached : source.caching;
  mapping.no_overlay = request.no_overlay;
  mapping.notes = request.notes.set;
  return mapping;
}

using Elements = std::span<const MapElement>;

/// Maps elements in order, until one fails.
CallOutcome map_into_child(Hypervisor& hypervisor, Partition& caller, Partition& target,
                           Elements elements, const MapRequest& request) {
  std::array<std::expected<GpaMapping, Status>, kElementsAtOnce> sources;
  if (request.backing == MapBacking::kSource) {
    const machine::LockGuard guard(caller.space_lock);
    for (std::size_t index = 0; index < elements.size(); ++index) {
      sources[index] = find_source(*caller.space, elements[index].source, request.large);
    }
  }
  const machine::LockGuard guard(target.space_lock);
  GpaSpace& space = *target.space;
  CallOutcome outcome;
  for (std::size_t index = 0; index < elements.size(); ++index) {
    const MapElement& element = elements[index];
    if (!element.inside) {
      outcome.status = Status::kInvalidParameter;
      break;
    }
    if (!sources[index]) {
      outcome.status = sources[index].error();
      break;
    }
    const GpaMapping mapping = make_mapping(hypervisor, request, *sources[index]);
    outcome.status = request.large ? space.map_large(element.target, mapping)
                                   : space.map(element.target, mapping);
    if (outcome.status != Status::kSuccess) {
      break;
    }
    ++outcome.completed;
  }
  return outcome;
}

Status change_rights(GpaSpace& space, Gpn gpn, const MapRequest& request) {
  return request.large ? space.change_rights_large(gpn, request.rights, request.notes)
                       : space.change_rights(gpn, request.rights, request.notes);
}

/// On itself the root changes rights, and names each page as its own source.
CallOutcome map_onto_self(Partition& root, Elements elements, const MapRequest& request) {
  if (!request.only_changes_rights()) {
    return fail(Status::kInvalidParameter);
  }
  const machine::LockGuard guard(root.space_lock);
  CallOutcome outcome;
  for (const MapElement& element : elements) {
    outcome.status = !element.inside ? Status::kInvalidParameter
                     : element.source != element.target
                         ? Status::kAccessDenied
                         : change_rights(*root.space, element.target, request);
    if (outcome.status == Status::kOperationDenied) {
      outcome.status = Status::kAccessDenied;  // the hypervisor's, or nobody's
    }
    if (outcome.status != Status::kSuccess) {
      break;
    }
    ++outcome.completed;
  }
  return outcome;
}

/// `fill` writes the elements, once the target is known.
template <class Fill>
CallOutcome map_elements(CallContext& context, PartitionId id, const MapRequest& request,
                         std::uint32_t count, Fill fill) {
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_active_target(context, id, SelfAllowed::kRootOnly);
  if (!target) {
    return fail(target.error());
  }
  std::array<MapElement, kElementsAtOnce> elements;
  fill(std::span(elements).first(count), (*target)->space->page_count());
  const Elements list = std::span(elements).first(count);
  const CallOutcome outcome =
      *target == &context.caller
          ? map_onto_self(context.caller, list, request)
          : map_into_child(context.hypervisor, context.caller, **target, list, request);
  finish_space_changes(context.hypervisor, **target);
  publish_statistics(context.hypervisor, **target);
  return outcome;
}

// --- Pages of 4 KiB one behind the other ---------------------------------------------------------

/// How many pages from `first` on lie one behind the other in the same 2 MiB; at least one.
std::size_t run_length(std::span<const Gpn> pages) {
  const std::uint64_t first = pages.front().value();
  const std::uint64_t most = GpaSpace::kPagesPerLargePage - first % GpaSpace::kPagesPerLargePage;
  std::size_t length = 1;
  while (length < pages.size() && length < most && pages.data()[length].value() == first + length) {
    ++length;
  }
  return length;
}

/// What is to be mapped for each source, up to the first that the caller does not have. Takes the
/// caller's space lock. The answer is how many there are.
std::size_t make_leaves(Partition& caller, EptEntry pattern, std::span<const Gpn> sources,
                        std::span<EptEntry> leaves) {
  {
    const machine::LockGuard guard(caller.space_lock);
    for (std::size_t done = 0; done < sources.size();) {
      const std::size_t length = run_length(sources.subspan(done));
      caller.space->read_leaves(sources[done], leaves.subspan(done, length));
      done += length;
    }
  }
  std::size_t count = 0;
  for (EptEntry& leaf : leaves) {
    if (!leaf.mapped()) {
      break;
    }
    leaf = pattern.of_page(leaf);
    ++count;
  }
  return count;
}

/// Maps pages from `first` on, which the space contains, until one fails. Takes the space lock.
GpaSpace::RunOutcome map_leaves(Partition& target, Gpn first, std::span<EptEntry> leaves) {
  const machine::LockGuard guard(target.space_lock);
  GpaSpace::RunOutcome outcome;
  while (outcome.completed < leaves.size() && outcome.status == Status::kSuccess) {
    const Gpn gpn = first + outcome.completed;
    const std::uint64_t in_frame =
        GpaSpace::kPagesPerLargePage - gpn.value() % GpaSpace::kPagesPerLargePage;
    const std::size_t left = leaves.size() - outcome.completed;
    const auto run = target.space->map_leaves(
        gpn, leaves.subspan(outcome.completed, left < in_frame ? left : in_frame));
    outcome.completed += run.completed;
    outcome.status = run.status;
  }
  return outcome;
}

/// Elements [first, first + sources.size()) of a call for pages of 4 KiB.
CallOutcome map_small_pages(CallContext& context, Partition& target, const MapRequest& request,
                            std::uint32_t first, std::span<const Gpn> sources) {
  const auto input = context.header<MapGpaPagesInput>();
  const std::uint64_t base = input.target_gpn.value();
  const std::uint64_t page_count = target.space->page_count();
  const std::uint64_t one = 1;
  // Where one element is beyond the space, so are all that follow.
  std::size_t inside = sources.size();
  while (inside > 0 &&
         !gpa_range::contains_element(base, std::uint64_t{first} + inside - 1, one, page_count)) {
    --inside;
  }
  std::array<EptEntry, kPagesAtOnce> entries;
  const std::span<EptEntry> leaves = std::span(entries).first(inside);
  const EptEntry pattern =
      EptEntry::leaf(make_mapping(context.hypervisor, request, GpaMapping{}), false);
  std::size_t ready = inside;
  if (request.backing == MapBacking::kSource) {
    ready = make_leaves(context.caller, pattern, sources.first(inside), leaves);
  } else {
    std::ranges::fill(leaves, pattern);
  }
  const auto mapped = map_leaves(
      target, Gpn(gpa_range::element_page(base, std::uint64_t{first}, one)), leaves.first(ready));
  CallOutcome outcome;
  outcome.completed = static_cast<std::uint32_t>(mapped.completed);
  outcome.status = mapped.status;
  if (mapped.status == Status::kSuccess && mapped.completed < sources.size()) {
    outcome.status = ready < inside ? Status::kOperationDenied : Status::kInvalidParameter;
  }
  return outcome;
}

/// The call for pages of 4 KiB: more of them than a handler gets at once, so that what each costs
/// is little beside what they share.
CallOutcome map_many(CallContext& context, const MapRequest& request, std::uint32_t first,
                     std::span<const Gpn> sources) {
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_active_target(context, context.header<MapGpaPagesInput>().target,
                                         SelfAllowed::kRootOnly);
  if (!target) {
    return fail(target.error());
  }
  const CallOutcome outcome = map_small_pages(context, **target, request, first, sources);
  finish_space_changes(context.hypervisor, **target);
  publish_statistics(context.hypervisor, **target);
  return outcome;
}

}  // namespace

CallOutcome map_gpa_pages(CallContext& context, std::uint32_t first, std::uint32_t count) {
  const auto input = context.header<MapGpaPagesInput>();
  const auto request = decode_map_flags(input.flags);
  const bool onto_self = input.target == kPartitionIdSelf || input.target == context.caller.id;
  const bool many = request && !request->large && !onto_self;
  if (many) {
    count = std::min<std::uint32_t>(kPagesAtOnce, context.call.rep_count - first);
  }
  std::array<Gpn, kPagesAtOnce> sources;
  if (!context.fetch_elements(first, std::span(sources).first(count))) {
    return CallOutcome::try_again();
  }
  if (!request || input.reserved != 0) {
    return refuse(context, input.target, Status::kInvalidParameter);
  }
  if (many) {
    return map_many(context, *request, first, std::span(sources).first(count));
  }
  const std::uint64_t step = pages_each(request->large);
  const auto fill = [&](std::span<MapElement> elements, std::uint64_t page_count) {
    const std::uint64_t base = input.target_gpn.value();
    for (std::uint32_t index = 0; index < count; ++index) {
      const std::uint64_t place = first + index;
      elements[index] = {Gpn(gpa_range::element_page(base, place, step)), sources[index],
                         gpa_range::contains_element(base, place, step, page_count)};
    }
  };
  return map_elements(context, input.target, *request, count, fill);
}

CallOutcome map_sparse_gpa_pages(CallContext& context, std::uint32_t first, std::uint32_t count) {
  const auto input = context.header<SparseGpaPagesInput>();
  const auto request = decode_map_flags(input.flags);
  std::array<SparseMapping, kElementsAtOnce> pairs;
  if (!context.fetch_elements(first, std::span(pairs).first(count))) {
    return CallOutcome::try_again();
  }
  if (!request || input.reserved != 0) {
    return refuse(context, input.target, Status::kInvalidParameter);
  }
  const auto fill = [&](std::span<MapElement> elements, std::uint64_t page_count) {
    for (std::uint32_t index = 0; index < count; ++index) {
      const Gpn target = pairs[index].target_gpn;
      elements[index] = {target, pairs[index].source_gpn,
                         gpa_range::contains_element(target.value(), std::uint64_t{0},
                                                     pages_each(request->large), page_count)};
    }
  };
  return map_elements(context, input.target, *request, count, fill);
}

CallOutcome modify_sparse_gpa_pages(CallContext& context, std::uint32_t first,
                                    std::uint32_t count) {
  const auto input = context.header<SparseGpaPagesInput>();
  const auto request = decode_map_flags(input.flags);
  std::array<Gpn, kElementsAtOnce> pages;
  if (!context.fetch_elements(first, std::span(pages).first(count))) {
    return CallOutcome::try_again();
  }
  if (!request || !request->only_changes_rights() || input.reserved != 0) {
    return refuse(context, input.target, Status::kInvalidParameter);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_active_target(context, input.target, SelfAllowed::kRootOnly);
  if (!target) {
    return fail(target.error());
  }
  CallOutcome outcome;
  {
    const machine::LockGuard space_guard((*target)->space_lock);
    while (outcome.completed < count && outcome.status == Status::kSuccess) {
      outcome.status = change_rights(*(*target)->space, pages[outcome.completed], *request);
      outcome.completed += outcome.status == Status::kSuccess ? 1 : 0;
    }
  }
  finish_space_changes(context.hypervisor, **target);
  publish_statistics(context.hypervisor, **target);
  return outcome;
}

CallOutcome unmap_gpa_pages(CallContext& context, std::uint32_t first, std::uint32_t count) {
  const auto input = context.header<UnmapGpaPagesInput>();
  if ((input.flags & ~kKnownUnmapFlags) != 0 || input.reserved != 0) {
    return refuse(context, input.target, Status::kInvalidParameter);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_active_target(context, input.target, SelfAllowed::kNever);
  if (!target) {
    return fail(target.error());
  }
  const bool large = (input.flags & kUnmapLargePage) != 0;
  const std::uint64_t step = pages_each(large);
  const std::uint64_t base = input.target_gpn.value();
  CallOutcome outcome;
  {
    const machine::LockGuard space_guard((*target)->space_lock);
    GpaSpace& space = *(*target)->space;
    while (outcome.completed < count && outcome.status == Status::kSuccess) {
      const std::uint64_t place = first + outcome.completed;
      const Gpn gpn(gpa_range::element_page(base, place, step));
      outcome.status = !gpa_range::contains_element(base, place, step, space.page_count())
                           ? Status::kInvalidParameter
                       : large ? space.unmap_large(gpn)
                               : space.unmap(gpn);
      outcome.completed += outcome.status == Status::kSuccess ? 1 : 0;
    }
  }
  finish_space_changes(context.hypervisor, **target);
  publish_statistics(context.hypervisor, **target);
  return outcome;
}

CallOutcome get_gpa_pages_access_states(CallContext& context, std::uint32_t first, std::uint32_t) {
  const auto input = context.header<GetGpaPagesAccessStatesInput>();
  const auto change = decode_access_state_flags(input.flags);
  if (!change) {
    return refuse(context, input.target, Status::kInvalidParameter);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_active_target(context, input.target, SelfAllowed::kNever);
  if (!target) {
    return fail(target.error());
  }
  // More pages than a handler gets at once: to forget costs an invalidation, however many they are.
  const std::uint32_t count = std::min(kNotesAtOnce, context.call.rep_count - first);
  std::array<std::uint8_t, kNotesAtOnce> states;
  const std::uint64_t base = input.gpn.value();
  CallOutcome outcome;
  {
    const machine::LockGuard space_guard((*target)->space_lock);
    GpaSpace& space = *(*target)->space;
    if (!space.is_tracking()) {
      return fail(Status::kOperationDenied);
    }
    while (outcome.completed < count) {
      const std::uint64_t place = first + outcome.completed;
      const std::uint64_t one = 1;
      if (!gpa_range::contains_element(base, place, one, space.page_count())) {
        outcome.status = Status::kInvalidParameter;
        break;
      }
      const auto notes =
          space.exchange_notes(Gpn(gpa_range::element_page(base, place, one)), *change);
      if (!notes) {
        outcome.status = notes.error();
        break;
      }
      states[outcome.completed++] = static_cast<std::uint8_t>(
          (notes->accessed ? GetGpaPagesAccessStatesInput::kAccessed : 0) |
          (notes->dirty ? GetGpaPagesAccessStatesInput::kDirty : 0));
    }
  }
  finish_space_changes(context.hypervisor, **target);
  publish_statistics(context.hypervisor, **target);
  const Status written = context.put_elements(
      first, std::span<const std::uint8_t>(std::span(states).first(outcome.completed)));
  if (written != Status::kSuccess) {
    outcome.status = written;
  }
  return outcome;
}

}  // namespace hv::calls
