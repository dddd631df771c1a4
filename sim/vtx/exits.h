// A VM exit as the processor reports it, and the operations of a guest that may cause one.
#pragma once

#include <cstdint>

#include "machine/address.h"
#include "machine/vmx_architecture.h"

namespace sim::vtx {

/// What an exit writes into the VM-exit information fields (SDM vol. 3 24.9, 27.2). The decision
/// functions of Processor leave instruction_length to the caller, who knows the instruction.
struct Exit {
  machine::vmx::ExitReason reason{};
  std::uint32_t instruction_length = 0;
  std::uint64_t qualification = 0;
  std::uint32_t instruction_information = 0;
  std::uint32_t interruption_information = 0;
  std::uint32_t interruption_error_code = 0;
  std::uint32_t idt_vectoring_information = 0;
  std::uint32_t idt_vectoring_error_code = 0;
  std::uint64_t guest_linear_address = 0;
  machine::Gpa guest_physical_address{};

  friend bool operator==(const Exit&, const Exit&) = default;
};

enum class EventType : std::uint8_t {
  kExternalInterrupt = 0,
  kNmi = 2,
  kHardwareException = 3,
  kSoftwareInterrupt = 4,
  kPrivilegedSoftwareException = 5,
  kSoftwareException = 6,
};

/// An event on its way through the guest's IDT (SDM vol. 3 24.8.3).
struct Event {
  EventType type = EventType::kExternalInterrupt;
  std::uint8_t vector = 0;
  bool has_error_code = false;
  std::uint32_t error_code = 0;
  /// RIP moves on by this much before a software interrupt or exception is delivered.
  std::uint32_t instruction_length = 0;

  friend bool operator==(const Event&, const Event&) = default;
};

/// The event in the format of the VMCS's interruption information (SDM vol. 3 24.8.3, 24.9.2).
[[nodiscard]] constexpr std::uint32_t interruption_information(const Event& event) {
  return machine::vmx::kEventValid | event.vector |
         (static_cast<std::uint32_t>(event.type) << machine::vmx::kEventTypeShift) |
         (event.has_error_code ? machine::vmx::kEventErrorCodeValid : 0);
}

/// An exit that came while an event was on its way through the IDT: the hypervisor learns of the
/// event, whose injection the exit ends, and delivers it again (SDM vol. 3 27.2.3).
[[nodiscard]] constexpr Exit while_delivering(Exit cause, const Event& event) {
  cause.idt_vectoring_information = interruption_information(event);
  cause.idt_vectoring_error_code = event.error_code;
  cause.instruction_length = event.instruction_length;
  return cause;
}

/// IN, OUT, INS or OUTS (SDM vol. 3 table 27-5).
struct IoAccess {
  std::uint16_t port = 0;
  std::uint8_t size_bytes = 1;
  bool in = false;
  bool string = false;
  bool repeated = false;
  bool immediate_port = false;
  /// Of INS and OUTS.
  std::uint8_t address_size_bytes = 8;
};

/// MOV to or from CR0, CR3, CR4 or CR8 by way of general register `gpr` (0 RAX, 1 RCX, 2 RDX,
/// 3 RBX, 4 RSP, ... 15 R15), as in the exit qualification (SDM vol. 3 table 27-3).
struct ControlRegisterAccess {
  std::uint8_t control_register = 0;
  std::uint8_t gpr = 0;
};

/// What a memory access does. The bits are those of the exit qualification's low bits.
enum class Access : std::uint8_t {
  kRead = machine::vmx::kEptViolationRead,
  kWrite = machine::vmx::kEptViolationWrite,
  kReadWrite = machine::vmx::kEptViolationRead | machine::vmx::kEptViolationWrite,
  kFetch = machine::vmx::kEptViolationFetch,
};

/// Whether an access came from a linear address (all that instructions do; the model takes guest
/// page tables as identity) or from none (SDM vol. 3 28.2.3.2).
enum class Through : std::uint8_t { kLinearAddress, kNoLinearAddress };

/// What may interrupt a guest between two instructions, as the processor's pins show it.
struct PendingSignals {
  bool external_interrupt = false;
  bool nmi = false;
};

/// What comes before the guest's next instruction (SDM vol. 3 6.9, 25.2, 25.5.1).
enum class NextEvent : std::uint8_t {
  kNone,
  kExitPreemptionTimer,
  kExitNmiWindow,
  kExitNmi,
  kExitInterruptWindow,
  kExitExternalInterrupt,
  kDeliverNmi,
  kDeliverExternalInterrupt,
};

}  // namespace sim::vtx
