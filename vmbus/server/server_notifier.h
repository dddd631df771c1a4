// The one narrow way out of the server: what it asks its owner to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vmbus/gpadl_table.h"
#include "vmbus/server/offers.h"

namespace vmbus {

/// A request is answered by the server's function of the same name with _complete, at once from
/// within the call or any time later, once. The devices answer a retarget before they answer the
/// close that follows it.
class ServerNotifier {
 public:
  /// Posts a message to the client: SINT kVmbusSint, type kVmbusMessageType, processor `target_vp`.
  /// Messages arrive in the order of the calls.
  virtual void send_message(std::uint32_t target_vp, std::span<const std::byte> message) = 0;

  /// The same for whoever opened a reserved channel, which may be no longer connected.
  virtual void send_reserved_message(const ReservedTarget& target,
                                     std::span<const std::byte> message) = 0;
  /// From now on keeps the messages of send_message() back, or sends them again, those that waited
  /// first. Does not concern what was asked for before.
  virtual void hold_messages(bool hold) = 0;
  /// Whoever the messages of send_message() were for is gone: what has not reached it by now may
  /// not reach whoever comes next. Called between messages of two connections.
  virtual void forget_messages() = 0;

  /// A client makes contact. contact_complete() says whether it is welcome.
  virtual void contact(const Contact& contact) = 0;
  /// The connection has ended: every channel is closed and every GPADL gone; forget the monitor
  /// pages.
  virtual void disconnected() = 0;

  /// The client names other monitor pages. False if it may not have these: the old ones stay.
  [[nodiscard]] virtual bool change_monitor_pages(const MonitorPages& pages) = 0;

  /// A client wants a stream to a service. Make an offer of the service's type with the endpoint's
  /// instance, or refuse it with refuse_tl_connect(); now or later.
  virtual void tl_connect(const TlConnect& request) = 0;

  /// Start the device's end of the channel. `rings` holds until the ring GPADL is released.
  virtual void open(OfferId offer, const ChannelOpening& opening, const RingPages& rings) = 0;
  /// Stop: after close_complete() the device touches neither the rings nor the client's pages.
  virtual void close(OfferId offer) = 0;
  /// Send this open channel's interrupts to another processor.
  virtual void retarget(OfferId offer, std::uint32_t target_vp) = 0;

  /// The client lends pages. `gpadl.values` stays valid until the device has let go.
  /// gpadl_complete() takes or refuses them; whether the pages exist is checked there.
  virtual void gpadl(OfferId offer, const Gpadl& gpadl) = 0;
  /// The client wants its pages back: gpadl_release_complete() promises that they will not be
  /// touched again. The ring of a channel is asked for only after the channel has closed.
  virtual void gpadl_release(OfferId offer, GpadlId id) = 0;

 protected:
  ~ServerNotifier() = default;
};

}  // namespace vmbus
