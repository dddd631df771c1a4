#include "hv/hypercall/hypercall_exit.h"

#include <optional>

#include "hv/hypercall/call_table.h"
#include "hv/hypervisor.h"
#include "hv/intercept.h"
#include "hv/vtx/event_injection.h"
#include "machine/machine.h"
#include "machine/x86.h"

namespace hv {
namespace {

constexpr machine::Site kHypercallMade{"hv.hypercall"};
constexpr std::uint64_t kLowHalf = 0xFFFF'FFFF;
/// A rep call goes on for about this long before the guest may take interrupts (TLFS: 50 us).
constexpr std::uint64_t kRepBoundsPerSecond = 20'000;

/// The caller's registers in either convention (TLFS "Hypercall Inputs").
struct CallRegisters {
  bool wide = true;
  std::uint64_t control = 0;
  std::uint64_t input = 0;
  std::uint64_t output = 0;
};

std::uint64_t pair(std::uint64_t high, std::uint64_t low) {
  return (high << 32) | (low & kLowHalf);
}

CallRegisters read_registers(const machine::GuestRegisters& registers, bool wide) {
  if (wide) {
    return {true, registers.rcx, registers.rdx, registers.r8};
  }
  return {false, pair(registers.rdx, registers.rax), pair(registers.rbx, registers.rcx),
          pair(registers.rdi, registers.rsi)};
}

void write_result(machine::GuestRegisters& registers, bool wide, HypercallResult result) {
  if (wide) {
    registers.rax = result.value();
  } else {
    registers.rax = result.value() & kLowHalf;
    registers.rdx = result.value() >> 32;
  }
}

void write_control(machine::GuestRegisters& registers, bool wide, HypercallControl control) {
  if (wide) {
    registers.rcx = control.value();
  } else {
    registers.rax = control.value() & kLowHalf;
    registers.rdx = control.value() >> 32;
  }
}

/// How the instruction ends.
struct CallEnd {
  enum class Kind : std::uint8_t {
    kResult,
    /// The guest executes the instruction again, from element `rep_start` on.
    kAgain,
    kUndefinedOpcode,
    /// The parent decides.
    kIntercepted,
  };
  HypercallResult result{Status::kSuccess};
  std::uint32_t rep_start = 0;
  Kind kind = Kind::kResult;
};

CallEnd end_with(Status status) { return {.result = HypercallResult(status)}; }
CallEnd make_again(std::uint32_t rep_start) {
  return {.rep_start = rep_start, .kind = CallEnd::Kind::kAgain};
}

/// Whether a page that refuses an access is one that the parent could map: not one beyond the
/// space, nor an overlay page of the hypervisor's, which no parameter block may lie in.
bool is_for_parent(Partition& partition, machine::Gpn page) {
  const machine::LockGuard guard(partition.space_lock);
  return partition.space->contains(page) && !partition.space->is_overlaid(page);
}

/// The parameter blocks must be accessible before anything is done (TLFS "Hypercall Inputs").
std::optional<CallEnd> refuse_inaccessible(CallContext& context, bool input_is_readable) {
  std::optional<InterceptAccess> refused;
  machine::Gpa gpa;
  if (!input_is_readable && context.call.input_size_bytes != 0 &&
      !context.caller.is_readable(context.input_gpa)) {
    refused = InterceptAccess::kRead;
    gpa = context.input_gpa;
  } else if (context.call.output_size_bytes != 0 &&
             !context.caller.is_writable(context.output_gpa)) {
    refused = InterceptAccess::kWrite;
    gpa = context.output_gpa;
  }
  if (!refused) {
    return std::nullopt;
  }
  if (context.caller.is_root() || !is_for_parent(context.caller, gpa.page())) {
    return end_with(Status::kInvalidAlignment);
  }
  intercept_parameter_access(context.hypervisor, context.vp, gpa.value(), *refused);
  return CallEnd{.kind = CallEnd::Kind::kIntercepted};
}

/// Looks at the blocks of a call in memory, and copies its header. Nothing: the call may be made.
std::optional<CallEnd> fetch_from_memory(CallContext& context) {
  const DecodedCall& call = context.call;
  if (!blocks_are_placed_well(call, context.input_gpa.value(), context.output_gpa.value())) {
    return end_with(Status::kInvalidAlignment);
  }
  const bool fetched = context.fetch_header();
  // All blocks of a call lie in a page each: what of the input was read tells of the rest.
  const bool input_is_readable = fetched && context.has_header();
  if (!input_is_readable || call.output_size_bytes != 0) {
    if (const std::optional<CallEnd> refused = refuse_inaccessible(context, input_is_readable)) {
      return refused;
    }
  }
  return fetched ? std::nullopt : std::optional(make_again(call.rep_start));
}

CallEnd run_simple(CallContext& context, const CallEntry& entry) {
  const CallOutcome outcome = entry.handle(context);
  return outcome.again ? make_again(0) : end_with(outcome.status);
}

CallEnd run_rep(CallContext& context, const CallEntry& entry) {
  const std::uint64_t bound =
      context.hypervisor.information().tsc_frequency_hz / kRepBoundsPerSecond;
  const std::uint64_t began = machine::read_tsc();
  std::uint32_t next = context.call.rep_start;
  while (next < context.call.rep_count) {
    const auto count = static_cast<std::uint32_t>(call_arithmetic::elements_at_once<std::uint64_t>(
        next, context.call.rep_count, kElementsAtOnce));
    const CallOutcome outcome = entry.handle_elements(context, next, count);
    next += outcome.completed;
    if (outcome.status != Status::kSuccess) {
      return {.result = HypercallResult(outcome.status, next)};
    }
    if (next == context.call.rep_count) {
      break;
    }
    const std::uint64_t now = machine::read_tsc();
    if (outcome.again || now - began >= bound) {
      return make_again(next);
    }
  }
  return {.result = HypercallResult(Status::kSuccess, next)};
}

// Every call passes here: what is added costs each of them.
[[gnu::always_inline]] inline CallEnd make_call(LogicalProcessor& processor, VirtualProcessor& vp,
                                                const CallRegisters& registers) {
  const HypercallControl control(registers.control);
  const CallEntry* entry = find_call(control.code());
  if (entry == nullptr) {
    return end_with(Status::kInvalidHypercallCode);
  }
  const std::uint64_t needed = entry->description.privilege;
  if ((vp.partition.privileges.bits() & needed) != needed) {
    return end_with(Status::kAccessDenied);
  }
  const bool may_answer =
      registers.wide && vp.partition.privileges.has(Privilege::kFastHypercallOutput);
  const auto decoded = decode_call(control, entry->description,
                                   may_answer ? FastOutput::kAllowed : FastOutput::kRefused);
  if (!decoded) {
    return decoded.error() == DecodeFailure::kUndefinedOpcode
               ? CallEnd{.kind = CallEnd::Kind::kUndefinedOpcode}
               : end_with(Status::kInvalidHypercallInput);
  }
  CallContext context({processor, processor.hypervisor(), vp, vp.partition}, entry->description,
                      *decoded, machine::Gpa(registers.input), machine::Gpa(registers.output));
  if (decoded->fast) {
    context.fetch_registers(registers.input, registers.output);
  } else if (const std::optional<CallEnd> ended = fetch_from_memory(context)) {
    return *ended;
  }
  const CallEnd end =
      entry->handle != nullptr ? run_simple(context, *entry) : run_rep(context, *entry);
  if (decoded->fast && decoded->output_size_bytes != 0) {
    // Such a caller is in 64-bit mode.
    machine::GuestRegisters& guest = vp.context.registers();
    context.put_registers(guest.rdx, guest.r8);
  }
  return end;
}

/// Whether the parent wants to answer what the hypervisor could not: a call that it does not have,
/// a connection or a device that it does not know. Nothing was done then.
bool is_parents_to_answer(const VirtualProcessor& vp, std::uint64_t control, Status status) {
  if (status == Status::kSuccess) [[likely]] {
    return false;
  }
  const Partition& partition = vp.partition;
  const auto code = static_cast<CallCode>(HypercallControl(control).code());
  const bool of_connection = code == CallCode::kPostMessage || code == CallCode::kSignalEvent;
  const bool of_device = code == CallCode::kRetargetDeviceInterrupt;
  switch (status) {
    case Status::kInvalidHypercallCode:
      return partition.intercepts_all(of_device ? InterceptType::kRetargetUnknownDevice
                                                : InterceptType::kHypercall);
    case Status::kInvalidConnectionId:
      return of_connection && partition.intercepts_all(InterceptType::kUnknownSynicConnection);
    case Status::kInvalidDeviceId:
      return of_device && partition.intercepts_all(InterceptType::kRetargetUnknownDevice);
    default:
      return false;
  }
}

}  // namespace

void handle_hypercall(LogicalProcessor& processor, VirtualProcessor& vp) {
  const auto [privilege_level, wide] = vtx::code_mode();
  if (privilege_level != 0 || (!wide && !vtx::in_protected_mode())) {
    vp.pending_event = vtx::hardware_exception(machine::x86::kVectorInvalidOpcode);
    return;
  }
  machine::GuestRegisters& guest = vp.context.registers();
  const CallRegisters registers = read_registers(guest, wide);
  const CallEnd end = make_call(processor, vp, registers);
  switch (end.kind) {
    case CallEnd::Kind::kResult:
      if (is_parents_to_answer(vp, registers.control, end.result.status())) {
        intercept_hypercall(processor.hypervisor(), vp);
        return;
      }
      machine::trace(kHypercallMade, machine::Track::kPartition,
                     static_cast<std::uint64_t>(vp.partition.id), registers.control,
                     end.result.value());
      write_result(guest, registers.wide, end.result);
      vtx::complete_instruction();
      return;
    case CallEnd::Kind::kAgain: {
      const HypercallControl control(registers.control);
      if (control.rep_count() != 0) {
        write_control(guest, registers.wide, control.with_reps(control.rep_count(), end.rep_start));
      }
      return;
    }
    case CallEnd::Kind::kUndefinedOpcode:
      vp.pending_event = vtx::hardware_exception(machine::x86::kVectorInvalidOpcode);
      return;
    case CallEnd::Kind::kIntercepted:
      return;
  }
}

}  // namespace hv
