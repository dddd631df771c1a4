#include "partitions/child/streams/stream_socket.h"

#include <algorithm>

#include "machine/guest.h"
#include "machine/machine.h"
#include "vmbus/packet_trace.h"
#include "vmbus/protocol/bytes.h"

namespace child {

namespace {

constexpr std::uint64_t kLookAgain100ns = 500;
using PacketBytes = std::array<std::byte, sizeof(vmbus::StreamHeader) + StreamSocket::kMostBytes>;

}  // namespace

StreamSocket::Rings::Rings(std::span<const machine::Gpn> pages)
    : incoming(vmbus::GpaPagesMemory(pages.subspan(pages.size() / 2))),
      outgoing(vmbus::GpaPagesMemory(pages.first(pages.size() / 2))) {}

bool StreamSocket::make_rings() {
  const auto first = kernel_.pages().allocate(pages_.size());
  if (!first) {
    return false;
  }
  for (std::size_t index = 0; index < pages_.size(); ++index) {
    pages_[index] = *first + index;
  }
  machine::fill_memory(machine::Gpa(*first), pages_.size() * machine::kPageSize, 0);
  const std::span<const machine::Gpn> both(pages_);
  vmbus::GpaPagesMemory outgoing(both.first(kRingPages));
  vmbus::GpaPagesMemory incoming(both.subspan(kRingPages));
  vmbus::announce_pending_send_size(outgoing);
  vmbus::announce_pending_send_size(incoming);
  rings_ = kernel_.heap().create<Rings>(both);
  return true;
}

kernel::Task<bool> StreamSocket::connect(std::uint32_t service_port) {
  device_ = co_await bus_.connect_service(endpoint_, vmbus::guid_of_port(service_port));
  if (device_ == nullptr) {
    co_return false;
  }
  const bool opened = co_await accept();
  co_return opened;
}

kernel::Task<bool> StreamSocket::accept() {
  if (!make_rings()) {
    co_return false;
  }
  const bool opened = co_await bus_.open(*device_, *this, pages_);
  co_return opened && !ended_;
}

void StreamSocket::rescinded() {
  ended_ = true;
  something_to_do_.give();
}

void StreamSocket::notify(vmbus::PublishResult result) {
  if (result == vmbus::PublishResult::kSignal) {
    bus_.signal(*device_);
  } else if (result == vmbus::PublishResult::kCorrupt) {
    rescinded();
  }
}

kernel::Task<bool> StreamSocket::send(std::span<const std::byte> data) {
  INVARIANT(data.size() <= kMostBytes);
  auto* const bytes = kernel_.heap().create<PacketBytes>();
  const vmbus::StreamHeader header{vmbus::kStreamData, static_cast<std::uint32_t>(data.size())};
  vmbus::copy_bytes(*bytes, vmbus::bytes_of(header));
  std::ranges::copy(data, bytes->begin() + sizeof(header));
  vmbus::OutgoingPacket packet;
  packet.payload = std::span<const std::byte>(*bytes).first(sizeof(header) + data.size());
  bool done = false;
  while (!done && !ended_) {
    const vmbus::RingStatus status = rings_->outgoing.write(packet);
    if (status == vmbus::RingStatus::kDone) {
      vmbus::trace_sent(bus_.track_of(*device_), vmbus::PacketDirection::kToServer, packet);
      notify(rings_->outgoing.publish());
      done = true;
    } else if (status == vmbus::RingStatus::kFull) {
      co_await kernel::sleep_for(kLookAgain100ns);
    } else {
      ended_ = true;
    }
  }
  kernel_.heap().destroy(bytes);
  co_return done;
}

kernel::Task<std::optional<std::size_t>> StreamSocket::receive(std::span<std::byte> data) {
  std::optional<std::size_t> came;
  while (!ended_ && !came) {
    vmbus::PacketView view;
    const vmbus::RingStatus status = rings_->incoming.peek(view);
    if (status == vmbus::RingStatus::kEmpty) {
      const auto before_sleep = rings_->incoming.prepare_to_sleep();
      notify(before_sleep.published);
      if (!ended_ && before_sleep.wait != vmbus::WaitResult::kReady) {
        co_await something_to_do_.wait();
      }
      continue;
    }
    auto* const bytes = kernel_.heap().create<PacketBytes>();
    vmbus::StreamHeader header;
    if (status == vmbus::RingStatus::kDone && view.size() <= bytes->size() &&
        view.size() >= sizeof(header)) {
      const std::span whole = std::span(*bytes).first(view.size());
      rings_->incoming.copy(whole);
      vmbus::trace_received(bus_.track_of(*device_), vmbus::PacketDirection::kToClient, view,
                            whole);
      rings_->incoming.consume();
      notify(rings_->incoming.publish());
      header = *vmbus::read_object<vmbus::StreamHeader>(whole);
      came = std::min<std::size_t>({header.size_bytes, whole.size() - sizeof(header), data.size()});
      std::ranges::copy(whole.subspan(sizeof(header), *came), data.begin());
    } else {
      ended_ = true;
    }
    kernel_.heap().destroy(bytes);
  }
  co_return came;
}

kernel::Task<> StreamSocket::close() {
  if (device_ == nullptr) {
    co_return;
  }
  co_await bus_.close(*device_);
  while (bus_.find_subchannel(endpoint_, 0) != nullptr) {
    co_await kernel::sleep_for(kLookAgain100ns);
  }
  if (rings_ != nullptr) {
    kernel_.heap().destroy(rings_);
    kernel_.pages().free(pages_[0], pages_.size());
  }
}

}  // namespace child
