// Registers of a virtual processor by their names (TLFS "Virtual Processor Register Names"). The VP
// is loaded on the executing processor, and no lock is held.
#pragma once

#include <expected>

#include "hv/tlfs/register_names.h"
#include "hv/tlfs/register_values.h"
#include "hv/tlfs/status.h"

namespace hv {

class Hypervisor;
class VirtualProcessor;

/// kUnknownRegisterName for a name that the hypervisor does not have; kInvalidParameter for a
/// register that cannot be read.
[[nodiscard]] std::expected<RegisterValue, Status> read_register(Hypervisor& hypervisor,
                                                                 VirtualProcessor& vp,
                                                                 RegisterName name);
/// kUnknownRegisterName, kInvalidParameter for a register that is read-only, kInvalidRegisterValue
/// for a value that it does not take; nothing has changed then.
[[nodiscard]] Status write_register(Hypervisor& hypervisor, VirtualProcessor& vp, RegisterName name,
                                    const RegisterValue& value);

/// Whether write_initial_context() would take it.
[[nodiscard]] bool is_legal_initial_context(const InitialVpContext& initial);
/// What HvCallStartVirtualProcessor starts with; legal.
void write_initial_context(VirtualProcessor& vp, const InitialVpContext& initial);

}  // namespace hv
