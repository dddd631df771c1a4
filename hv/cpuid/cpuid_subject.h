// What CPUID's answers depend on, as it is in a partition by now.
#pragma once

#include "hv/cpuid/cpuid_table.h"

namespace hv {

class LogicalProcessor;
class Partition;
class VirtualProcessor;

/// For a virtual processor that runs here or is stopped, and one leaf. Takes the communication lock
/// for a leaf that depends on how many there are.
[[nodiscard]] CpuidSubject cpuid_subject(LogicalProcessor& processor, const VirtualProcessor& vp,
                                         std::uint32_t leaf);
/// As its first virtual processor would answer. Takes the communication lock.
[[nodiscard]] CpuidSubject cpuid_subject(LogicalProcessor& processor, const Partition& partition);

/// The components of extended state that the partition's processors have, of those that the
/// computer's have: bits of XCR0.
[[nodiscard]] std::uint64_t offered_components(std::uint64_t processor_components,
                                               const Partition& partition);

/// What CPUID answers; reads the executing processor's own CPUID for its leaves.
[[nodiscard]] machine::CpuidResult answer_cpuid(const CpuidSubject& subject, std::uint32_t leaf,
                                                std::uint32_t subleaf);

}  // namespace hv
