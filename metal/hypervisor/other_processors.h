// Starting the processors that the firmware has left waiting for a start-up IPI.
#pragma once

#include "machine/boot.h"
#include "metal/hypervisor/acpi.h"

namespace metal {

/// Starts every processor of the list but the executing one, one after the other, and enters those
/// that answer into `information`; the executing one is processor 0. Uses the local APIC in x2APIC
/// mode, which it switches on, and the frequency in `information` for the waits between IPIs.
void start_other_processors(const ProcessorList& list, machine::BootInformation& information);

/// Lets the started processors go on into the hypervisor.
void release_other_processors();

}  // namespace metal
