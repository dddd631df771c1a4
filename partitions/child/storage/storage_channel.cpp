#include "partitions/child/storage/storage_channel.h"

#include "machine/guest.h"
#include "machine/machine.h"
#include "vmbus/packet_trace.h"

namespace child {

namespace {

constexpr std::uint64_t kPollAgain100ns = 1'000;
constexpr machine::Site kRingWasFull("child.storage.request_ring_full");

}  // namespace

StorageChannel::Rings::Rings(std::span<const machine::Gpn> pages)
    : incoming(vmbus::GpaPagesMemory(pages.subspan(pages.size() / 2))),
      outgoing(vmbus::GpaPagesMemory(pages.first(pages.size() / 2))) {}

bool StorageChannel::make_rings(PageList& pages) {
  const std::size_t page_count = 2 * ring_pages_;
  const auto first = kernel_.pages().allocate(page_count);
  if (!first) {
    return false;
  }
  for (std::size_t index = 0; index < page_count; ++index) {
    pages[index] = *first + index;
  }
  machine::fill_memory(machine::Gpa(*first), page_count * machine::kPageSize, 0);
  const std::span<const machine::Gpn> both = std::span(pages).first(page_count);
  vmbus::GpaPagesMemory outgoing(both.first(ring_pages_));
  vmbus::GpaPagesMemory incoming(both.subspan(ring_pages_));
  vmbus::announce_pending_send_size(outgoing);
  vmbus::announce_pending_send_size(incoming);
  return true;
}

kernel::Task<bool> StorageChannel::open(std::uint32_t target_vp) {
  if (!make_rings(pages_)) {
    co_return false;
  }
  rings_ = kernel_.heap().create<Rings>(ring_pages());
  device_.target_vp = target_vp;
  const bool opened = co_await bus_.open(device_, *this, ring_pages());
  co_return opened;
}

void StorageChannel::serve() {
  stopping_ = false;
  served_.clear();
  serving_ = true;
  take_until_stopped().spawn();
}

kernel::Task<> StorageChannel::stop_serving() {
  if (serving_) {
    stopping_ = true;
    something_to_do_.give();
    co_await served_.wait();
    serving_ = false;
  }
}

kernel::Task<> StorageChannel::close() {
  co_await bus_.close(device_);
  free_pages();
}

kernel::Task<bool> StorageChannel::reopen() {
  PageList pages{};
  if (broken_ || !make_rings(pages)) {
    co_return false;
  }
  const std::span<const machine::Gpn> fresh = std::span(pages).first(2 * ring_pages_);
  const bool opened = co_await bus_.reopen(device_, fresh);
  if (opened) {
    free_pages();
    pages_ = pages;
    rings_ = kernel_.heap().create<Rings>(ring_pages());
  } else {
    kernel_.pages().free(fresh[0], fresh.size());
  }
  co_return opened;
}

void StorageChannel::free_pages() {
  if (rings_ != nullptr) {
    kernel_.heap().destroy(rings_);
    rings_ = nullptr;
    kernel_.pages().free(pages_[0], 2 * ring_pages_);
  }
}

kernel::Task<bool> StorageChannel::send(const vmbus::OutgoingPacket& packet) {
  const auto bytes =
      static_cast<std::uint32_t>(vmbus::packet_bytes(packet.header.size(), packet.payload.size()));
  while (!broken_) {
    const vmbus::RingStatus status = rings_->outgoing.write(packet);
    if (status == vmbus::RingStatus::kDone) {
      vmbus::trace_sent(bus_.track_of(device_), vmbus::PacketDirection::kToServer, packet);
      notify(rings_->outgoing.publish());
      co_return !broken_;
    }
    if (status != vmbus::RingStatus::kFull) {
      give_up();
      break;
    }
    machine::sometimes(kRingWasFull, true);
    room_.clear();
    const vmbus::WaitResult wait = rings_->outgoing.wait_for_space(bytes);
    if (wait == vmbus::WaitResult::kSleep) {
      co_await room_.wait();
    } else if (wait == vmbus::WaitResult::kPoll) {
      co_await kernel::sleep_for(kPollAgain100ns);
    } else if (wait == vmbus::WaitResult::kCorrupt) {
      give_up();
    }
  }
  co_return false;
}

void StorageChannel::notify(vmbus::PublishResult result) {
  if (result == vmbus::PublishResult::kSignal) {
    bus_.signal(device_);
  } else if (result == vmbus::PublishResult::kCorrupt) {
    give_up();
  }
}

void StorageChannel::give_up() {
  broken_ = true;
  room_.set();
  something_to_do_.give();
  owner_.gave_up(*this);
}

void StorageChannel::rescinded() {
  removed_ = true;
  give_up();
}

kernel::Task<> StorageChannel::take_until_stopped() {
  while (!stopping_ && !broken_) {
    take_packets();
    if (broken_) {
      break;
    }
    const auto before_sleep = rings_->incoming.prepare_to_sleep();
    notify(before_sleep.published);
    if (broken_) {
      break;
    }
    if (before_sleep.wait == vmbus::WaitResult::kReady) {
      continue;
    }
    co_await something_to_do_.wait();
    // A signal also says that there may be room.
    room_.set();
  }
  served_.set();
}

void StorageChannel::take_packets() {
  rings_->incoming.mask();
  while (true) {
    vmbus::PacketView view;
    const vmbus::RingStatus status = rings_->incoming.peek(view);
    if (status == vmbus::RingStatus::kEmpty) {
      break;
    }
    if (status != vmbus::RingStatus::kDone) {
      give_up();
      return;
    }
    take_packet(view);
    rings_->incoming.consume();
  }
}

void StorageChannel::take_packet(const vmbus::PacketView& view) {
  StorageChannelOwner::Packet bytes{};
  if (view.type != vmbus::PacketType::kCompletion || view.size() < bytes.size()) {
    return;
  }
  rings_->incoming.copy(view.header_bytes, bytes);
  if (view.size() == bytes.size()) {
    vmbus::trace_received(bus_.track_of(device_), vmbus::PacketDirection::kToClient, view, bytes);
  }
  owner_.answered(*this, view.transaction_id, bytes);
}

}  // namespace child
