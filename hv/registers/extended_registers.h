// The x87 and SSE registers of a virtual processor, and XCR0, by their names (TLFS "Virtual
// Processor Register Names"). The VP is loaded on the executing processor, or its parts that lie in
// memory are to be had because it is stopped.
#pragma once

#include <optional>

#include "hv/tlfs/register_names.h"
#include "hv/tlfs/register_values.h"

namespace hv {

class VirtualProcessor;

[[nodiscard]] bool is_extended_register(RegisterName name);
/// Of a name for which that is true.
[[nodiscard]] RegisterValue read_extended_register(VirtualProcessor& vp, RegisterName name);
/// False, with nothing changed, for a value that the register does not take.
[[nodiscard]] bool write_extended_register(VirtualProcessor& vp, RegisterName name,
                                           const RegisterValue& value);

}  // namespace hv
