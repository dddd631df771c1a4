// Names for places in the running program, for messages. Nothing that a run's hash covers may
// depend on them: they differ from build to build.
#pragma once

#include <cstdint>
#include <string>

namespace sim {

/// The function that `address` lies in and how far into it, like "hv::Scheduler::wake(...)+0x1c";
/// for what is no function of this program, the file and the place in it.
[[nodiscard]] std::string describe_place(std::uintptr_t address);

}  // namespace sim
