// Guests: entering them, leaving them, and the events that reach them in between.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "machine/x86.h"
#include "sim/computer.h"
#include "sim/image_builder.h"
#include "sim/trace_recorder.h"

namespace sim {

namespace vmx = machine::vmx;

namespace {

std::string hexadecimal(std::uint64_t value) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  do {
    text.insert(text.begin(), kDigits[value & 15]);
    value >>= 4;
  } while (value != 0);
  return "0x" + text;
}

/// As a trace shows it: the kernel, and which of the virtual processors that ever ran.
std::string name_of(const Context& guest) {
  return guest.program.kernel->name + " (guest " + std::to_string(guest.id) + ")";
}

vtx::Event event_of(const machine::Exception& exception) {
  // SDM vol. 3 table 6-1: which exceptions push an error code.
  constexpr std::uint32_t kWithErrorCode = 0x0002'7D00;
  return {
      .type = vtx::EventType::kHardwareException,
      .vector = exception.vector,
      .has_error_code = exception.vector < 32 && ((kWithErrorCode >> exception.vector) & 1) != 0,
      .error_code = exception.error_code,
      .instruction_length = 0};
}

// Apart, because the frame that reports a violation is never left: what it owned would leak.
std::string nobody_at(std::uint64_t rip, std::optional<std::uint64_t> left_at) {
  std::string text = "VM entry at RIP " + hexadecimal(rip) + ", where no guest stands";
  return left_at ? text + ": it left at " + hexadecimal(*left_at) : text;
}

bool in_ia32e_mode(const vtx::Vmcs& vmcs) {
  return (vmcs.get32(machine::Vmcs32::kVmEntryControls) & vmx::kEntryIa32eModeGuest) != 0;
}

/// The linear address of the next instruction: only a 64-bit code segment has no base (SDM vol. 3
/// 3.4.4). After a startup IPI it is all in the base (10.4.4.2).
std::uint64_t fetch_address(const vtx::Vmcs& vmcs, std::uint64_t rip) {
  constexpr std::uint32_t kLongCodeSegment = 1u << 13;
  if (in_ia32e_mode(vmcs) &&
      (vmcs.get32(machine::Vmcs32::kGuestCsAccessRights) & kLongCodeSegment) != 0) {
    return rip;
  }
  return (vmcs.get(machine::VmcsNatural::kGuestCsBase) + rip) & 0xFFFF'FFFF;
}

}  // namespace

Context* Computer::begin_entry(machine::EntryKind kind, const machine::GuestRegisters& registers,
                               machine::VmxResult& result) {
  LogicalProcessor& processor = *here_;
  if (processor.interrupts_enabled) {
    violation("the seam is used as declared", "enter_guest() with interrupts enabled");
  }
  processor.now += cost::kVmEntry;
  const std::uint64_t now = now_tsc();
  const vtx::EntryResult entry = processor.vtx.enter(kind, now);
  switch (entry.outcome) {
    case vtx::EntryOutcome::kFailInvalid:
      result = machine::VmxResult::kFailInvalid;
      return nullptr;
    case vtx::EntryOutcome::kFailValid:
      result = machine::VmxResult::kFailValid;
      return nullptr;
    case vtx::EntryOutcome::kFailedEntry:
      result = machine::VmxResult::kSucceed;
      processor.registers = registers;
      return nullptr;
    case vtx::EntryOutcome::kEntered:
      break;
  }
  result = machine::VmxResult::kSucceed;
  processor.registers = registers;
  processor.preemption_ns = ns_of(processor.vtx.preemption_deadline_tsc());
  Context* const guest = find_guest(processor, entry.event);
  if (guest == nullptr) {
    return nullptr;
  }
  guest->entry_event = entry.event;
  guest->on = &processor;
  processor.run(*guest);
  const vtx::PendingSignals pending{processor.apic.requests_interrupt(), processor.nmi_pending};
  if (processor.vtx.guest().activity != vmx::kActivityActive ||
      processor.vtx.next_event(pending, now) != vtx::NextEvent::kNone) {
    processor.look_soon();
  } else {
    processor.look_ns = std::min(processor.look_ns, processor.preemption_ns);
    processor.horizon = std::min(processor.horizon, processor.preemption_ns);
  }
  watch_switch(&processor);
  if (trace_recorder() != nullptr) [[unlikely]] {
    // The guest may be gone when its processor is back.
    processor.span = {processor.now, name_of(*guest)};
  }
  return guest;
}

void Computer::end_span() {
  const LogicalProcessor& processor = *here_;
  trace_recorder()->add_span(processor.span.entered_ns, processor.now, processor.index,
                             processor.span.guest);
}

