// The state of a child's virtual processors, seen by their parent (TLFS HvCallMapVpStatePage,
// HvCallUnmapVpStatePage, HvCallGetVpState, HvCallSetVpState).
#include <array>
#include <bit>
#include <span>

#include "hv/hypercall/call_arithmetic.h"
#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/loaded_vp.h"
#include "hv/processor/state_pages.h"
#include "hv/processor/whole_state.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "hv/tlfs/timers.h"

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

constexpr std::uint32_t kTimerQwords = sizeof(SyntheticTimersState) / sizeof(std::uint64_t);

bool is_in_page(VpStateType type) { return static_cast<std::uint32_t>(type) >> 31 != 0; }

bool is_known(VpStateType type) {
  switch (type) {
    case VpStateType::kSyntheticTimers:
    case VpStateType::kLocalApic:
    case VpStateType::kXsave:
    case VpStateType::kMessagePage:
    case VpStateType::kEventFlagsPage:
      return true;
  }
  return false;  // a guest chose the number
}

/// Whether the input names a state; the variable header of every one that lies in a page is that
/// page's number.
Status check(const CallContext& context, const VpStateInput& input, std::uint32_t inline_qwords) {
  const std::uint64_t offered = context.processor.capabilities().extended_components;
  const std::uint64_t states = input.type == VpStateType::kXsave ? offered : 0;
  if (!is_known(input.type) || input.input_vtl != 0 ||
      input.reserved0 != std::array<std::uint8_t, 3>{} || input.reserved1 != 0 ||
      input.xsave_flags != 0 || (input.xsave_states & ~states) != 0) {
    return Status::kInvalidParameter;
  }
  const std::uint32_t qwords = is_in_page(input.type) ? 1 : inline_qwords;
  return context.variable_qword_count() == qwords ? Status::kSuccess
                                                  : Status::kInvalidHypercallInput;
}

/// Runs `action` with the VP stopped, when the input names a state.
template <class Action>
CallOutcome with_vp(CallContext& context, const VpStateInput& input, std::uint32_t inline_qwords,
                    Action action) {
  const auto find = [&]() -> std::expected<VirtualProcessor*, Status> {
    const auto vp = find_child_vp(context, input.partition, input.vp);
    const Status status = vp ? check(context, input, inline_qwords) : vp.error();
    return status == Status::kSuccess ? vp : std::unexpected(status);
  };
  return with_loaded_vp(context, find, action);
}

/// Runs `action` with the page of the caller's that the variable header names, held in place.
template <class Action>
Status with_page(CallContext& context, bool write, Action action) {
  const machine::Gpn gpn(context.variable_qword(0));
  const machine::LockGuard guard(context.caller.space_lock);
  GpaSpace& space = *context.caller.space;
  if (!space.contains(gpn)) {
    return Status::kInvalidParameter;
  }
  const std::optional<GpaMapping> mapping = space.lookup(gpn);
  if (!mapping || !context.hypervisor.is_memory(*mapping) ||
      !(write ? mapping->rights.can_write() : mapping->rights.can_read())) {
    return Status::kOperationDenied;
  }
  const Status status = action(machine::Spa(mapping->page));
  space.note_access(gpn, write);
  return status;
}

/// Only states that do not lie in a page are answered in the output block, so only for them the
/// call looks at it.
bool has_output_block(const CallContext& context) {
  return !context.call.fast &&
         call_arithmetic::block_is_placed_well(context.output_gpa.value(),
                                               std::uint64_t{sizeof(SyntheticTimersState)}) &&
         context.caller.is_writable(context.output_gpa);
}

SyntheticTimersState timers_in(const CallContext& context) {
  std::array<std::uint64_t, kTimerQwords> words;
  for (std::uint32_t index = 0; index < words.size(); ++index) {
    words[index] = context.variable_qword(index);
  }
  return std::bit_cast<SyntheticTimersState>(words);
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

CallOutcome get_vp_state(CallContext& context) {
  const auto input = context.header<VpStateInput>();
  const auto get = [&](VirtualProcessor& vp) -> CallOutcome {
    if (is_in_page(input.type)) {
      return fail(with_page(context, true, [&](machine::Spa page) {
        save_to_page(vp, {input.type, input.xsave_states}, page);
        return Status::kSuccess;
      }));
    }
    if (!has_output_block(context)) {
      return fail(Status::kInvalidAlignment);
    }
    SyntheticTimersState state;
    save_timers(vp, state);
    const bool written =
        context.caller.write_memory(context.output_gpa, std::as_bytes(std::span(&state, 1)));
    return fail(written ? Status::kSuccess : Status::kInvalidAlignment);
  };
  return with_vp(context, input, 0, get);
}

CallOutcome set_vp_state(CallContext& context) {
  const auto input = context.header<VpStateInput>();
  const auto set = [&](VirtualProcessor& vp) -> CallOutcome {
    const auto status_of = [](bool restored) {
      return restored ? Status::kSuccess : Status::kInvalidSaveRestoreState;
    };
    Status status = Status::kSuccess;
    if (is_in_page(input.type)) {
      status = with_page(context, false, [&](machine::Spa page) {
        return status_of(restore_from_page(vp, {input.type, input.xsave_states}, page));
      });
    } else {
      status = status_of(restore_timers(vp, timers_in(context)));
    }
    context.hypervisor.notify(vp);
    return fail(status);
  };
  return with_vp(context, input, kTimerQwords, set);
}

}  // namespace hv::calls
