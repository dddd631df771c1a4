// The local APIC of the executing logical processor, in x2APIC mode (SDM vol. 3 10.12): what the
// hypervisor needs of it for itself.
#pragma once

#include <cstdint>
#include <optional>

namespace hv::physical_apic {

/// Interrupts of the processor that belong to the hypervisor; those below are the root's.
inline constexpr std::uint8_t kFirstHypervisorVector = 0xE0;
inline constexpr std::uint8_t kKickVector = 0xE0;
inline constexpr std::uint8_t kTimerVector = 0xE1;
inline constexpr std::uint8_t kSpuriousVector = 0xFF;
/// Below are the exceptions.
inline constexpr std::uint8_t kFirstInterruptVector = 0x20;

/// Turns x2APIC mode on. `takes_legacy_interrupts` leaves the line of the legacy interrupt
/// controller open (virtual wire mode); one processor has it.
void enable(bool takes_legacy_interrupts);

void end_of_interrupt();
/// What the legacy interrupt controller signals never is.
[[nodiscard]] bool in_service(std::uint8_t vector);

/// Of those of devices; nothing if none is.
[[nodiscard]] std::optional<std::uint8_t> highest_in_service();

/// Interrupts another processor with kKickVector.
void kick(std::uint32_t apic_id);

/// Interrupts the executing processor with kTimerVector when its TSC reaches `deadline`; 0 disarms.
void set_timer(std::uint64_t deadline);

}  // namespace hv::physical_apic