// Null: the fetch of the first instruction has caused an exit already.
Context* Computer::find_guest(LogicalProcessor& processor, const std::optional<vtx::Event>& event) {
  const std::uint64_t rip = processor.vtx.guest().rip;
  if (Context::is_synthetic(rip)) {
    return find_suspended_guest(Context::id_of(rip), rip);
  }
  const vtx::Vmcs& vmcs = *processor.vtx.current_vmcs();
  for (const auto& context : contexts_) {
    if (context != nullptr && context->vmcs == &vmcs && context->in_32_bits &&
        context->stands_at(rip)) {
      return find_suspended_guest(context->id, rip);
    }
  }
  const std::uint64_t address = fetch_address(vmcs, rip);
  const auto where = processor.vtx.translate(machine::Gpa(address), vtx::Access::kFetch);
  if (!where) {
    // An event that the entry injects goes through the guest's IDT first, to code that is not
    // there yet either: the hypervisor is told of both (SDM vol. 3 26.5.1.2, 27.2.3).
    const vtx::Exit exit = event ? vtx::while_delivering(where.error(), *event) : where.error();
    ++result_.vm_exits[static_cast<std::size_t>(exit.reason) % result_.vm_exits.size()];
    processor.vtx.exit(exit, now_tsc());
    processor.now += cost::kVmExit;
    return nullptr;
  }
  std::optional<EntryMarker> marker;
  if (memory_.contains(*where, kEntryMarkerBytes) && address % kEntryMarkerBytes == 0) {
    std::array<std::byte, kEntryMarkerBytes> bytes;
    memory_.read(*where, bytes);
    marker = read_marker(bytes);
  }
  const auto kernel = std::ranges::find_if(configuration_.guests, [&](const GuestProgram& guest) {
    return marker && program_key(guest.name) == marker->program;
  });
  if (kernel == configuration_.guests.end()) {
    violation("guests execute their images",
              "VM entry at RIP " + hexadecimal(address) + ", where no image has its entry");
  }
  return &start_guest(vmcs, *kernel, where->page().value(), marker->boot_processor);
}

Context* Computer::find_suspended_guest(std::uint32_t id, std::uint64_t rip) {
  Context* const guest = id < contexts_.size() ? contexts_[id].get() : nullptr;
  if (guest == nullptr || !guest->is_guest() || !guest->stands_at(rip)) {
    violation("guests execute their images",
              nobody_at(rip, guest != nullptr ? std::optional(guest->exit_rip) : std::nullopt));
  }
  if (guest->on != nullptr) {
    violation("one processor runs a virtual processor",
              "VM entry of a guest that runs on processor " + std::to_string(guest->on->index));
  }
  return guest;
}

Context& Computer::start_guest(const vtx::Vmcs& vmcs, const GuestProgram& kernel,
                               std::uint64_t entry_page, bool boot_processor) {
  // A start at an entry is also what a reset is: what this VP and, if it is the first one, the
  // whole kernel were before is gone.
  for (std::uint32_t id = 0; id < contexts_.size(); ++id) {
    if (contexts_[id] != nullptr && contexts_[id]->vmcs == &vmcs) {
      drop_context(id);
    }
  }
  const std::uint64_t ept_pointer = vmcs.get(machine::Vmcs64::kEptPointer);
  Program* program = find_program(entry_page);
  if (boot_processor) {
    if (program != nullptr) {
      drop_program(*program);
    }
    program = &add_program(&kernel, entry_page, kernel.arena_bytes);
    program->ept_pointer = ept_pointer;
  } else if (program == nullptr) {
    // At a copy of the entry: where a startup IPI can point to.
    program = find_program_in(ept_pointer);
  }
  if (program == nullptr || program->kernel != &kernel) {
    violation("guests execute their images",
              "a processor of kernel " + kernel.name + " starts before its first one");
  }
  Context& guest = add_context(*program, kernel.stack_bytes, &run_guest);
  guest.boot_processor = boot_processor;
  guest.vmcs = &vmcs;
  if (!in_ia32e_mode(vmcs)) {
    guest.stand_in_32_bits(entry_page_gpa(kernel) - fetch_address(vmcs, 0));
  }
  return guest;
}

void Computer::begin_exit(const vtx::Exit& cause, Instruction instruction) {
  Context& guest = context();
  LogicalProcessor& processor = *here_;
  guest.exit_rip = guest.rip(instruction);
  guest.exit_length = instruction.length;
  processor.vtx.guest().rip = guest.exit_rip;
  // Of an access that the EPT refuses nobody is told the length (SDM vol. 3 27.2.4).
  const bool has_length = cause.reason != vmx::ExitReason::kEptViolation &&
                          cause.reason != vmx::ExitReason::kEptMisconfiguration;
  processor.vtx.exit(cause, has_length ? instruction.length : 0, now_tsc());
  processor.now += cost::kVmExit;
  ++result_.vm_exits[static_cast<std::size_t>(cause.reason) % result_.vm_exits.size()];
  guest.on = nullptr;
  processor.run(*processor.hypervisor);
  watch_switch(&processor);
}

