// A device behind a channel of the bus, as the bus sees it.
#pragma once

#include <span>

#include "hv/tlfs/ports.h"
#include "machine/address.h"
#include "partitions/root/bus/event_flags.h"
#include "vmbus/ring.h"
#include "vmbus/ring_memory.h"
#include "vmbus/server/offers.h"

namespace root {

/// What a device asks of the bus that it is on, and tells it, by the number of its channel.
class ChannelOwner {
 public:
  /// It has let go of its channel.
  virtual void device_closed(std::size_t channel) = 0;
  /// Its client was granted `count` sub-channels: they are offered as make_subchannel() makes them,
  /// and end with the channel.
  virtual void offer_subchannels(std::size_t channel, std::uint16_t count) = 0;
  /// It wants to be taken away for good.
  virtual void end_channel(std::size_t channel) = 0;

 protected:
  ~ChannelOwner() = default;
};

/// The rings of an open channel: pages of root RAM, the control page first. They stay until the
/// device has closed.
struct ChannelRings {
  std::span<const machine::Gpn> from_child;
  std::span<const machine::Gpn> to_child;
  /// Signalling it interrupts the child.
  hv::ConnectionId signal{};
  /// The channel's in traces.
  std::uint64_t track = 0;
  ChannelOwner* owner = nullptr;
  std::size_t channel = 0;

  /// Whether the child says in its own ring that it signals when it has made room; if not, who
  /// waits for room has to look again.
  [[nodiscard]] vmbus::SpaceSignals space_signals() const {
    vmbus::GpaPagesMemory incoming(from_child);
    return vmbus::space_signals_of_peer(incoming);
  }
};

class BusDevice : public SignalReceiver {
 public:
  [[nodiscard]] virtual vmbus::Offer offer() const = 0;
  /// False, with nothing changed, if there is no memory for it.
  [[nodiscard]] virtual bool open(const ChannelRings& rings) = 0;
  /// Ends with ChannelOwner::device_closed: nothing of the child's is touched from then on.
  virtual void close() = 0;
  /// The device behind its sub-channel of this index, from 1 on; null if it has none, or there is
  /// no memory for it.
  [[nodiscard]] virtual BusDevice* make_subchannel(std::uint16_t index) = 0;
  /// Whether it goes when its client has closed it, or has left without opening it.
  [[nodiscard]] virtual bool is_for_one_opening() const { return false; }
  /// Frees the device itself. It is closed.
  virtual void destroy() = 0;

 protected:
  ~BusDevice() = default;
};

}  // namespace root
