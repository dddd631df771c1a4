// A partition starts anew, as its guest asked for (TLFS "System Reset MSR").
#pragma once

namespace hv {

class LogicalProcessor;
class VirtualProcessor;

/// Puts every virtual processor of the caller's partition into its state after power-up, takes the
/// overlay pages away, and forgets what the guest set for the partition. Memory, ports and
/// connections stay, and so does the time. The first virtual processor goes on at its reset vector,
/// the others wait to be started; those that their parent suspended stay so. The root's reset ends
/// the run.
///
/// `vp` runs here and has exited. No lock is held. False, with nothing changed: another processor
/// stops something just now.
[[nodiscard]] bool reset_partition(LogicalProcessor& processor, VirtualProcessor& vp);

}  // namespace hv
