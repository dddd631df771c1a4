// The hypervisor's entry: the one function of hv/ that a machine calls.
#pragma once

#include <cstdint>

#include "machine/boot.h"

namespace hv {

/// Starts the hypervisor on the executing logical processor (machine::HypervisorEntry). Processor 0
/// builds everything, the root partition included; the others wait for it. Ends only through
/// machine::stop().
[[noreturn]] void boot(const machine::BootInformation& information, std::uint32_t lp);

}  // namespace hv
