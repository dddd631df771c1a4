#include "partitions/root/streams/stream_end.h"

#include <utility>

#include "machine/testing.h"
#include "partitions/kernel/posting.h"
#include "vmbus/packet_trace.h"
#include "vmbus/protocol/bytes.h"

namespace root {

namespace {

constexpr std::uint16_t kOnlyFlag = 0;
constexpr std::uint64_t kPollAgain100ns = 1'000;
constexpr machine::Site kClosedWithData("root.stream.closed_with_data_in_flight");

}  // namespace

StreamEnd::Session::Session(const ChannelRings& rings)
    : incoming(vmbus::GpaPagesMemory(rings.from_child)),
      outgoing(vmbus::GpaPagesMemory(rings.to_child), rings.space_signals()),
      signal(rings.signal),
      track(rings.track),
      owner(*rings.owner),
      channel(rings.channel) {}

vmbus::Offer StreamEnd::offer() const {
  vmbus::Offer offer;
  offer.interface_type = service_;
  offer.interface_instance = endpoint_;
  offer.flags = vmbus::kOfferEnumerateDeviceInterface | vmbus::kOfferTlnpiProvider;
  return offer;
}

bool StreamEnd::open(const ChannelRings& rings) {
  INVARIANT(session_ == nullptr);
  session_ = kernel_.heap().try_create<Session>(rings);
  if (session_ == nullptr) {
    return false;
  }
  vmbus::GpaPagesMemory outgoing(rings.to_child);
  vmbus::announce_pending_send_size(outgoing);
  opened();
  something_to_do_.give();
  serve().spawn();
  return true;
}

void StreamEnd::close() {
  closing_ = true;
  something_to_do_.give();
}

kernel::Task<> StreamEnd::serve() {
  while (!closing_) {
    const Step step = turn();
    if (step == Step::kWaitForSignal) {
      co_await something_to_do_.wait();
    } else if (step == Step::kWaitForTime) {
      co_await kernel::sleep_for(kPollAgain100ns);
    } else {
      co_await kernel::Yield();
    }
  }
  take_the_last();
  machine::sometimes(kClosedWithData, session_->packet_bytes != 0);
  ChannelOwner& owner = session_->owner;
  const std::size_t channel = session_->channel;
  kernel_.heap().destroy(session_);
  session_ = nullptr;
  closing_ = false;
  owner.device_closed(channel);
}

StreamEnd::Step StreamEnd::turn() {
  Session& session = *session_;
  if (session.broken || session.finished) {
    return Step::kWaitForSignal;
  }
  if (session.packet_bytes != 0) {
    return send();
  }
  session.incoming.mask();
  vmbus::PacketView view;
  const vmbus::RingStatus status = session.incoming.peek(view);
  if (status == vmbus::RingStatus::kDone) {
    take(view);
    return Step::kAgain;
  }
  if (status != vmbus::RingStatus::kEmpty) {
    session.broken = true;
    return Step::kAgain;
  }
  const auto before_sleep = session.incoming.prepare_to_sleep();
  notify(before_sleep.published);
  const bool sleeps = !session.broken && before_sleep.wait != vmbus::WaitResult::kReady;
  return sleeps ? Step::kWaitForSignal : Step::kAgain;
}

/// Whoever has sent its end may close at once: one packet is still good. Another one would be
/// behind what we would have sent for this one, and nobody takes that any more.
void StreamEnd::take_the_last() {
  Session& session = *session_;
  vmbus::PacketView view;
  if (!session.broken && !session.finished && session.packet_bytes == 0 &&
      session.incoming.peek(view) == vmbus::RingStatus::kDone) {
    take(view);
  }
}

void StreamEnd::take(const vmbus::PacketView& view) {
  Session& session = *session_;
  const std::size_t size = view.size();
  if (view.type != vmbus::PacketType::kDataInband || view.header_bytes != 0 ||
      size < sizeof(vmbus::StreamHeader) || size > session.packet.size()) {
    session.broken = true;
    return;
  }
  const std::span bytes = std::span(session.packet).first(size);
  session.incoming.copy(bytes);
  vmbus::trace_received(session.track, vmbus::PacketDirection::kToServer, view, bytes);
  session.incoming.consume();
  notify(session.incoming.publish());
  const auto header = *vmbus::read_object<vmbus::StreamHeader>(bytes);
  if (header.type != vmbus::kStreamData || header.size_bytes > size - sizeof(header)) {
    session.broken = true;
    return;
  }
  came(header.size_bytes);
}

StreamEnd::Step StreamEnd::send() {
  Session& session = *session_;
  vmbus::OutgoingPacket packet;
  packet.payload = std::span<const std::byte>(session.packet).first(session.packet_bytes);
  switch (session.outgoing.write(packet)) {
    case vmbus::RingStatus::kDone:
      vmbus::trace_sent(session.track, vmbus::PacketDirection::kToClient, packet);
      notify(session.outgoing.publish());
      sent(std::exchange(session.packet_bytes, 0) - sizeof(vmbus::StreamHeader));
      return Step::kAgain;
    case vmbus::RingStatus::kFull: {
      notify(session.incoming.pause());
      const auto bytes = static_cast<std::uint32_t>(vmbus::packet_bytes(0, session.packet_bytes));
      const vmbus::WaitResult wait = session.outgoing.wait_for_space(bytes);
      session.broken = session.broken || wait == vmbus::WaitResult::kCorrupt;
      return wait == vmbus::WaitResult::kSleep  ? Step::kWaitForSignal
             : wait == vmbus::WaitResult::kPoll ? Step::kWaitForTime
                                                : Step::kAgain;
    }
    default:
      session.broken = true;
      return Step::kAgain;
  }
}

std::span<std::byte> StreamEnd::bytes() {
  return std::span(session_->packet).subspan(sizeof(vmbus::StreamHeader));
}

void StreamEnd::put(std::size_t size_bytes) {
  INVARIANT(size_bytes <= vmbus::kMostStreamBytes);
  const vmbus::StreamHeader header{vmbus::kStreamData, static_cast<std::uint32_t>(size_bytes)};
  vmbus::copy_bytes(session_->packet, vmbus::bytes_of(header));
  session_->packet_bytes = sizeof(header) + size_bytes;
}

void StreamEnd::finish() { session_->finished = true; }

void StreamEnd::end_channel() { session_->owner.end_channel(session_->channel); }

void StreamEnd::notify(vmbus::PublishResult result) {
  if (result == vmbus::PublishResult::kSignal) {
    static_cast<void>(kernel::signal_event(session_->signal, kOnlyFlag));
  } else if (result == vmbus::PublishResult::kCorrupt) {
    session_->broken = true;
  }
}

}  // namespace root
