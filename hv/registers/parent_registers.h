// Registers that are there for a parent: events that it asks for, what it waits to be told, what
// the hypervisor is, and the few that are kept without effect (TLFS "Virtual Processor Register
// Names"). The VP is loaded here, and no lock is held.
#pragma once

#include <expected>
#include <optional>

#include "hv/tlfs/register_names.h"
#include "hv/tlfs/register_values.h"
#include "hv/tlfs/status.h"

namespace hv {

class Hypervisor;
class VirtualProcessor;

/// Nothing: the register is none of these.
[[nodiscard]] std::optional<RegisterValue> read_parent_register(Hypervisor& hypervisor,
                                                                VirtualProcessor& vp,
                                                                RegisterName name);
/// Nothing: the register is none of these. kInvalidParameter: it cannot be written;
/// kInvalidRegisterValue: it does not take the value; nothing has changed then.
[[nodiscard]] std::optional<Status> write_parent_register(Hypervisor& hypervisor,
                                                          VirtualProcessor& vp, RegisterName name,
                                                          const RegisterValue& value);

/// The parent lets the VP's TLB be flushed again, or the VP goes away: those who waited go on.
/// Takes the communication lock.
void end_flush_inhibition(Hypervisor& hypervisor, VirtualProcessor& vp);

}  // namespace hv
