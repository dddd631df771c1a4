// VM exits decoded once, each qualification into a small value (SDM vol. 3 27.2). Pure functions:
// the fields of the VMCS come in, nothing is read here.
#pragma once

#include <cstdint>

#include "machine/vmx_architecture.h"

namespace hv::vtx {

/// What every exit has: the exit-reason field (SDM vol. 3 table 24-14). The rest of the exit
/// information is read only where it is needed.
struct Exit {
  std::uint32_t field = 0;

  /// Of an entry that failed it is what failed, and no exit's.
  [[nodiscard]] constexpr machine::vmx::ExitReason reason() const {
    return static_cast<machine::vmx::ExitReason>(field & 0xFFFF);
  }
  [[nodiscard]] constexpr bool entry_failed() const {
    return (field & machine::vmx::kExitReasonEntryFailure) != 0;
  }
};

/// IN, OUT, INS, OUTS (SDM vol. 3 table 27-5).
struct IoExit {
  std::uint16_t port = 0;
  std::uint8_t size_bytes = 1;
  bool in = false;
  bool string = false;
  bool repeated = false;
  friend constexpr bool operator==(const IoExit&, const IoExit&) = default;
};

[[nodiscard]] constexpr IoExit decode_io(std::uint64_t qualification) {
  return {.port = static_cast<std::uint16_t>(qualification >> 16),
          .size_bytes = static_cast<std::uint8_t>((qualification & 7) + 1),
          .in = (qualification & (1u << 3)) != 0,
          .string = (qualification & (1u << 4)) != 0,
          .repeated = (qualification & (1u << 5)) != 0};
}

/// The address size of INS and OUTS, by the instruction information (SDM vol. 3 table 27-8).
[[nodiscard]] constexpr std::uint64_t decode_address_mask(std::uint32_t instruction_information) {
  switch ((instruction_information >> machine::vmx::kAddressSizeShift) & 7) {
    case machine::vmx::kAddressSize16:
      return 0xFFFF;
    case machine::vmx::kAddressSize32:
      return 0xFFFF'FFFF;
    default:
      return ~std::uint64_t{0};
  }
}

enum class ControlRegisterAccess : std::uint8_t { kMoveTo, kMoveFrom, kClts, kLmsw };

/// MOV to or from a control register, CLTS, LMSW (SDM vol. 3 table 27-3).
struct ControlRegisterExit {
  std::uint8_t control_register = 0;
  ControlRegisterAccess access{};
  /// The general register of a MOV, in the numbering of the instruction set.
  std::uint8_t general_register = 0;
  std::uint16_t lmsw_source = 0;
  friend constexpr bool operator==(const ControlRegisterExit&,
                                   const ControlRegisterExit&) = default;
};

[[nodiscard]] constexpr ControlRegisterExit decode_control_register(std::uint64_t qualification) {
  return {.control_register = static_cast<std::uint8_t>(qualification & 0xF),
          .access = static_cast<ControlRegisterAccess>((qualification >> 4) & 3),
          .general_register = static_cast<std::uint8_t>((qualification >> 8) & 0xF),
          .lmsw_source = static_cast<std::uint16_t>(qualification >> 16)};
}

/// An access that the EPT refused (SDM vol. 3 table 27-7).
struct EptViolation {
  bool read = false;
  bool write = false;
  bool fetch = false;
  /// The page was mapped, with rights too few for this access.
  bool mapped = false;
  bool linear_address_valid = false;
  /// The linear address itself was accessed; otherwise one of its page-table entries was.
  bool translated = false;
  friend constexpr bool operator==(const EptViolation&, const EptViolation&) = default;
};

[[nodiscard]] constexpr EptViolation decode_ept_violation(std::uint64_t qualification) {
  using namespace machine::vmx;
  constexpr std::uint64_t kAnyRight =
      kEptViolationReadable | kEptViolationWritable | kEptViolationExecutable;
  return {.read = (qualification & kEptViolationRead) != 0,
          .write = (qualification & kEptViolationWrite) != 0,
          .fetch = (qualification & kEptViolationFetch) != 0,
          .mapped = (qualification & kAnyRight) != 0,
          .linear_address_valid = (qualification & kEptViolationLinearValid) != 0,
          .translated = (qualification & kEptViolationLinearTranslated) != 0};
}

enum class EventType : std::uint8_t {
  kExternalInterrupt = 0,
  kNmi = 2,
  kHardwareException = 3,
  kSoftwareInterrupt = 4,
  kPrivilegedSoftwareException = 5,
  kSoftwareException = 6,
};

/// An event on its way through the guest's IDT, in the format of SDM vol. 3 24.8.3: to be injected,
/// or interrupted by an exit while it was delivered.
struct Event {
  EventType type = EventType::kExternalInterrupt;
  std::uint8_t vector = 0;
  bool has_error_code = false;
  std::uint32_t error_code = 0;
  /// Of software events only: how far RIP moves before the delivery.
  std::uint32_t instruction_length = 0;
  bool valid = false;
  friend constexpr bool operator==(const Event&, const Event&) = default;
};

[[nodiscard]] constexpr Event decode_event(std::uint32_t information, std::uint32_t error_code) {
  using namespace machine::vmx;
  Event event;
  event.valid = (information & kEventValid) != 0;
  if (event.valid) {
    event.type = static_cast<EventType>((information >> kEventTypeShift) & 7);
    event.vector = static_cast<std::uint8_t>(information);
    event.has_error_code = (information & kEventErrorCodeValid) != 0;
    event.error_code = event.has_error_code ? error_code : 0;
  }
  return event;
}

[[nodiscard]] constexpr std::uint32_t encode_event(const Event& event) {
  using namespace machine::vmx;
  if (!event.valid) {
    return 0;
  }
  return kEventValid | event.vector | (static_cast<std::uint32_t>(event.type) << kEventTypeShift) |
         (event.has_error_code ? kEventErrorCodeValid : 0);
}

/// Whether the delivery of an event of this type needs the length of its instruction.
[[nodiscard]] constexpr bool is_software_event(EventType type) {
  return type == EventType::kSoftwareInterrupt || type == EventType::kSoftwareException ||
         type == EventType::kPrivilegedSoftwareException;
}

/// Whether the exception has an error code in protected mode (SDM vol. 3 6.3.1).
[[nodiscard]] constexpr bool pushes_error_code(std::uint8_t vector) {
  constexpr std::uint32_t kVectors =
      (1u << 8) | (1u << 10) | (1u << 11) | (1u << 12) | (1u << 13) | (1u << 14) | (1u << 17);
  return vector < 32 && ((kVectors >> vector) & 1) != 0;
}

/// Whether an entry takes the event (SDM vol. 3 26.2.1.3): one made by others is asked first, for
/// an entry that fails is our own fault. An exception without its error code is fine: inject() adds
/// it.
[[nodiscard]] constexpr bool can_be_injected(const Event& event) {
  constexpr std::uint32_t kLargestErrorCode = 0x7FFF;
  constexpr std::uint32_t kLongestInstruction = 15;
  constexpr std::uint8_t kNmiVector = 2;
  switch (event.type) {
    case EventType::kExternalInterrupt:
      return !event.has_error_code;
    case EventType::kNmi:
      return !event.has_error_code && event.vector == kNmiVector;
    case EventType::kHardwareException:
      return event.vector < 32 &&
             (!event.has_error_code ||
              (pushes_error_code(event.vector) && event.error_code <= kLargestErrorCode));
    case EventType::kSoftwareInterrupt:
    case EventType::kPrivilegedSoftwareException:
    case EventType::kSoftwareException:
      return !event.has_error_code && event.instruction_length >= 1 &&
             event.instruction_length <= kLongestInstruction;
  }
  return false;
}

[[nodiscard]] constexpr Event hardware_exception(std::uint8_t vector) {
  return {.type = EventType::kHardwareException, .vector = vector, .valid = true};
}
[[nodiscard]] constexpr Event hardware_exception(std::uint8_t vector, std::uint32_t error_code) {
  return {.type = EventType::kHardwareException,
          .vector = vector,
          .has_error_code = true,
          .error_code = error_code,
          .valid = true};
}

// The exit information of the loaded context (SDM vol. 3 24.9).
[[nodiscard]] std::uint64_t exit_qualification();

}  // namespace hv::vtx
