// The pages by which a client signals without a hypercall. Two belong to a connection; the second,
// child to parent, is the one that clients write to. The layout is the hypervisor's.
#pragma once

#include "hv/tlfs/monitor_page.h"

namespace vmbus {

using hv::kMonitorAllGroups;
using hv::kMonitorDisabled;
using hv::kMonitorGroups;
using hv::kMonitorTriggersPerGroup;
using hv::MonitorPage;
using hv::MonitorParameter;
using hv::MonitorTrigger;
using hv::MonitorTriggerGroup;

}  // namespace vmbus
