// A small enlightened guest: boot, Plug and Play manager, storage client, workloads.
//
// The root loads its image into a child partition and calls boot() on VP 0; VP 0 starts the other
// VPs at boot_processor(). It logs and reports through SynIC connections to the root
// (partitions/kernel/root_services.h) and knows nothing of the partition that serves it otherwise.
// Which parameters it understands stands in parameters.h.
#pragma once

namespace child {

/// The entry of VP 0 and of the other VPs; see machine/image.h. They do not return.
[[noreturn]] void boot();
[[noreturn]] void boot_processor();

}  // namespace child
