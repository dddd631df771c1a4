#include "partitions/child/storage/storage_client.h"

#include <algorithm>

#include "machine/guest.h"
#include "machine/machine.h"
#include "partitions/kernel/posting.h"
#include "vmbus/packet_trace.h"

namespace child {

namespace {

namespace storage = vmbus::storage;

constexpr std::uint16_t kOnlyFlag = 0;
constexpr std::uint64_t kPollAgain100ns = 1'000;
constexpr std::uint32_t kSectorBytes = storage::kSectorSize;
constexpr std::uint32_t kCapacityBytes = 8;

constexpr machine::Site kCompletionKnown("child.storage.completion_is_of_a_request");
constexpr machine::Site kAnsweredOnce("child.storage.request_is_answered_once");
constexpr machine::Site kRingWasFull("child.storage.request_ring_full");

}  // namespace

StorageClient::Rings::Rings(std::span<const machine::Gpn> pages)
    : incoming(vmbus::GpaPagesMemory(pages.subspan(pages.size() / 2))),
      outgoing(vmbus::GpaPagesMemory(pages.first(pages.size() / 2))) {}

bool StorageClient::make_rings(std::array<machine::Gpn, 2 * kMostRingPages>& pages) {
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

kernel::Task<bool> StorageClient::start() {
  if (!make_rings(pages_)) {
    co_return false;
  }
  rings_ = kernel_.heap().create<Rings>(ring_pages());
  const bool opened = co_await bus_.open(device_, *this, ring_pages());
  if (!opened) {
    co_return false;
  }
  const bool begun = co_await begin();
  co_return begun;
}

kernel::Task<bool> StorageClient::begin() {
  serving_ = true;
  serve().spawn();
  const bool negotiated = co_await negotiate();
  if (!negotiated) {
    co_return false;
  }
  const bool known = co_await ask_capacity();
  co_return known;
}

kernel::Task<> StorageClient::come_to_rest() {
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    co_await free_slots_.acquire();  // What is under way ends first.
  }
  if (serving_) {
    stopping_ = true;
    something_to_do_.give();
    co_await served_.wait();
    serving_ = false;
  }
}

void StorageClient::resume() {
  stopping_ = false;
  served_.clear();
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    free_slots_.release();
  }
}

kernel::Task<> StorageClient::stop() {
  co_await come_to_rest();
  co_await bus_.close(device_);
  free_pages();
}

kernel::Task<bool> StorageClient::restart() {
  co_await come_to_rest();
  auto pages = pages_;
  bool good = !broken_ && make_rings(pages);
  if (good) {
    const std::span<const machine::Gpn> fresh = std::span(pages).first(2 * ring_pages_);
    good = co_await bus_.reopen(device_, fresh);
    if (good) {
      free_pages();
      pages_ = pages;
      rings_ = kernel_.heap().create<Rings>(ring_pages());
      handshake_ = vmbus::storage::ClientHandshake();
    } else {
      kernel_.pages().free(fresh[0], fresh.size());
    }
  }
  resume();
  if (good) {
    good = co_await begin();
  } else {
    broken_ = true;
  }
  co_return good;
}

kernel::Task<> StorageClient::break_off() {
  give_up();
  co_await come_to_rest();
}

void StorageClient::free_pages() {
  if (rings_ != nullptr) {
    kernel_.heap().destroy(rings_);
    rings_ = nullptr;
    kernel_.pages().free(pages_[0], 2 * ring_pages_);
  }
}

kernel::Task<bool> StorageClient::negotiate() {
  while (!handshake_.ready() && !handshake_.failed() && !broken_) {
    const auto next = handshake_.next_packet();
    INVARIANT(next.has_value());
    vmbus::OutgoingPacket packet;
    packet.completion_requested = true;
    packet.transaction_id = storage::kInitializationTransaction;
    packet.payload = vmbus::bytes_of(*next);
    handshake_step_.clear();
    const bool sent = co_await send(packet);
    if (!sent) {
      co_return false;
    }
    co_await handshake_step_.wait();
  }
  max_transfer_bytes_ = std::min<std::uint32_t>(
      handshake_.properties().max_transfer_bytes,
      (kMaxRequestPages - 1) * static_cast<std::uint32_t>(machine::kPageSize));
  co_return handshake_.ready() && max_transfer_bytes_ >= machine::kPageSize;
}

kernel::Task<bool> StorageClient::ask_capacity() {
  const auto page = kernel_.pages().allocate(1);
  if (!page) {
    co_return false;
  }
  const storage::Cdb cdb = storage::read_capacity_10_command();
  const bool answered =
      co_await execute(cdb, storage::DataDirection::kFromDevice, {*page, kCapacityBytes});
  if (answered) {
    std::array<std::uint8_t, kCapacityBytes> data{};
    machine::read_memory(machine::Gpa(*page), std::as_writable_bytes(std::span(data)));
    const auto capacity = storage::parse_capacity_10(data);
    sector_count_ = capacity && capacity->sector_bytes == kSectorBytes ? capacity->sector_count : 0;
  }
  kernel_.pages().free(*page, 1);
  co_return sector_count_ != 0;
}

