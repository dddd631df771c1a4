// What the hypervisor needs of a processor, told before anything fails for the lack of it.
#pragma once

namespace metal {

/// Writes one line on the serial port for each thing that is missing; returns whether all is there.
[[nodiscard]] bool processor_has_what_is_needed();

/// Sets the control-register bits that VMX operation requires (SDM vol. 3 A.7, A.8).
void allow_vmx_operation();

}  // namespace metal
