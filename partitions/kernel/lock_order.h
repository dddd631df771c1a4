// The locks of a kernel, in the order in which a processor may take them.
#pragma once

#include "machine/spin_lock.h"

namespace kernel {

inline constexpr machine::LockRank kPageAllocatorRank{10};
inline constexpr machine::LockRank kHeapRank{20};
/// Also taken by interrupt handlers, with interrupts disabled.
inline constexpr machine::LockRank kReadyQueueRank{30};

}  // namespace kernel
