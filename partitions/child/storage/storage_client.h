// The driver of a disk on the bus: storvsc. Several requests may be under way, on the disk's
// primary channel and on those of its sub-channels that are there.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <span>

#include "partitions/child/bus/bus_driver.h"
#include "partitions/child/storage/storage_channel.h"
#include "partitions/kernel/kernel.h"
#include "partitions/kernel/synchronization.h"
#include "vmbus/storage/handshake.h"
#include "vmbus/storage/requests.h"

namespace child {

/// How a disk is used.
struct StorageOptions {
  /// Of one ring.
  std::size_t ring_pages = StorageChannel::kLeastRingPages;
  /// How many sub-channels it asks for; at most StorageClient::kMostSubchannels.
  std::uint32_t subchannels = 0;
};

class StorageClient final : private StorageChannelOwner {
 public:
  static constexpr std::uint32_t kMostSubchannels = 3;

  StorageClient(kernel::Kernel& kernel, BusDriver& bus, OfferedDevice& device,
                const StorageOptions& options);

  /// Opens the channel, negotiates, asks for the capacity. Whatever comes of it, stop() follows.
  /// Sub-channels are used as they come, and while they are there.
  kernel::Task<bool> start();
  /// Waits for what is under way and closes the channels.
  kernel::Task<> stop();
  /// Waits for what is under way, and goes on over other rings without waiting for the root to let
  /// go of these.
  kernel::Task<bool> restart();
  /// Drops everything but its pages, which the root may still use; free_pages() when it does not.
  kernel::Task<> break_off();
  void free_pages();

  [[nodiscard]] std::uint64_t sector_count() const { return sector_count_; }
  [[nodiscard]] std::uint32_t max_transfer_bytes() const { return max_transfer_bytes_; }
  [[nodiscard]] const vmbus::Guid& instance() const { return instance_; }
  /// The device was taken away while it was this driver's.
  [[nodiscard]] bool removed() const { return primary_.removed(); }

  /// Moves whole sectors to or from pages in a row. True if every byte arrived.
  kernel::Task<bool> read(std::uint64_t sector, std::uint32_t sector_count, machine::Gpn to);
  kernel::Task<bool> write(std::uint64_t sector, std::uint32_t sector_count, machine::Gpn from);
  /// When it is true, every write that was done before is durable.
  kernel::Task<bool> flush();

  /// Sends the signals of a channel, 0 for the primary, to another processor. False if it is not
  /// there, or the bus does not do that.
  kernel::Task<bool> move(std::uint32_t channel, std::uint32_t target_vp);

 private:
  static constexpr std::size_t kSlots = 64;
  static constexpr std::size_t kMaxRequestPages = 65;

  /// One request under way. Its transaction id is its index and one.
  struct Slot {
    bool in_use = false;
    bool answered = false;
    std::uint32_t asked_bytes = 0;
    /// By which it went.
    const StorageChannel* channel = nullptr;
    /// What goes into the ring.
    vmbus::storage::StoragePacket request;
    std::array<std::uint64_t, 2 + kMaxRequestPages> header{};
    vmbus::storage::Completion completion;
    kernel::Event done;
  };

  /// Where a request's data is: pages in a row.
  struct Buffer {
    machine::Gpn first;
    std::uint32_t size_bytes = 0;
  };

  void answered(StorageChannel& channel, std::uint64_t transaction_id,
                const Packet& packet) override;
  void gave_up(StorageChannel& channel) override;

  kernel::Task<bool> begin();
  /// Waits for what is under way; no request is taken until resume().
  kernel::Task<> come_to_rest();
  void resume();
  kernel::Task<bool> negotiate();
  kernel::Task<bool> ask_capacity();
  kernel::Task<bool> execute(const vmbus::storage::Cdb& cdb,
                             vmbus::storage::DataDirection direction, Buffer buffer);
  /// By one channel or, when that is taken away, by the next.
  kernel::Task<> send_and_wait(Slot& slot, const vmbus::OutgoingPacket& packet);
  /// Takes a slot for the request and puts its packet together there.
  [[nodiscard]] std::size_t prepare(const vmbus::storage::Cdb& cdb,
                                    vmbus::storage::DataDirection direction, Buffer buffer,
                                    vmbus::OutgoingPacket& packet);
  [[nodiscard]] std::size_t take_slot();
  /// The one whose turn it is.
  [[nodiscard]] StorageChannel& next_channel();

  // Sub-channels: storage_subchannels.cpp.
  [[nodiscard]] StorageChannel* channel_at(std::uint32_t number);
  void begin_subchannels();
  /// All are gone, or `keep` their pages and are closed no more.
  kernel::Task<> end_subchannels(bool keep);
  kernel::Task<> keep_subchannels();
  kernel::Task<> look_after(std::uint32_t index);
  kernel::Task<> open_subchannel(std::uint32_t index);
  kernel::Task<> close_subchannel(std::uint32_t index);

  kernel::Kernel& kernel_;
  BusDriver& bus_;
  const StorageOptions options_;
  const vmbus::Guid instance_;
  StorageChannel primary_;
  vmbus::storage::ClientHandshake handshake_;
  kernel::Event handshake_step_;
  kernel::Semaphore free_slots_{kSlots};
  std::array<Slot, kSlots> slots_;
  std::uint32_t turn_ = 0;
  std::uint64_t sector_count_ = 0;
  std::uint32_t max_transfer_bytes_ = 0;

  /// By sub-channel index less one; null while it is not there.
  std::array<StorageChannel*, kMostSubchannels> subchannels_{};
  /// Those that requests may go by.
  std::array<bool, kMostSubchannels> usable_{};
  bool has_subchannels_ = false;
  bool ending_subchannels_ = false;
  kernel::Notice subchannels_changed_;
  kernel::Event subchannels_ended_;
};

}  // namespace child
