// Exits of single instructions and memory accesses: HLT, port I/O, control registers, CPUID, and
// accesses that the GPA space refuses. The VP is loaded here and exited.
#pragma once

namespace hv {

class LogicalProcessor;
class VirtualProcessor;

void handle_hlt(VirtualProcessor& vp);
void handle_io(LogicalProcessor& processor, VirtualProcessor& vp);
void handle_control_register(LogicalProcessor& processor, VirtualProcessor& vp);
void handle_xsetbv(LogicalProcessor& processor, VirtualProcessor& vp);
void handle_cpuid(LogicalProcessor& processor, VirtualProcessor& vp);
void handle_ept_violation(LogicalProcessor& processor, VirtualProcessor& vp);

}  // namespace hv
