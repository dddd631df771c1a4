// The register page of a VP (TLFS HvCallMapVpStatePage): filled when the VP is suspended for its
// parent, read when the parent lets it run on. The VP is loaded here.
#pragma once

namespace hv {

class Hypervisor;
class VirtualProcessor;

/// If the parent has the page. Under the communication lock.
void fill_register_page(VirtualProcessor& vp);
/// Takes over the classes of registers that the parent marked; the page is not valid after. A value
/// that a register does not take leaves that register alone. No lock is held.
void take_register_page(Hypervisor& hypervisor, VirtualProcessor& vp);

/// The VP starts from anew: what the page says is no longer so. No lock is held.
void drop_register_page(Hypervisor& hypervisor, VirtualProcessor& vp);

}  // namespace hv
