#include "partitions/child/storage/storage_client.h"

#include <algorithm>

#include "machine/guest.h"
#include "machine/machine.h"

namespace child {

namespace {

namespace storage = vmbus::storage;

constexpr std::uint32_t kSectorBytes = storage::kSectorSize;
constexpr std::uint32_t kCapacityBytes = 8;

constexpr machine::Site kCompletionKnown("child.storage.completion_is_of_a_request");
constexpr machine::Site kAnsweredOnce("child.storage.request_is_answered_once");
constexpr machine::Site kAskedAgain("child.storage.request_asked_again_by_another_channel");

}  // namespace

StorageClient::StorageClient(kernel::Kernel& kernel, BusDriver& bus, OfferedDevice& device,
                             const StorageOptions& options)
    : kernel_(kernel),
      bus_(bus),
      options_(options),
      instance_(device.instance),
      primary_(kernel, bus, device, *this, options.ring_pages),
      handshake_(static_cast<std::uint16_t>(options.subchannels)) {
  INVARIANT(options.subchannels <= kMostSubchannels);
}

kernel::Task<bool> StorageClient::start() {
  const bool opened = co_await primary_.open(0);
  if (!opened) {
    co_return false;
  }
  const bool begun = co_await begin();
  co_return begun;
}

kernel::Task<bool> StorageClient::begin() {
  primary_.serve();
  const bool negotiated = co_await negotiate();
  if (!negotiated) {
    co_return false;
  }
  begin_subchannels();
  const bool known = co_await ask_capacity();
  co_return known;
}

kernel::Task<> StorageClient::come_to_rest() {
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    co_await free_slots_.acquire();  // What is under way ends first.
  }
}

void StorageClient::resume() {
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    free_slots_.release();
  }
}

kernel::Task<> StorageClient::stop() {
  co_await come_to_rest();
  co_await end_subchannels(false);
  co_await primary_.stop_serving();
  co_await primary_.close();
}

kernel::Task<bool> StorageClient::restart() {
  co_await come_to_rest();
  co_await end_subchannels(false);
  co_await primary_.stop_serving();
  bool good = co_await primary_.reopen();
  resume();
  if (good) {
    handshake_ = vmbus::storage::ClientHandshake(static_cast<std::uint16_t>(options_.subchannels));
    good = co_await begin();
  } else {
    primary_.give_up();
  }
  co_return good;
}

kernel::Task<> StorageClient::break_off() {
  primary_.give_up();
  co_await come_to_rest();
  co_await end_subchannels(true);
  co_await primary_.stop_serving();
}

void StorageClient::free_pages() {
  for (StorageChannel*& channel : subchannels_) {
    if (channel != nullptr) {
      channel->free_pages();
      kernel_.heap().destroy(channel);
      channel = nullptr;
    }
  }
  primary_.free_pages();
}

kernel::Task<bool> StorageClient::negotiate() {
  while (!handshake_.ready() && !handshake_.failed() && !primary_.broken()) {
    const auto next = handshake_.next_packet();
    INVARIANT(next.has_value());
    vmbus::OutgoingPacket packet;
    packet.completion_requested = true;
    packet.transaction_id = storage::kInitializationTransaction;
    packet.payload = vmbus::bytes_of(*next);
    handshake_step_.clear();
    const bool sent = co_await primary_.send(packet);
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

StorageChannel& StorageClient::next_channel() {
  for (std::uint32_t tried = 0; tried <= kMostSubchannels; ++tried) {
    turn_ = (turn_ + 1) % (kMostSubchannels + 1);
    if (turn_ == 0) {
      return primary_;
    }
    if (usable_[turn_ - 1]) {
      return *subchannels_[turn_ - 1];
    }
  }
  return primary_;
}

kernel::Task<> StorageClient::send_and_wait(Slot& slot, const vmbus::OutgoingPacket& packet) {
  while (!slot.answered && !primary_.broken()) {
    StorageChannel& channel = next_channel();
    slot.channel = &channel;
    slot.done.clear();
    ++channel.users;
    const bool sent = co_await channel.send(packet);
    if (sent) {
      co_await slot.done.wait();
    }
    // The root has let go of what it had under way before it took the channel away.
    machine::sometimes(kAskedAgain, !slot.answered && !primary_.broken());
    slot.channel = nullptr;
    --channel.users;
    subchannels_changed_.give();
  }
}

kernel::Task<bool> StorageClient::execute(const storage::Cdb& cdb, storage::DataDirection direction,
                                          Buffer buffer) {
  co_await free_slots_.acquire();
  vmbus::OutgoingPacket packet;
  Slot& slot = slots_[prepare(cdb, direction, buffer, packet)];
  co_await send_and_wait(slot, packet);
  const bool good = slot.answered && slot.completion.outcome == storage::Outcome::kSuccess &&
                    slot.completion.transferred == buffer.size_bytes;
  slot.in_use = false;
  free_slots_.release();
  co_return good;
}

void StorageClient::gave_up(StorageChannel& channel) {
  if (&channel == &primary_) {
    handshake_step_.set();
  }
  for (Slot& slot : slots_) {
    if (slot.channel == &channel || &channel == &primary_) {
      slot.done.set();
    }
  }
  for (std::uint32_t index = 0; index < kMostSubchannels; ++index) {
    usable_[index] = usable_[index] && subchannels_[index] != &channel;
  }
  subchannels_changed_.give();
}

void StorageClient::answered(StorageChannel& channel, std::uint64_t transaction_id,
                             const Packet& packet) {
  if (transaction_id == storage::kInitializationTransaction && &channel == &primary_) {
    handshake_.handle_reply(packet);
    handshake_step_.set();
    return;
  }
  const bool known = transaction_id - 1 < kSlots && slots_[transaction_id - 1].in_use &&
                     slots_[transaction_id - 1].channel == &channel;
  machine::always(kCompletionKnown, known, transaction_id);
  if (!known) {
    return;
  }
  Slot& slot = slots_[transaction_id - 1];
  machine::always(kAnsweredOnce, !slot.answered, transaction_id);
  slot.answered = true;
  if (const auto completion = storage::decode_completion(packet, slot.asked_bytes)) {
    slot.completion = *completion;
  }
  slot.done.set();
}

}  // namespace child
