// The parameters of every hypercall, a header for each chapter of the interface.
//
// A structure is the fixed part of the call's input; elements of a rep call and variable headers
// follow it. Reserved fields must be zero.
#pragma once

#include "hv/tlfs/hypercall_communication.h"
#include "hv/tlfs/hypercall_devices.h"
#include "hv/tlfs/hypercall_flush.h"
#include "hv/tlfs/hypercall_memory.h"
#include "hv/tlfs/hypercall_partition.h"
#include "hv/tlfs/hypercall_processor.h"
#include "hv/tlfs/hypercall_state.h"
#include "hv/tlfs/hypercall_system.h"
#include "hv/tlfs/intercept_results.h"
#include "hv/tlfs/statistics.h"
