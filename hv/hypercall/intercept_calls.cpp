// What a parent wants to hear of in a child, and interrupts from the parent (TLFS "Intercepts",
// "Virtual Interrupt Control").
#include <bit>
#include <optional>

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/loaded_vp.h"
#include "hv/hypercall/virtual_interrupts.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "hv/tlfs/intercept_results.h"
#include "machine/x86.h"

namespace hv::calls {
namespace {

Status change_ports(PortSet& ports, std::uint64_t first, std::uint64_t last, bool install) {
  if (first > 0xFFFF || last > 0xFFFF || first > last) {
    return Status::kInvalidParameter;
  }
  const auto first_port = static_cast<std::uint16_t>(first);
  const auto last_port = static_cast<std::uint16_t>(last);
  if (install) {
    return ports.add(first_port, last_port);
  }
  ports.remove(first_port, last_port);
  return Status::kSuccess;
}

/// With the accesses that are wanted; without any, all end.
Status change_number(NumberSet& numbers, std::uint64_t number, std::uint32_t access) {
  return (number >> 32) == 0 ? numbers.set(static_cast<std::uint32_t>(number), access)
                             : Status::kInvalidParameter;
}

void change_bit(machine::Shared<std::uint64_t>& word, std::uint64_t number, bool install) {
  const std::uint64_t bit = 1ull << number;
  if (install) {
    word.fetch_or(bit);
  } else {
    word.fetch_and(~bit);
  }
}

/// The NMI is no exception, and none is above 31.
Status change_exception(Partition& target, std::uint64_t vector, bool install) {
  constexpr std::uint64_t kVectors = 32;
  if (vector >= kVectors || vector == machine::x86::kVectorNmi) {
    return Status::kInvalidParameter;
  }
  change_bit(target.exception_intercepts, vector, install);
  return Status::kSuccess;
}

/// The access mask that a type asks for; nothing for a type that is not offered. CPUID 0x40000003
/// says that neither traps after exceptions (ECX bit 8) nor EOIs (EDX bit 31) are, virtual
/// processors have no system management mode, and the EPT is what intercepts accesses to devices;
/// of what software does with the local APIC only startup IPIs concern a parent.
std::optional<std::uint32_t> needed_mask(InterceptType type) {
  switch (type) {
    case InterceptType::kX64IoPort:
    case InterceptType::kX64IoPortRange:
    case InterceptType::kX64Msr:
    case InterceptType::kX64MsrIndex:
      return kInterceptAccessRead | kInterceptAccessWrite;
    case InterceptType::kX64Cpuid:
    case InterceptType::kX64GlobalCpuid:
    case InterceptType::kException:
    case InterceptType::kHypercall:
    case InterceptType::kUnknownSynicConnection:
    case InterceptType::kRetargetUnknownDevice:
      return kInterceptAccessExecute;
    case InterceptType::kX64ApicInitSipi:
      return kInterceptAccessWrite;
    default:
      return std::nullopt;
  }
}

/// Reads and writes of one MSR can be told apart, of nothing else.
bool is_legal_mask(const InstallInterceptInput& input) {
  const std::optional<std::uint32_t> needed = needed_mask(input.type);
  if (!needed) {
    return false;
  }
  if (input.type == InterceptType::kX64MsrIndex) {
    return (input.access_mask & ~*needed) == 0;
  }
  return input.access_mask == kInterceptAccessNone || input.access_mask == *needed;
}

/// Under the GPA space lock; the mask is legal.
Status change_intercepts(Partition& target, const InstallInterceptInput& input) {
  InterceptSet& intercepts = target.intercepts;
  const bool install = input.access_mask != kInterceptAccessNone;
  switch (input.type) {
    case InterceptType::kX64IoPort:
      return change_ports(intercepts.ports, input.parameter, input.parameter, install);
    case InterceptType::kX64IoPortRange:
      return change_ports(intercepts.ports, input.parameter & 0xFFFF, input.parameter >> 16,
                          install);
    case InterceptType::kX64MsrIndex:
      return change_number(intercepts.msrs, input.parameter, input.access_mask);
    case InterceptType::kX64Cpuid:
      return change_number(intercepts.leaves, input.parameter, input.access_mask);
    case InterceptType::kException:
      return change_exception(target, input.parameter, install);
    default:
      break;
  }
  if (input.parameter != 0) {
    return Status::kInvalidParameter;
  }
  if (input.type == InterceptType::kX64Msr) {
    intercepts.unknown_msrs = install;
  } else if (input.type == InterceptType::kX64GlobalCpuid) {
    intercepts.all_leaves = install;
  } else {
    change_bit(target.other_intercepts, static_cast<std::uint64_t>(input.type), install);
  }
  return Status::kSuccess;
}

/// They look at what is installed before they enter their guest again.
void notify_all(Hypervisor& hypervisor, Partition& partition) {
  for (VirtualProcessor* vp : partition.vps) {
    if (vp != nullptr) {
      hypervisor.notify(*vp);
    }
  }
}

/// What a parent answers in advance, for one VP that is stopped for it.
template <class Change>
CallOutcome change_results(CallContext& context, Change change) {
  const auto input = context.header<InterceptResultInput>();
  const auto act = [&](VirtualProcessor& vp) -> CallOutcome {
    InterceptResults& results = vp.records.intercept_results;
    if (input.type == InterceptType::kX64Cpuid) {
      vp.records.cpuid_answers.forget();
      const auto answer = std::bit_cast<CpuidResultParameters>(input.parameters);
      return fail(answer.is_legal() ? change(results, answer) : Status::kInvalidParameter);
    }
    if (input.type == InterceptType::kX64Msr || input.type == InterceptType::kX64MsrIndex) {
      const MsrResultParameters answer{input.parameters[0], input.parameters[1],
                                       input.parameters[2]};
      return fail(answer.is_legal() ? change(results, answer) : Status::kInvalidParameter);
    }
    return fail(Status::kInvalidParameter);
  };
  return with_loaded_vp(
      context, [&] { return find_child_vp(context, input.partition, input.vp); }, act);
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
  if (!is_legal_mask(input)) {
    return fail(Status::kInvalidParameter);
  }
  Status status = Status::kSuccess;
  {
    const machine::LockGuard space_guard((*target)->space_lock);
    status = change_intercepts(**target, input);
  }
  (*target)->change_cpuid();
  if (status == Status::kSuccess && input.type == InterceptType::kException) {
    notify_all(context.hypervisor, **target);
  }
  return fail(status);
}

CallOutcome register_intercept_result(CallContext& context) {
  return change_results(context, [](InterceptResults& results, const auto& answer) {
    return results.add(answer) ? Status::kSuccess : Status::kInsufficientMemory;
  });
}

CallOutcome unregister_intercept_result(CallContext& context) {
  return change_results(context, [](InterceptResults& results, const auto& answer) {
    return results.remove(answer) ? Status::kSuccess : Status::kNotFound;
  });
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
  return fail(clear_external(**target));
}

}  // namespace hv::calls
