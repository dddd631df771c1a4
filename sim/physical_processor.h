// What a bare logical processor answers: CPUID, and the MSRs that are neither the local APIC's nor
// VT-x's.
#pragma once

#include <cstdint>
#include <optional>

#include "machine/common.h"

namespace sim {

class LogicalProcessor;
class Computer;

[[nodiscard]] machine::CpuidResult physical_cpuid(const Computer& computer,
                                                  const LogicalProcessor& processor,
                                                  std::uint32_t leaf, std::uint32_t subleaf);

/// nullopt and false are #GP(0).
[[nodiscard]] std::optional<std::uint64_t> read_physical_msr(Computer& computer,
                                                             LogicalProcessor& processor,
                                                             std::uint32_t msr);
[[nodiscard]] bool write_physical_msr(LogicalProcessor& processor, std::uint32_t msr,
                                      std::uint64_t value);

}  // namespace sim
