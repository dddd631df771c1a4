// INS and OUTS at ports that nobody has: what a child writes there is dropped, and what it reads
// are ones (TLFS "Intercepts"). The VP is loaded here and exited.
#pragma once

#include "hv/vtx/exit.h"

namespace hv {

class LogicalProcessor;
class VirtualProcessor;

/// Carries out as much of the instruction as one exit may take, a part of a page; the guest
/// executes the rest of a repeated one. What the guest's tables refuse is a page fault, what its
/// GPA space refuses is the parent's.
void complete_string_io(LogicalProcessor& processor, VirtualProcessor& vp,
                        const vtx::IoExit& access);

}  // namespace hv