Resume Computer::end_exit(Context& guest, std::uint32_t length, machine::Exception* caught) {
  // Entered again, maybe by another processor.
  vtx::GuestState& state = here_->vtx.guest();
  const bool completed = length != 0 && state.rip != guest.exit_rip;
  if (completed) {
    ++guest.position;
  }
  if (const std::optional<vtx::Event> event = guest.entry_event) {
    guest.entry_event.reset();
    if (caught != nullptr && !completed && event->type == vtx::EventType::kHardwareException) {
      // The program's own handler would do no more than note the exception and step over.
      const std::uint64_t rflags = state.rflags;
      here_->vtx.event_delivered(*event);
      state.rflags = rflags;
      *caught = {event->vector, event->error_code};
      ++guest.position;
      return Resume::kFault;
    }
    deliver(*event);
  }
  return completed ? Resume::kComplete : Resume::kRetry;
}

void Computer::deliver(const vtx::Event& event) {
  Context& guest = context();
  const machine::InterruptHandler handler = guest.program.handlers[event.vector];
  machine::InterruptFrame frame;
  {
    LogicalProcessor& processor = *here_;
    vtx::GuestState& state = processor.vtx.guest();
    frame = {event.vector, event.error_code, state.rip, state.rflags};
    processor.vtx.event_delivered(event);
    processor.now += cost::kInterruptDelivery;
  }
  while (handler == nullptr) {
    // No gate: a double fault without a gate either.
    static_cast<void>(exit_guest(here_->vtx.triple_fault(), instructions::kNone));
  }
  ++result_.interrupts_delivered;
  record(Operation::kInterrupt, event.vector, event.error_code, 0);
  const machine::GuestRegisters registers = here_->registers;
  handler(frame);
  LogicalProcessor& processor = *here_;
  processor.registers = registers;
  processor.vtx.guest().rflags = frame.rflags;
  if (event.type == vtx::EventType::kNmi) {
    processor.vtx.iret();
  }
  processor.look_soon();
}

Resume Computer::raise(const machine::Exception& exception, machine::Exception* caught) {
  if (caught != nullptr) {
    *caught = exception;
  }
  if (!context().is_guest()) {
    if (caught == nullptr) {
      violation("the hypervisor raises no exception",
                "exception " + std::to_string(exception.vector) + " in the hypervisor");
    }
    return Resume::kFault;
  }
  const vtx::Event event = event_of(exception);
  if (const auto exit = here_->vtx.exception(event)) {
    return exit_guest(*exit, instructions::kNone, caught);
  }
  if (caught != nullptr) {
    return Resume::kFault;
  }
  here_->vtx.guest().rip = context().rip();
  deliver(event);
  return Resume::kRetry;
}

bool Computer::take_guest_event() {
  LogicalProcessor& processor = *here_;
  const vtx::PendingSignals pending{processor.apic.requests_interrupt(), processor.nmi_pending};
  const vtx::NextEvent next = processor.vtx.next_event(pending, now_tsc());
  switch (next) {
    case vtx::NextEvent::kNone:
      if (processor.vtx.guest().activity == vmx::kActivityHlt) {
        sleep(processor.preemption_ns);
        return true;
      }
      return false;
    case vtx::NextEvent::kDeliverNmi:
      processor.nmi_pending = false;
      processor.vtx.guest().rip = context().rip();
      deliver({.type = vtx::EventType::kNmi, .vector = machine::x86::kVectorNmi});
      return true;
    case vtx::NextEvent::kDeliverExternalInterrupt:
      processor.vtx.guest().rip = context().rip();
      deliver({.type = vtx::EventType::kExternalInterrupt, .vector = processor.apic.acknowledge()});
      return true;
    case vtx::NextEvent::kExitNmi:
      processor.nmi_pending = false;
      break;
    case vtx::NextEvent::kExitPreemptionTimer:
    case vtx::NextEvent::kExitNmiWindow:
    case vtx::NextEvent::kExitInterruptWindow:
    case vtx::NextEvent::kExitExternalInterrupt:
      break;
  }
  std::uint8_t vector = 0;
  if (next == vtx::NextEvent::kExitExternalInterrupt && processor.vtx.acknowledges_interrupts()) {
    vector = processor.apic.acknowledge();
  }
  static_cast<void>(exit_guest(processor.vtx.exit_for(next, vector), instructions::kNone));
  return true;
}

void Computer::take_root_interrupt() {
  LogicalProcessor& processor = *here_;
  const std::uint8_t vector = processor.apic.acknowledge();
  const machine::InterruptHandler handler = programs_[0]->handlers[vector];
  if (handler == nullptr) {
    violation("interrupts have handlers",
              "the hypervisor has no handler for vector " + std::to_string(vector));
  }
  ++result_.interrupts_delivered;
  record(Operation::kInterrupt, vector, 0, 0);
  const bool enabled = processor.interrupts_enabled;
  processor.interrupts_enabled = false;
  processor.now += cost::kInterruptDelivery;
  handler({vector, 0, 0, machine::x86::kRflagsFixed | (enabled ? machine::x86::kRflagsIf : 0)});
  processor.interrupts_enabled = enabled;
}

}  // namespace sim
