// Values of registers that are more than a number (TLFS "Virtual Processor Register Values").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hv {

/// A register's value as the register calls carry it.
struct alignas(8) RegisterValue {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend constexpr bool operator==(const RegisterValue&, const RegisterValue&) = default;
};
static_assert(sizeof(RegisterValue) == 16);

/// A segment register. Attributes: 3:0 type, 4 not a system segment, 6:5 DPL, 7 present,
/// 12 available, 13 long, 14 default size, 15 granularity.
struct SegmentRegister {
  std::uint64_t base = 0;
  std::uint32_t limit = 0;
  std::uint16_t selector = 0;
  std::uint16_t attributes = 0;
  friend constexpr bool operator==(const SegmentRegister&, const SegmentRegister&) = default;
};
static_assert(sizeof(SegmentRegister) == 16);
static_assert(offsetof(SegmentRegister, limit) == 8);
static_assert(offsetof(SegmentRegister, selector) == 12);
static_assert(offsetof(SegmentRegister, attributes) == 14);

inline constexpr std::uint16_t kSegmentCode64 = 0xA09B;  // present, code, accessed, L, G
inline constexpr std::uint16_t kSegmentData = 0xC093;    // present, data, accessed, D, G
inline constexpr std::uint16_t kSegmentTaskBusy = 0x008B;
inline constexpr std::uint16_t kSegmentLocalTable = 0x0082;

/// GDTR or IDTR.
struct TableRegister {
  std::array<std::uint16_t, 3> reserved{};
  std::uint16_t limit = 0;
  std::uint64_t base = 0;
  friend constexpr bool operator==(const TableRegister&, const TableRegister&) = default;
};
static_assert(sizeof(TableRegister) == 16);
static_assert(offsetof(TableRegister, limit) == 6);
static_assert(offsetof(TableRegister, base) == 8);

/// What HvCallStartVirtualProcessor starts with (TLFS HV_INITIAL_VP_CONTEXT).
struct InitialVpContext {
  std::uint64_t rip = 0;
  std::uint64_t rsp = 0;
  std::uint64_t rflags = 0;
  SegmentRegister cs;
  SegmentRegister ds;
  SegmentRegister es;
  SegmentRegister fs;
  SegmentRegister gs;
  SegmentRegister ss;
  SegmentRegister tr;
  SegmentRegister ldtr;
  TableRegister idtr;
  TableRegister gdtr;
  std::uint64_t efer = 0;
  std::uint64_t cr0 = 0;
  std::uint64_t cr3 = 0;
  std::uint64_t cr4 = 0;
  std::uint64_t pat = 0;
};
static_assert(sizeof(InitialVpContext) == 224);
static_assert(offsetof(InitialVpContext, cs) == 24);
static_assert(offsetof(InitialVpContext, ss) == 104);
static_assert(offsetof(InitialVpContext, tr) == 120);
static_assert(offsetof(InitialVpContext, idtr) == 152);
static_assert(offsetof(InitialVpContext, efer) == 184);
static_assert(offsetof(InitialVpContext, pat) == 216);

// Register ExplicitSuspend, InterceptSuspend, DispatchSuspend.
inline constexpr std::uint64_t kSuspended = 1u << 0;
inline constexpr std::uint64_t kInterceptSuspendTlbFlushInhibit = 1u << 1;

// Register InternalActivityState.
inline constexpr std::uint64_t kActivityStartupSuspend = 1u << 0;
inline constexpr std::uint64_t kActivityHaltSuspend = 1u << 1;
inline constexpr std::uint64_t kActivityIdleSuspend = 1u << 2;

// Register InterruptState.
inline constexpr std::uint64_t kInterruptShadow = 1u << 0;
inline constexpr std::uint64_t kNmiMasked = 1u << 1;

/// Register PendingInterruption.
struct PendingInterruption {
  static constexpr std::uint64_t kPending = 1u << 0;
  static constexpr unsigned kTypeShift = 1;
  static constexpr std::uint64_t kDeliverErrorCode = 1u << 4;
  static constexpr unsigned kInstructionLengthShift = 5;
  static constexpr unsigned kVectorShift = 16;
  static constexpr unsigned kErrorCodeShift = 32;

  std::uint64_t value = 0;
  [[nodiscard]] constexpr bool pending() const { return (value & kPending) != 0; }
  [[nodiscard]] constexpr std::uint8_t type() const {
    return static_cast<std::uint8_t>((value >> kTypeShift) & 7);
  }
  [[nodiscard]] constexpr bool deliver_error_code() const {
    return (value & kDeliverErrorCode) != 0;
  }
  [[nodiscard]] constexpr std::uint8_t instruction_length() const {
    return static_cast<std::uint8_t>((value >> kInstructionLengthShift) & 0xF);
  }
  [[nodiscard]] constexpr std::uint16_t vector() const {
    return static_cast<std::uint16_t>((value >> kVectorShift) & 0xFFFF);
  }
  [[nodiscard]] constexpr std::uint32_t error_code() const {
    return static_cast<std::uint32_t>(value >> kErrorCodeShift);
  }
};
static_assert(sizeof(PendingInterruption) == 8);

enum class InterruptionType : std::uint8_t {
  kInterrupt = 0,
  kNmi = 2,
  kException = 3,
  kSoftwareInterrupt = 4,
  kPrivilegedSoftwareException = 5,
  kSoftwareException = 6,
};

// Register DeliverabilityNotifications.
inline constexpr std::uint64_t kNotifyNmi = 1u << 0;
inline constexpr std::uint64_t kNotifyInterrupt = 1u << 1;
inline constexpr unsigned kNotifyPriorityShift = 2;
inline constexpr unsigned kNotifySintShift = 48;

// Register PendingEvent0 (low qword).
inline constexpr std::uint64_t kPendingEventPresent = 1u << 0;
inline constexpr unsigned kPendingEventTypeShift = 1;
inline constexpr std::uint64_t kPendingEventTypeException = 0;
inline constexpr std::uint64_t kPendingEventTypeExtInt = 5;
inline constexpr std::uint64_t kPendingEventDeliverErrorCode = 1u << 8;

/// Registers PendingEvent0 and 1: an exception with its vector in 31:16, its error code in 63:32
/// and its parameter (CR2 of a page fault) above; or an external interrupt with its vector in 15:8.
struct PendingEvent {
  RegisterValue value;
  [[nodiscard]] constexpr bool pending() const { return (value.low & kPendingEventPresent) != 0; }
  [[nodiscard]] constexpr std::uint64_t type() const {
    return (value.low >> kPendingEventTypeShift) & 7;
  }
  [[nodiscard]] constexpr bool deliver_error_code() const {
    return (value.low & kPendingEventDeliverErrorCode) != 0;
  }
  [[nodiscard]] constexpr std::uint16_t vector() const {
    return static_cast<std::uint16_t>(value.low >> 16);
  }
  [[nodiscard]] constexpr std::uint32_t error_code() const {
    return static_cast<std::uint32_t>(value.low >> 32);
  }
  [[nodiscard]] constexpr std::uint64_t parameter() const { return value.high; }
  [[nodiscard]] constexpr std::uint8_t external_vector() const {
    return static_cast<std::uint8_t>(value.low >> 8);
  }
};
static_assert(sizeof(PendingEvent) == 16);

}  // namespace hv
