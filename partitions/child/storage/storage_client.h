// The driver of a disk on the bus: storvsc. Several requests may be under way.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <expected>
#include <span>

#include "partitions/child/bus/bus_driver.h"
#include "partitions/kernel/kernel.h"
#include "partitions/kernel/synchronization.h"
#include "vmbus/ring.h"
#include "vmbus/storage/handshake.h"
#include "vmbus/storage/requests.h"

namespace child {

class StorageClient final : private ChannelDriver {
 public:
  /// Pages of one ring: its control page, and from one to seven of data.
  static constexpr std::size_t kLeastRingPages = 2;
  static constexpr std::size_t kMostRingPages = 8;

  StorageClient(kernel::Kernel& kernel, BusDriver& bus, OfferedDevice& device,
                std::size_t ring_pages)
      : kernel_(kernel),
        bus_(bus),
        device_(device),
        ring_pages_(std::clamp(ring_pages, kLeastRingPages, kMostRingPages)) {}

  /// Opens the channel, negotiates, asks for the capacity. Whatever comes of it, stop() follows.
  kernel::Task<bool> start();
  /// Waits for what is under way and closes the channel.
  kernel::Task<> stop();
  /// Waits for what is under way, and goes on over other rings without waiting for the root to let
  /// go of these.
  kernel::Task<bool> restart();
  /// Drops everything but its pages, which the root may still use; free_pages() when it does not.
  kernel::Task<> break_off();
  void free_pages();

  [[nodiscard]] std::uint64_t sector_count() const { return sector_count_; }
  [[nodiscard]] std::uint32_t max_transfer_bytes() const { return max_transfer_bytes_; }
  [[nodiscard]] const vmbus::Guid& instance() const { return device_.instance; }
  /// The device was taken away while it was this driver's.
  [[nodiscard]] bool removed() const { return removed_; }

  /// Moves whole sectors to or from pages in a row. True if every byte arrived.
  kernel::Task<bool> read(std::uint64_t sector, std::uint32_t sector_count, machine::Gpn to);
  kernel::Task<bool> write(std::uint64_t sector, std::uint32_t sector_count, machine::Gpn from);
  /// When it is true, every write that was done before is durable.
  kernel::Task<bool> flush();

 private:
  using Reader = vmbus::RingReader<vmbus::GpaPagesMemory>;
  using Writer = vmbus::RingWriter<vmbus::GpaPagesMemory>;

  static constexpr std::size_t kSlots = 64;
  static constexpr std::size_t kMaxRequestPages = 65;

  struct Rings {
    Rings(std::span<const machine::Gpn> pages);
    Reader incoming;
    Writer outgoing;
  };

  /// One request under way. Its transaction id is its index and one.
  struct Slot {
    bool in_use = false;
    bool answered = false;
    std::uint32_t asked_bytes = 0;
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

  void signalled() override { something_to_do_.give(); }
  void rescinded() override;

  /// Pages in a row, prepared as empty rings; false if there are none.
  [[nodiscard]] bool make_rings(std::array<machine::Gpn, 2 * kMostRingPages>& pages);
  kernel::Task<bool> begin();
  /// Waits for what is under way; no request is taken until resume().
  kernel::Task<> come_to_rest();
  void resume();
  kernel::Task<> serve();
  void take_packets();
  void take_packet(const vmbus::PacketView& view);
  kernel::Task<bool> negotiate();
  kernel::Task<bool> ask_capacity();
  kernel::Task<bool> execute(const vmbus::storage::Cdb& cdb,
                             vmbus::storage::DataDirection direction, Buffer buffer);
  /// Takes a slot for the request and puts its packet together there.
  [[nodiscard]] std::size_t prepare(const vmbus::storage::Cdb& cdb,
                                    vmbus::storage::DataDirection direction, Buffer buffer,
                                    vmbus::OutgoingPacket& packet);
  /// Puts a packet into the ring, waiting for room; false when the channel is of no use any more.
  kernel::Task<bool> send(const vmbus::OutgoingPacket& packet);
  void notify(vmbus::PublishResult result);
  [[nodiscard]] std::size_t take_slot();
  void give_up();
  /// The rings look their pages up here as long as they live.
  [[nodiscard]] std::span<const machine::Gpn> ring_pages() const {
    return std::span(pages_).first(2 * ring_pages_);
  }

  kernel::Kernel& kernel_;
  BusDriver& bus_;
  OfferedDevice& device_;
  const std::size_t ring_pages_;
  /// Both rings', the outgoing one first.
  std::array<machine::Gpn, 2 * kMostRingPages> pages_{};
  Rings* rings_ = nullptr;
  vmbus::storage::ClientHandshake handshake_;
  kernel::Event handshake_step_;
  kernel::Notice something_to_do_;
  kernel::Semaphore free_slots_{kSlots};
  std::array<Slot, kSlots> slots_;
  kernel::Event room_;
  bool serving_ = false;
  bool stopping_ = false;
  bool broken_ = false;
  bool removed_ = false;
  kernel::Event served_;
  std::uint64_t sector_count_ = 0;
  std::uint32_t max_transfer_bytes_ = 0;
};

}  // namespace child
