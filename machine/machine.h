// The seam: what software may ask of a computer.
//
// Everything above it (hv/, vmbus/, partitions/) reaches the computer through these headers alone;
// sim/ and metal/ each define the functions, one instruction or a few apiece, and nothing else
// differs between the two machines. A function acts on the processor that executes it, as an
// instruction does, so none takes a context argument.
//
// The functions come as three link sets, and a program that uses the wrong one does not link:
//   common    common.h, shared.h, testing.h, invariant.h   every program
//   VMX root  vmx_root.h                                    the hypervisor
//   guest     guest.h                                       the kernels of root and child
//   partitions
//
// This folder holds no policy and knows nothing of what runs above it or beneath it.
#pragma once

#include "machine/address.h"
#include "machine/common.h"
#include "machine/invariant.h"
#include "machine/shared.h"
#include "machine/spin_lock.h"
#include "machine/testing.h"
