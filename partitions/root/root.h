// The root partition's program: the virtualization stack.
//
// It owns the physical devices and all RAM that the hypervisor left it, creates, starts, serves and
// deletes the child partitions that its parameters name, gets every page back, and powers off.
// The machine calls boot() on VP 0 of the root image and boot_processor() on any other. It speaks
// to the hypervisor through hv/tlfs/ and to the computer through the seam, and knows neither's
// inside; which keys it understands stands in parameters.h.
#pragma once

namespace root {

/// The entry of VP 0 and of the other VPs; see machine/image.h. They do not return.
[[noreturn]] void boot();
[[noreturn]] void boot_processor();

}  // namespace root
