// What CPUID's answers depend on, as it is in a partition by now.
#pragma once

#include "hv/cpuid/cpuid_table.h"

namespace hv {

class LogicalProcessor;
class Partition;
class VirtualProcessor;

/// For a virtual processor that runs here or is stopped. Takes the communication lock.
[[nodiscard]] CpuidSubject cpuid_subject(LogicalProcessor& processor, const VirtualProcessor& vp);
/// As its first virtual processor would answer.
[[nodiscard]] CpuidSubject cpuid_subject(LogicalProcessor& processor, const Partition& partition);

/// What CPUID answers; reads the executing processor's own CPUID for its leaves.
[[nodiscard]] machine::CpuidResult answer_cpuid(const CpuidSubject& subject, std::uint32_t leaf,
                                                std::uint32_t subleaf);

}  // namespace hv
