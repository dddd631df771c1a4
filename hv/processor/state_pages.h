// Pages of a VP that its parent sees while the VP waits for it: its registers, and the message of
// its intercept (TLFS HvCallMapVpStatePage). They are the child's, taken from its pool; the parent
// sees them over its own memory.
#pragma once

#include <expected>
#include <optional>

#include "hv/tlfs/hypercall_state.h"
#include "hv/tlfs/status.h"
#include "machine/address.h"

namespace hv {

class Hypervisor;
class VirtualProcessor;

// All under the management lock; of a VP that has a parent.

/// Shows the page at `place`, or where it lies in the system. From the next intercept on it is
/// filled. kInvalidParameter: a type that there is not, or no place for an overlay.
/// kOperationDenied: the parent sees it already, or wanted no message pages when it made the
/// partition. kInsufficientMemory: in the child's pool; kNoResources: in the parent's own, which no
/// deposit for the child mends.
[[nodiscard]] std::expected<machine::Gpn, Status> map_state_page(Hypervisor& hypervisor,
                                                                 VirtualProcessor& vp,
                                                                 VpStatePageType type,
                                                                 std::optional<machine::Gpn> place);
/// kInvalidParameter as above; kOperationDenied: the parent does not see it.
[[nodiscard]] Status unmap_state_page(Hypervisor& hypervisor, VirtualProcessor& vp,
                                      VpStatePageType type);
/// The VP goes away, and its pages with it.
void unmap_state_pages(Hypervisor& hypervisor, VirtualProcessor& vp);

}  // namespace hv
