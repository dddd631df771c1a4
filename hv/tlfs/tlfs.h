// The interface that the hypervisor publishes: the structures, numbers and bit layouts of the
// Hypervisor Top Level Functional Specification (TLFS), and nothing that runs.
//
// This is the only part of hv/ that others include: vmbus/, the kernels and tests speak it. Each
// header takes one chapter; this one takes them all. It may not know how the hypervisor works.
#pragma once

#include "hv/tlfs/cpuid.h"
#include "hv/tlfs/hypercall.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "hv/tlfs/intercepts.h"
#include "hv/tlfs/messages.h"
#include "hv/tlfs/monitor_page.h"
#include "hv/tlfs/msr.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/ports.h"
#include "hv/tlfs/privileges.h"
#include "hv/tlfs/processor_features.h"
#include "hv/tlfs/reference_tsc.h"
#include "hv/tlfs/register_names.h"
#include "hv/tlfs/register_page.h"
#include "hv/tlfs/register_values.h"
#include "hv/tlfs/statistics.h"
#include "hv/tlfs/status.h"
#include "hv/tlfs/synic.h"
#include "hv/tlfs/timers.h"