kernel::Task<bool> StorageClient::read(std::uint64_t sector, std::uint32_t sector_count,
                                       machine::Gpn to) {
  const storage::Cdb cdb = storage::read_command(sector, sector_count);
  const bool done =
      co_await execute(cdb, storage::DataDirection::kFromDevice, {to, sector_count * kSectorBytes});
  co_return done;
}

kernel::Task<bool> StorageClient::write(std::uint64_t sector, std::uint32_t sector_count,
                                        machine::Gpn from) {
  const storage::Cdb cdb = storage::write_command(sector, sector_count, false);
  const bool done =
      co_await execute(cdb, storage::DataDirection::kToDevice, {from, sector_count * kSectorBytes});
  co_return done;
}

kernel::Task<bool> StorageClient::flush() {
  const storage::Cdb cdb = storage::synchronize_cache_command();
  const bool done = co_await execute(cdb, storage::DataDirection::kNone, {});
  co_return done;
}

std::size_t StorageClient::take_slot() {
  std::size_t index = 0;
  while (index < kSlots && slots_[index].in_use) {
    ++index;
  }
  INVARIANT(index < kSlots);
  return index;
}

std::size_t StorageClient::prepare(const storage::Cdb& cdb, storage::DataDirection direction,
                                   Buffer buffer, vmbus::OutgoingPacket& packet) {
  INVARIANT(buffer.size_bytes <= (kMaxRequestPages - 1) * machine::kPageSize);
  const std::size_t index = take_slot();
  Slot& slot = slots_[index];
  slot.in_use = true;
  slot.answered = false;
  slot.asked_bytes = buffer.size_bytes;
  slot.request = storage::execute_packet(cdb, {}, direction, buffer.size_bytes);
  slot.completion = {};
  slot.done.clear();
  packet.completion_requested = true;
  packet.transaction_id = index + 1;
  packet.payload = vmbus::bytes_of(slot.request);
  if (buffer.size_bytes != 0) {
    std::array<machine::Gpn, kMaxRequestPages> pages;
    const std::uint64_t count = vmbus::pages_touched(0, buffer.size_bytes);
    for (std::size_t page = 0; page < count; ++page) {
      pages[page] = buffer.first + page;
    }
    packet.type = vmbus::PacketType::kDataUsingGpaDirect;
    packet.header = storage::gpa_direct_header(slot.header, 0, buffer.size_bytes,
                                               std::span<const machine::Gpn>(pages).first(count));
  }
  return index;
}

kernel::Task<bool> StorageClient::execute(const storage::Cdb& cdb, storage::DataDirection direction,
                                          Buffer buffer) {
  co_await free_slots_.acquire();
  vmbus::OutgoingPacket packet;
  Slot& slot = slots_[prepare(cdb, direction, buffer, packet)];
  const bool sent = co_await send(packet);
  if (sent) {
    co_await slot.done.wait();
  }
  const bool good = sent && slot.answered &&
                    slot.completion.outcome == storage::Outcome::kSuccess &&
                    slot.completion.transferred == buffer.size_bytes;
  slot.in_use = false;
  free_slots_.release();
  co_return good;
}

kernel::Task<bool> StorageClient::send(const vmbus::OutgoingPacket& packet) {
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

void StorageClient::notify(vmbus::PublishResult result) {
  if (result == vmbus::PublishResult::kSignal) {
    static_cast<void>(kernel::signal_event(device_.signal, kOnlyFlag));
  } else if (result == vmbus::PublishResult::kCorrupt) {
    give_up();
  }
}

void StorageClient::give_up() {
  broken_ = true;
  handshake_step_.set();
  room_.set();
  for (Slot& slot : slots_) {
    slot.done.set();
  }
  something_to_do_.give();
}

void StorageClient::rescinded() {
  removed_ = true;
  give_up();
}

kernel::Task<> StorageClient::serve() {
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

void StorageClient::take_packets() {
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

void StorageClient::take_packet(const vmbus::PacketView& view) {
  if (view.type != vmbus::PacketType::kCompletion || view.size() < sizeof(storage::StoragePacket)) {
    return;
  }
  std::array<std::byte, sizeof(storage::StoragePacket)> bytes{};
  rings_->incoming.copy(view.header_bytes, bytes);
  if (view.size() == bytes.size()) {
    vmbus::trace_received(bus_.track_of(device_), vmbus::PacketDirection::kToClient, view, bytes);
  }
  if (view.transaction_id == storage::kInitializationTransaction) {
    handshake_.handle_reply(bytes);
    handshake_step_.set();
    return;
  }
  const bool known = view.transaction_id - 1 < kSlots && slots_[view.transaction_id - 1].in_use;
  machine::always(kCompletionKnown, known, view.transaction_id);
  if (!known) {
    return;
  }
  Slot& slot = slots_[view.transaction_id - 1];
  machine::always(kAnsweredOnce, !slot.answered, view.transaction_id);
  const auto completion = storage::decode_completion(bytes, slot.asked_bytes);
  if (completion) {
    slot.completion = *completion;
    slot.answered = true;
  }
  slot.done.set();
}

}  // namespace child
