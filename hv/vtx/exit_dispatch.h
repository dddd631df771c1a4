// From a VM exit to its handler: the one place that knows what every exit means.
#pragma once

#include "hv/vtx/exit.h"

namespace hv {
class LogicalProcessor;
class VirtualProcessor;
}  // namespace hv

namespace hv::vtx {

/// Handles the exit that the processor's guest just took. The VP stays loaded; when it is not to
/// run on, its suspend state says so.
void dispatch_exit(LogicalProcessor& processor, VirtualProcessor& vp, Exit exit);

}  // namespace hv::vtx
