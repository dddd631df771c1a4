// The "no EOI required" protocol (TLFS "EOI Assist"): in the VP assist page the hypervisor tells a
// guest that the interrupt it takes needs no EOI, and learns later whether the guest made use of
// it.
//
// A bit stands in the page while an offer is open. The guest exchanges it with 0; who finds it set
// has the offer: the guest, so that its interrupt has ended, or the hypervisor, so that the guest
// will write an EOI. All under the VP's lock.
#pragma once

#include <cstdint>

namespace hv {

class VirtualProcessor;

/// `vector` is about to be taken. Offers to do without its EOI, if the guest has turned its page
/// on, nobody else has to hear of the end, and nothing waits for it.
void offer_lazy_end(VirtualProcessor& vp, std::uint8_t vector);

/// Ends the interrupt if the guest has taken the offer; takes it back if something has come to
/// wait for the EOI. Before each look at what is in service.
void settle_lazy_end(VirtualProcessor& vp);

/// Takes the offer back, whether or not anything waits.
void withdraw_lazy_end(VirtualProcessor& vp);

}  // namespace hv
