// What a parent wants to hear of in a child, and interrupts from the parent (TLFS "Intercepts",
// "Virtual Interrupt Control").
#include <optional>

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/hypercall/virtual_interrupts.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {
namespace {

/// Adds or removes one member; kInsufficientMemory when the set is full.
template <class Set, class Value>
Status change(Set& set, const Value& value, bool install) {
  if (!install) {
    set.remove(value);
    return Status::kSuccess;
  }
  return set.add(value) ? Status::kSuccess : Status::kInsufficientMemory;
}

Status change_ports(InterceptSet& intercepts, std::uint64_t first, std::uint64_t last,
                    bool install) {
  if (first > 0xFFFF || last > 0xFFFF || first > last) {
    return Status::kInvalidParameter;
  }
  const PortRange range{static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)};
  return change(intercepts.ports, range, install);
}

Status change_intercepts(InterceptSet& intercepts, const InstallInterceptInput& input) {
  constexpr std::uint32_t kReadWrite = kInterceptAccessRead | kInterceptAccessWrite;
  const bool install = input.access_mask != kInterceptAccessNone;
  const auto mask_is = [&](std::uint32_t mask) { return !install || input.access_mask == mask; };
  switch (input.type) {
    case InterceptType::kX64IoPort:
      return mask_is(kReadWrite)
                 ? change_ports(intercepts, input.parameter, input.parameter, install)
                 : Status::kInvalidParameter;
    case InterceptType::kX64IoPortRange:
      return mask_is(kReadWrite) && (input.parameter >> 32) == 0
                 ? change_ports(intercepts, input.parameter & 0xFFFF, input.parameter >> 16,
                                install)
                 : Status::kInvalidParameter;
    case InterceptType::kX64Msr:
      if (!mask_is(kReadWrite) || input.parameter != 0) {
        return Status::kInvalidParameter;
      }
      intercepts.unknown_msrs = install;
      return Status::kSuccess;
    case InterceptType::kX64MsrIndex:
      return mask_is(kReadWrite) && (input.parameter >> 32) == 0
                 ? change(intercepts.msrs, static_cast<std::uint32_t>(input.parameter), install)
                 : Status::kInvalidParameter;
    case InterceptType::kX64Cpuid:
      return mask_is(kInterceptAccessExecute) && (input.parameter >> 32) == 0
                 ? change(intercepts.leaves, static_cast<std::uint32_t>(input.parameter), install)
                 : Status::kInvalidParameter;
    default:
      return Status::kInvalidParameter;
  }
}

std::expected<InterruptCommand, Status> decode_interrupt(const AssertVirtualInterruptInput& input) {
  using Input = AssertVirtualInterruptInput;
  const auto* const rule =
      find_rule(static_cast<VirtualInterruptType>(input.control & 0xFFFF'FFFF));
  if ((input.control & ~Input::kControlMask) != 0 || input.target_vtl != 0 || rule == nullptr) {
    return std::unexpected(Status::kInvalidParameter);
  }
  InterruptCommand command;
  command.delivery = rule->delivery;
  command.level = (input.control & Input::kLevel) != 0;
  command.deassert = command.level && input.vector == Input::kDeassert;
  if ((command.level && !rule->may_be_level) || (!command.deassert && !rule->takes(input.vector))) {
    return std::unexpected(Status::kInvalidParameter);
  }
  if ((input.destination >> 32) != 0) {
    return std::unexpected(Status::kInvalidVpIndex);
  }
  command.vector = static_cast<std::uint8_t>(input.vector);
  command.destination = {static_cast<std::uint32_t>(input.destination),
                         (input.control & Input::kLogicalDestination) != 0};
  return command;
}

/// Always for the first virtual processor (TLFS "External Interrupts").
Status assert_external_interrupt(Hypervisor& hypervisor, Partition& target,
                                 const InterruptCommand& command) {
  VirtualProcessor* const vp = target.vp(VpIndex{0});
  if (vp == nullptr || command.destination.id != 0) {
    return Status::kInvalidVpIndex;
  }
  return assert_external(hypervisor, *vp,
                         command.deassert ? std::nullopt : std::optional(command.vector));
}

}  // namespace

CallOutcome install_intercept(CallContext& context) {
  const auto input = context.header<InstallInterceptInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_active_target(context, input.partition, SelfAllowed::kNever);
  if (!target) {
    return fail(target.error());
  }
  const machine::LockGuard space_guard((*target)->space_lock);
  return fail(change_intercepts((*target)->intercepts, input));
}

CallOutcome assert_virtual_interrupt(CallContext& context) {
  const auto input = context.header<AssertVirtualInterruptInput>();
  const auto command = decode_interrupt(input);
  if (!command) {
    return fail(command.error());
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_active_target(context, input.partition, SelfAllowed::kNever);
  if (!target) {
    return fail(target.error());
  }
  const auto* const rule =
      find_rule(static_cast<VirtualInterruptType>(input.control & 0xFFFF'FFFF));
  if (rule->pin) {
    return fail(signal_local_pin(context.hypervisor, **target, *rule->pin, *command));
  }
  if (command->delivery == InterruptDelivery::kExtInt) {
    return fail(assert_external_interrupt(context.hypervisor, **target, *command));
  }
  return fail(send_interrupt(context.hypervisor, **target, *command) ? Status::kSuccess
                                                                     : Status::kInvalidVpIndex);
}

CallOutcome clear_virtual_interrupt(CallContext& context) {
  const auto input = context.header<PartitionInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_active_target(context, input.partition, SelfAllowed::kNever);
  if (!target) {
    return fail(target.error());
  }
  VirtualProcessor* const vp = (*target)->vp(VpIndex{0});
  return fail(vp != nullptr ? clear_external(*vp) : Status::kNotAcknowledged);
}

}  // namespace hv::calls
