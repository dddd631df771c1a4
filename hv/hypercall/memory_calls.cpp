// Memory pools (TLFS "Physical Hardware Management"). Every page comes from the root, whose GPA
// space is the identity: there a page has the same number as in the system.
#include <array>
#include <span>

#include "hv/gpa_changes.h"
#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/statistics/statistics_pages.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {
namespace {

using machine::Gpn;
using machine::Spn;

constexpr machine::Site kDepositIsUnmapped{"hv.isolation.deposited_page_is_unmapped"};

/// A page may become the hypervisor's if the caller has it as ordinary memory, and nobody else has
/// it. Under the caller's space lock.
Status check_page(Hypervisor& hypervisor, const GpaSpace& space, Gpn gpn) {
  if (!space.contains(gpn)) {
    return Status::kOperationDenied;
  }
  if (space.is_overlaid(gpn)) {
    return Status::kObjectInUse;
  }
  const std::optional<GpaMapping> mapping = space.lookup(gpn);
  const bool ordinary = mapping && mapping->rights == GpaRights::all() &&
                        mapping->caching == GpaCaching::kWriteBack && !mapping->read_only;
  return ordinary && !hypervisor.child_pages_mapped.any(mapping->page) ? Status::kSuccess
                                                                       : Status::kOperationDenied;
}

/// Takes the pages of a list from the caller, all or none: it frees them all if the call fails. A
/// page that is taken has no rights at first, which needs no memory to be undone, and which shows a
/// page that the list names twice.
Status take_from_caller(Hypervisor& hypervisor, Partition& caller, std::span<const Gpn> pages) {
  const machine::LockGuard guard(caller.space_lock);
  GpaSpace& space = *caller.space;
  Status status = Status::kSuccess;
  std::size_t taken = 0;
  while (taken < pages.size() && status == Status::kSuccess) {
    status = check_page(hypervisor, space, pages[taken]);
    if (status == Status::kSuccess) {
      status = space.change_rights(pages[taken], GpaRights::none());
    }
    taken += status == Status::kSuccess ? 1 : 0;
  }
  for (const Gpn page : pages.first(taken)) {
    const Status done = status == Status::kSuccess ? space.unmap(page)
                                                   : space.change_rights(page, GpaRights::all());
    INVARIANT(done == Status::kSuccess);  // the page has an entry of its own
    machine::always(kDepositIsUnmapped,
                    status != Status::kSuccess || !space.lookup(page).has_value(), page.value());
  }
  return status;
}

}  // namespace

CallOutcome deposit_memory(CallContext& context, std::uint32_t first, std::uint32_t) {
  const auto input = context.header<DepositMemoryInput>();
  Hypervisor& hypervisor = context.hypervisor;
  const machine::LockGuard guard(hypervisor.management_lock);
  const auto target = find_target(context, input.partition, SelfAllowed::kRootOnly);
  if (!target) {
    return fail(target.error());
  }
  if ((*target)->state != PartitionState::kActive &&
      (*target)->state != PartitionState::kUninitialized) {
    return fail(Status::kInvalidPartitionState);
  }
  // The whole list at once, for all or none.
  const std::uint32_t count = context.call.rep_count - first;
  INVARIANT(count <= hypervisor.deposit_list.size());
  const std::span<Gpn> pages = std::span(hypervisor.deposit_list).first(count);
  if (!context.fetch_elements(first, pages)) {
    return CallOutcome::try_again();
  }
  const Status status = take_from_caller(hypervisor, context.caller, pages);
  // Not before every processor has dropped them do the pages hold anything of the hypervisor's.
  finish_space_changes(hypervisor, context.caller);
  if (status != Status::kSuccess) {
    return fail(status);
  }
  for (const Gpn page : pages) {
    (*target)->pool.deposit(Spn(page.value()));
  }
  publish_statistics(hypervisor, **target);
  return {.completed = count};
}

CallOutcome withdraw_memory(CallContext& context, std::uint32_t first, std::uint32_t count) {
  const auto input = context.header<MemoryPoolInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_target(context, input.partition, SelfAllowed::kRootOnly);
  if (!target) {
    return fail(target.error());
  }
  if (!is_legal(input.proximity)) {
    return fail(Status::kInvalidParameter);
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
  publish_statistics(context.hypervisor, **target);
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
  if (!is_legal(input.proximity)) {
    return fail(Status::kInvalidParameter);
  }
  const PagePool& pool = (*target)->pool;
  return fail(context.put_output(GetMemoryBalanceOutput{pool.available(), pool.in_use()}));
}

}  // namespace hv::calls
