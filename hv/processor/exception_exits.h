// Exceptions of a guest that its parent wants to hear of. The VP is loaded here and exited.
#pragma once

#include <cstdint>

namespace hv {

class LogicalProcessor;
class VirtualProcessor;

/// Makes the processor exit for the exceptions that the parent installed, from the next entry on.
void apply_exception_intercepts(VirtualProcessor& vp);
/// An exception, or an NMI of this processor's own.
void handle_exception(LogicalProcessor& processor, VirtualProcessor& vp);

}  // namespace hv
