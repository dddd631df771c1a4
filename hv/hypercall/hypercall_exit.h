// VMCALL exits: from the guest's registers to a handler and back (TLFS "Hypercall Interface").
#pragma once

namespace hv {

class LogicalProcessor;
class VirtualProcessor;

void handle_hypercall(LogicalProcessor& processor, VirtualProcessor& vp);

}  // namespace hv
