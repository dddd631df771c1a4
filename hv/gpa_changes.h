// Changes of GPA spaces that every processor must come to know.
#pragma once

#include "hv/tlfs/status.h"

namespace hv {

class Hypervisor;
class Partition;

/// Makes every processor drop translations of the space that are no longer true, and lets go of
/// tables that fell out of use. Before it returns, nothing that was taken from the space may be
/// used for something else, and no note counts as forgotten. Under the management lock.
void finish_space_changes(Hypervisor& hypervisor, Partition& partition);

/// Lets processors note which pages the partition accesses and writes, or no longer. Under the
/// management lock; the partition is active. kPropertyValueOutOfRange if the processors cannot.
[[nodiscard]] Status set_access_tracking(Hypervisor& hypervisor, Partition& partition,
                                         bool tracking);

}  // namespace hv
