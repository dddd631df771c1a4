// What a write to an interrupt command register asks for (SDM vol. 3 10.6, 10.12.9).
#pragma once

#include <cstdint>

namespace hv {

enum class InterruptDelivery : std::uint8_t {
  kFixed = 0,
  kLowestPriority = 1,
  kSmi = 2,
  kRemoteRead = 3,
  kNmi = 4,
  kInit = 5,
  kStartup = 6,
  kExtInt = 7,
};

enum class DestinationShorthand : std::uint8_t { kNone, kSelf, kAllWithSelf, kAllButSelf };

/// Whom an interrupt is for. A broadcast is physical or logical 0xFFFFFFFF.
struct InterruptDestination {
  static constexpr std::uint32_t kBroadcast = 0xFFFF'FFFF;
  std::uint32_t id = 0;
  bool logical = false;
};

struct InterruptCommand {
  static constexpr std::uint64_t kVectorMask = 0xFF;
  static constexpr unsigned kDeliveryShift = 8;
  static constexpr std::uint64_t kLogical = 1u << 11;
  static constexpr std::uint64_t kAssert = 1u << 14;
  static constexpr std::uint64_t kLevel = 1u << 15;
  static constexpr unsigned kShorthandShift = 18;
  static constexpr unsigned kDestinationShift = 32;
  static constexpr unsigned kXapicDestinationShift = 56;
  /// The bits of an x2APIC ICR that must be zero; 12, the delivery status, is ignored.
  static constexpr std::uint64_t kReservedBits = 0xFFF3'2000;

  InterruptDelivery delivery = InterruptDelivery::kFixed;
  std::uint8_t vector = 0;
  DestinationShorthand shorthand = DestinationShorthand::kNone;
  InterruptDestination destination;
  /// Level triggered, which only a parent can ask for; `deassert` takes such requests back.
  bool level = false;
  bool deassert = false;
  /// Nothing is sent: a delivery mode that is reserved; a shorthand with the sender in it for
  /// anything but fixed interrupts (SDM vol. 3 table 10-3 calls these invalid); or INIT with level
  /// trigger and no assert, which synchronizes arbitration ids that no processor here has.
  bool goes_nowhere = false;

  /// The x2APIC form: destination in 63:32.
  [[nodiscard]] static constexpr InterruptCommand decode(std::uint64_t value) {
    InterruptCommand command;
    command.delivery = static_cast<InterruptDelivery>((value >> kDeliveryShift) & 7);
    command.vector = static_cast<std::uint8_t>(value & kVectorMask);
    command.shorthand = static_cast<DestinationShorthand>((value >> kShorthandShift) & 3);
    command.destination = {static_cast<std::uint32_t>(value >> kDestinationShift),
                           (value & kLogical) != 0};
    const bool is_reserved = command.delivery == InterruptDelivery::kRemoteRead ||
                             command.delivery == InterruptDelivery::kExtInt;
    const bool includes_sender = command.shorthand == DestinationShorthand::kSelf ||
                                 command.shorthand == DestinationShorthand::kAllWithSelf;
    const bool is_init_deassert = command.delivery == InterruptDelivery::kInit &&
                                  (value & kLevel) != 0 && (value & kAssert) == 0;
    command.goes_nowhere = is_reserved || is_init_deassert ||
                           (includes_sender && command.delivery != InterruptDelivery::kFixed);
    return command;
  }
};

/// The synthetic ICR MSR (TLFS "Synthetic MSRs for interrupt control") has the xAPIC's destination,
/// 63:56; the same command in the x2APIC form.
[[nodiscard]] constexpr std::uint64_t x2apic_icr_from_xapic(std::uint64_t value) {
  const std::uint64_t destination = value >> InterruptCommand::kXapicDestinationShift;
  const std::uint64_t wide = destination == 0xFF ? InterruptDestination::kBroadcast : destination;
  return (value & 0xFFFF'FFFF) | (wide << InterruptCommand::kDestinationShift);
}
[[nodiscard]] constexpr std::uint64_t xapic_icr_from_x2apic(std::uint64_t value) {
  const std::uint64_t destination = (value >> InterruptCommand::kDestinationShift) & 0xFF;
  return (value & 0xFFFF'FFFF) | (destination << InterruptCommand::kXapicDestinationShift);
}

}  // namespace hv
