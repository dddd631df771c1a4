// From a request to a guest's interrupt: timers, SynIC, local APIC and legacy vectors on one side,
// the event that the next entry injects on the other.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "hv/apic/interrupt_command.h"
#include "hv/apic/local_apic.h"
#include "hv/synic/queued_message.h"
#include "hv/synic/synic.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/status.h"

namespace hv {

class Hypervisor;
class Partition;
class Port;
class VirtualProcessor;

/// Makes the virtual processor, which is loaded here, ready for its next entry: carries out INIT
/// and startup, lets timers expire, chooses what to inject. False if it is suspended or waits for
/// an interrupt; `wake_at` then says until when.
[[nodiscard]] bool prepare_to_run(VirtualProcessor& vp, std::uint64_t now);

/// How long it has run so far. Takes the scheduler lock.
[[nodiscard]] std::uint64_t run_time_100ns(Hypervisor& hypervisor, const VirtualProcessor& vp);

/// Requests the interrupts of SINTs. Under the VP's lock.
void request_sints(VirtualProcessor& vp, SintSet requested);
/// Offers queued messages to the empty slots. Under the VP's lock.
void deliver_messages(VirtualProcessor& vp);

/// Posts a complete message, whose buffer is marked busy, and tells the VP. Takes the VP's lock.
void post_message(Hypervisor& hypervisor, VirtualProcessor& target, std::uint32_t sint,
                  QueuedMessage& message);
/// Posts a message through a message port, and tells the VP: into its slot if that is empty, else
/// in one of the port's buffers. kInvalidSynicState if the VP is no target for it;
/// kInsufficientBuffers when all buffers are under way. Under the communication lock; takes the
/// VP's lock.
[[nodiscard]] Status post_message_of_port(Hypervisor& hypervisor, VirtualProcessor& target,
                                          Port& port, MessageType type,
                                          std::span<const std::byte> payload);
/// Synic::post_at_once(), and tells the VP. Takes the VP's lock.
[[nodiscard]] Status post_message_at_once(Hypervisor& hypervisor, VirtualProcessor& target,
                                          std::uint32_t sint, const QueuedMessage& message);
struct SignalResult {
  Status status = Status::kSuccess;
  bool newly_set = false;
};
/// Sets an event flag, and tells the VP. Takes the VP's lock.
[[nodiscard]] SignalResult signal_event(Hypervisor& hypervisor, VirtualProcessor& target,
                                        std::uint32_t sint, std::uint32_t flag);
/// Requests a fixed interrupt. Takes the VP's lock.
void request_interrupt(Hypervisor& hypervisor, VirtualProcessor& target, std::uint8_t vector,
                       Trigger trigger = Trigger::kEdge);

/// Carries out what a VP wrote to its interrupt command register. Takes the communication lock.
void send_interrupt(Hypervisor& hypervisor, VirtualProcessor& source,
                    const InterruptCommand& command);
/// Interrupts VPs of a partition from outside, as a device does. False if the command addresses
/// none. Takes the communication lock.
[[nodiscard]] bool send_interrupt(Hypervisor& hypervisor, Partition& partition,
                                  const InterruptCommand& command);

/// The one VP that a command of `source` addresses; kVpIndexAny for more, nothing for none. Takes
/// the communication lock.
[[nodiscard]] std::optional<VpIndex> only_destination(Hypervisor& hypervisor,
                                                      VirtualProcessor& source,
                                                      const InterruptCommand& command);

/// A parent's signal at LINT0 or LINT1 of the local APICs that the command addresses: each does
/// what its local vector table says, and nothing where the pin is masked. The command's vector is
/// what an ExtINT comes with. kInvalidVpIndex: it addresses none; kAcknowledged as in
/// assert_external(). Takes the communication lock.
[[nodiscard]] Status signal_local_pin(Hypervisor& hypervisor, Partition& partition,
                                      std::uint32_t pin, const InterruptCommand& command);

/// The line of a child's external interrupt, or no line: it passes the local APIC by. The computer
/// has one interrupt controller for them, whichever VP it is wired to (SDM vol. 3 10.5.1).
/// kAcknowledged: a VP took one that was not cleared since. Takes the locks of the child's VPs.
[[nodiscard]] Status assert_external(Hypervisor& hypervisor, VirtualProcessor& target,
                                     std::optional<std::uint8_t> vector);
/// kNotAcknowledged: no VP took one. Takes the locks of the VPs.
[[nodiscard]] Status clear_external(Partition& partition);

}  // namespace hv
