// Accesses to the memory of partitions that their owner makes through the hypervisor (TLFS
// HvCallReadGpa, HvCallWriteGpa), and the root's own access to pages that it lends to children.
#include <algorithm>
#include <array>
#include <span>

#include "hv/gpa_changes.h"
#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/memory/gpa_range.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "machine/vmx_root.h"

namespace hv::calls {
namespace {

using machine::Gpn;

constexpr std::uint64_t kCacheTypes[] = {0, 1, 4, 5, 6};  // UC, WC, WT, WP, WB

bool is_legal(const AccessGpaInput& input) {
  return input.byte_count <= AccessGpaInput::kMaxBytes &&
         gpa_range::is_in_one_page(input.gpa.value(), std::uint64_t{input.byte_count}) &&
         std::ranges::find(kCacheTypes, input.control) != std::end(kCacheTypes);
}

/// What the partition sees at the page, overlays included, if the access is allowed. A device's
/// registers are as good as not mapped.
std::expected<GpaMapping, AccessGpaResult> find_page(const Hypervisor& hypervisor,
                                                     const GpaSpace& space, Gpn gpn, bool write) {
  const std::optional<GpaMapping> mapping = space.lookup(gpn);
  if (!mapping || !hypervisor.is_memory(*mapping)) {
    return std::unexpected(AccessGpaResult::kUnmapped);
  }
  if (write ? mapping->rights.can_write() : mapping->rights.can_read()) {
    return *mapping;
  }
  return std::unexpected(space.is_overlaid(gpn) ? AccessGpaResult::kIllegalOverlayAccess
                         : write                ? AccessGpaResult::kWriteIntercept
                                                : AccessGpaResult::kReadIntercept);
}

/// Checks what the call names, and carries `access(bytes)` out on the page. Under the management
/// lock.
template <class Access>
std::expected<AccessGpaResult, Status> access_gpa(CallContext& context, const AccessGpaInput& input,
                                                  bool write, Access access) {
  const auto target = find_active_target(context, input.partition, SelfAllowed::kNever);
  if (!target) {
    return std::unexpected(target.error());
  }
  if ((*target)->vp(input.vp) == nullptr) {
    return std::unexpected(Status::kInvalidVpIndex);
  }
  if (!is_legal(input)) {
    return std::unexpected(Status::kInvalidParameter);
  }
  const machine::LockGuard guard((*target)->space_lock);
  GpaSpace& space = *(*target)->space;
  const auto mapping = find_page(context.hypervisor, space, input.gpa.page(), write);
  if (!mapping) {
    return mapping.error();
  }
  access(machine::Spa(mapping->page) + input.gpa.offset_in_page());
  space.note_access(input.gpa.page(), write);
  return AccessGpaResult::kSuccess;
}

constexpr std::uint32_t kKnownHostAccess =
    SpaPageHostAccessInput::kHostRead | SpaPageHostAccessInput::kHostWrite;
constexpr std::uint32_t kKnownHostFlags = SpaPageHostAccessInput::kMakeExclusive |
                                          SpaPageHostAccessInput::kMakeShared |
                                          SpaPageHostAccessInput::kLargePage;

/// The partition that shall have pages alone, or none.
bool names_partition_well(const CallContext& context, const SpaPageHostAccessInput& input) {
  const bool exclusive = (input.flags & SpaPageHostAccessInput::kMakeExclusive) != 0;
  const Partition* const named = context.hypervisor.find_partition(input.partition);
  return exclusive ? named != nullptr && named->parent == &context.caller
                   : input.partition == kPartitionIdInvalid || named != nullptr;
}

/// Gives the root `rights` to pages of its own.
CallOutcome change_host_access(CallContext& context, std::uint32_t first, std::uint32_t count,
                               GpaRights rights) {
  const auto input = context.header<SpaPageHostAccessInput>();
  std::array<Gpn, kElementsAtOnce> pages;
  if (!context.fetch_elements(first, std::span(pages).first(count))) {
    return CallOutcome::try_again();
  }
  Partition& root = context.caller;
  const machine::LockGuard guard(context.hypervisor.management_lock);
  if (!names_partition_well(context, input)) {
    return fail(Status::kInvalidPartitionId);
  }
  const bool large = (input.flags & SpaPageHostAccessInput::kLargePage) != 0;
  CallOutcome outcome;
  {
    const machine::LockGuard space_guard(root.space_lock);
    while (outcome.completed < count && outcome.status == Status::kSuccess) {
      const Gpn page = pages[outcome.completed];
      outcome.status = large ? root.space->change_rights_large(page, rights)
                             : root.space->change_rights(page, rights);
      outcome.completed += outcome.status == Status::kSuccess ? 1 : 0;
    }
  }
  finish_space_changes(context.hypervisor, root);
  return outcome;
}

bool are_legal(const SpaPageHostAccessInput& input, std::uint32_t other_flag) {
  return (input.host_access & ~kKnownHostAccess) == 0 &&
         (input.flags & ~(kKnownHostFlags & ~other_flag)) == 0;
}

}  // namespace

CallOutcome read_gpa(CallContext& context) {
  const auto input = context.header<AccessGpaInput>();
  ReadGpaOutput output;
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto result = access_gpa(context, input, false, [&](machine::Spa from) {
    machine::read_memory(from, std::span(output.data).first(input.byte_count));
  });
  if (!result) {
    return fail(result.error());
  }
  output.result = *result;
  return fail(context.put_output(output));
}

CallOutcome write_gpa(CallContext& context) {
  const auto input = context.header<WriteGpaInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto result = access_gpa(context, input.access, true, [&](machine::Spa to) {
    machine::write_memory(to, std::span(input.data).first(input.access.byte_count));
  });
  if (!result) {
    return fail(result.error());
  }
  return fail(context.put_output(WriteGpaOutput{.result = *result}));
}

CallOutcome acquire_sparse_spa_page_host_access(CallContext& context, std::uint32_t first,
                                                std::uint32_t count) {
  const auto input = context.header<SpaPageHostAccessInput>();
  const bool write = (input.host_access & SpaPageHostAccessInput::kHostWrite) != 0;
  if (!are_legal(input, SpaPageHostAccessInput::kMakeExclusive) ||
      (input.host_access & SpaPageHostAccessInput::kHostRead) == 0) {
    return fail(Status::kInvalidParameter);
  }
  return change_host_access(context, first, count, write ? GpaRights::all() : GpaRights::read());
}

CallOutcome release_sparse_spa_page_host_access(CallContext& context, std::uint32_t first,
                                                std::uint32_t count) {
  const auto input = context.header<SpaPageHostAccessInput>();
  if (!are_legal(input, SpaPageHostAccessInput::kMakeShared) || input.host_access != 0) {
    return fail(Status::kInvalidParameter);
  }
  return change_host_access(context, first, count, GpaRights::none());
}

}  // namespace hv::calls
