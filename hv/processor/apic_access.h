// Accesses to a virtual processor's local APIC, by whichever way they come: MSRs, synthetic MSRs,
// the xAPIC's page, its parent's register calls. Carries out what a write asks for.
//
// The virtual processor is loaded here, or stopped. Each takes its lock.
#pragma once

#include <cstdint>
#include <optional>

#include "hv/vtx/exit.h"
#include "machine/address.h"

namespace hv {

class Hypervisor;
class LogicalProcessor;
class VirtualProcessor;

/// Registers by the x2APIC's numbers, whatever the mode. Nothing: #GP.
[[nodiscard]] std::optional<std::uint64_t> read_apic_register(VirtualProcessor& vp,
                                                              std::uint32_t msr);
enum class ApicWriter : std::uint8_t { kGuest, kParent };
enum class ApicWriteResult : std::uint8_t {
  kDone,
  kFault,
  /// The parent completes the guest's instruction.
  kIntercepted,
};
[[nodiscard]] ApicWriteResult write_apic_register(Hypervisor& hypervisor, VirtualProcessor& vp,
                                                  std::uint32_t msr, std::uint64_t value,
                                                  ApicWriter writer);

[[nodiscard]] std::uint64_t read_apic_base(VirtualProcessor& vp);
/// False: #GP.
[[nodiscard]] bool write_apic_base(VirtualProcessor& vp, std::uint64_t value);

/// An access that the EPT refused, at `gpa`, if it is to the page of an xAPIC: reads the guest's
/// instruction and carries it out. False: it is not, or the instruction is none that moves between
/// a register and memory, so it is the parent's to emulate. An instruction that another processor
/// changes under our eyes is left for the guest to execute again.
[[nodiscard]] bool emulate_apic_page(LogicalProcessor& processor, VirtualProcessor& vp,
                                     machine::Gpa gpa, const vtx::EptViolation& violation);

}  // namespace hv
