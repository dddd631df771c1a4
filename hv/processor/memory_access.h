// What a guest's instruction does to memory that the EPT refused it: for what the hypervisor
// carries out itself, the local APIC's page and doorbells.
#pragma once

#include <cstdint>

#include "hv/instruction/memory_instruction.h"
#include "hv/vtx/exit.h"
#include "machine/address.h"

namespace hv {

class VirtualProcessor;

struct RefusedAccess {
  enum class Kind : std::uint8_t {
    /// Not an instruction that moves between a register and memory: the parent's to emulate.
    kUnknown,
    /// Another processor changes the instruction under our eyes: the guest executes it again.
    kChanged,
    kDecoded,
  };
  Kind kind = Kind::kUnknown;
  MemoryInstruction instruction;
};

/// Reads and decodes the instruction at RIP, which made the access at `gpa`. The virtual processor
/// is loaded here, and exited.
[[nodiscard]] RefusedAccess decode_refused_access(VirtualProcessor& vp, machine::Gpa gpa,
                                                  const vtx::EptViolation& violation);

}  // namespace hv
