// RDMSR and WRMSR exits. The VP is loaded here and exited.
#pragma once

namespace hv {

class LogicalProcessor;
class VirtualProcessor;

void handle_rdmsr(LogicalProcessor& processor, VirtualProcessor& vp);
void handle_wrmsr(LogicalProcessor& processor, VirtualProcessor& vp);

}  // namespace hv
