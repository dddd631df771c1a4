// The driver of a disk on the bus: storvsc. Several requests may be under way.
#pragma once

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
  StorageClient(kernel::Kernel& kernel, BusDriver& bus, OfferedDevice& device)
      : kernel_(kernel), bus_(bus), device_(device) {}

  /// Opens the channel, negotiates, asks for the capacity.
  kernel::Task<bool> start();
  /// Waits for what is under way and closes the channel.
  kernel::Task<> stop();

  [[nodiscard]] std::uint64_t sector_count() const { return sector_count_; }
  [[nodiscard]] std::uint32_t max_transfer_bytes() const { return max_transfer_bytes_; }
  [[nodiscard]] const vmbus::Guid& instance() const { return device_.instance; }

  /// Moves whole sectors to or from pages in a row. True if every byte arrived.
  kernel::Task<bool> read(std::uint64_t sector, std::uint32_t sector_count, machine::Gpn to);
  kernel::Task<bool> write(std::uint64_t sector, std::uint32_t sector_count, machine::Gpn from);
  /// When it is true, every write that was done before is durable.
  kernel::Task<bool> flush();

 private:
  using Reader = vmbus::RingReader<vmbus::GpaPagesMemory>;
  using Writer = vmbus::RingWriter<vmbus::GpaPagesMemory>;

  static constexpr std::size_t kRingPages = 8;
  static constexpr std::size_t kSlots = 32;
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

  kernel::Kernel& kernel_;
  BusDriver& bus_;
  OfferedDevice& device_;
  std::array<machine::Gpn, 2 * kRingPages> ring_pages_{};
  Rings* rings_ = nullptr;
  vmbus::storage::ClientHandshake handshake_;
  kernel::Event handshake_step_;
  kernel::Notice something_to_do_;
  kernel::Semaphore free_slots_{kSlots};
  std::array<Slot, kSlots> slots_;
  kernel::Event room_;
  bool stopping_ = false;
  bool broken_ = false;
  kernel::Event served_;
  std::uint64_t sector_count_ = 0;
  std::uint32_t max_transfer_bytes_ = 0;
};

}  // namespace child
