// A device behind a channel of the bus, as the bus sees it.
#pragma once

#include <span>

#include "hv/tlfs/ports.h"
#include "machine/address.h"
#include "partitions/root/bus/event_flags.h"
#include "vmbus/server/offers.h"

namespace root {

/// The rings of an open channel: pages of root RAM, the control page first. They stay until the
/// device has closed.
struct ChannelRings {
  std::span<const machine::Gpn> from_child;
  std::span<const machine::Gpn> to_child;
  /// Signalling it interrupts the child.
  hv::ConnectionId signal{};
  /// The channel's in traces.
  std::uint64_t track = 0;
};

/// Told when a device has let go of its channel.
class ChannelOwner {
 public:
  virtual void device_closed(std::size_t channel) = 0;

 protected:
  ~ChannelOwner() = default;
};

class BusDevice : public SignalReceiver {
 public:
  [[nodiscard]] virtual vmbus::Offer offer() const = 0;
  virtual void open(const ChannelRings& rings) = 0;
  /// Ends with ChannelOwner::device_closed: nothing of the child's is touched from then on.
  virtual void close(ChannelOwner& owner, std::size_t channel) = 0;
  /// Frees the device itself. It is closed.
  virtual void destroy() = 0;

 protected:
  ~BusDevice() = default;
};

}  // namespace root
