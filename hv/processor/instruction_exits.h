// Exits of single instructions and memory accesses: HLT, port I/O, control registers, CPUID, and
// accesses that the GPA space refuses. The VP is loaded here and exited.
#pragma once

#include "hv/memory/overlay_table.h"

namespace hv {

class LogicalProcessor;
class VirtualProcessor;

void handle_hlt(VirtualProcessor& vp);
void handle_io(LogicalProcessor& processor, VirtualProcessor& vp);
void handle_control_register(LogicalProcessor& processor, VirtualProcessor& vp);
void handle_xsetbv(LogicalProcessor& processor, VirtualProcessor& vp);
void handle_cpuid(LogicalProcessor& processor, VirtualProcessor& vp);
void handle_ept_violation(LogicalProcessor& processor, VirtualProcessor& vp);

/// What an overlay page does not allow: #GP for the hypercall page, else a machine check (TLFS
/// "Overlay Pages").
void refuse_overlay_access(VirtualProcessor& vp, OverlayKind kind);

}  // namespace hv
