// What a parent wants to hear of in a child, and interrupts from the parent (TLFS "Intercepts",
// "Virtual Interrupt Control").
#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
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
  // Level-triggered lines have no source here: only edges are taken.
  if ((input.control & ~Input::kControlMask) != 0 || (input.control & Input::kLevel) != 0 ||
      input.target_vtl != 0 || (input.destination >> 32) != 0) {
    return std::unexpected(Status::kInvalidParameter);
  }
  InterruptCommand command;
  switch (static_cast<VirtualInterruptType>(input.control & 0xFFFF'FFFF)) {
    case VirtualInterruptType::kFixed:
      command.delivery = InterruptDelivery::kFixed;
      break;
    case VirtualInterruptType::kLowestPriority:
      command.delivery = InterruptDelivery::kLowestPriority;
      break;
    case VirtualInterruptType::kNmi:
      command.delivery = InterruptDelivery::kNmi;
      break;
    case VirtualInterruptType::kInit:
      command.delivery = InterruptDelivery::kInit;
      break;
    case VirtualInterruptType::kSipi:
      command.delivery = InterruptDelivery::kStartup;
      break;
    default:
      return std::unexpected(Status::kInvalidParameter);
  }
  const bool needs_vector = command.delivery == InterruptDelivery::kFixed ||
                            command.delivery == InterruptDelivery::kLowestPriority;
  if (input.vector > 0xFF || (needs_vector && input.vector < LocalApic::kMinVector)) {
    return std::unexpected(Status::kInvalidParameter);
  }
  command.vector = static_cast<std::uint8_t>(input.vector);
  command.destination = {static_cast<std::uint32_t>(input.destination),
                         (input.control & Input::kLogicalDestination) != 0};
  return command;
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
  return fail(send_interrupt(context.hypervisor, **target, *command) ? Status::kSuccess
                                                                     : Status::kInvalidVpIndex);
}

}  // namespace hv::calls
