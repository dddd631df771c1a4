// One channel of a disk: its rings, and a task that takes what the root sends. A disk has a primary
// channel and may have sub-channels; requests go by any of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "partitions/child/bus/bus_driver.h"
#include "partitions/kernel/kernel.h"
#include "partitions/kernel/synchronization.h"
#include "vmbus/ring.h"
#include "vmbus/storage/storage_protocol.h"

namespace child {

class StorageChannel;

/// The disk that the channel is of.
class StorageChannelOwner {
 public:
  using Packet = std::array<std::byte, sizeof(vmbus::storage::StoragePacket)>;
  /// A completion came in.
  virtual void answered(StorageChannel& channel, std::uint64_t transaction_id,
                        const Packet& packet) = 0;
  /// Nothing that is under way on the channel will be answered.
  virtual void gave_up(StorageChannel& channel) = 0;

 protected:
  ~StorageChannelOwner() = default;
};

class StorageChannel final : private ChannelDriver {
 public:
  /// Pages of one ring: its control page, and from one to seven of data.
  static constexpr std::size_t kLeastRingPages = 2;
  static constexpr std::size_t kMostRingPages = 8;

  StorageChannel(kernel::Kernel& kernel, BusDriver& bus, OfferedDevice& device,
                 StorageChannelOwner& owner, std::size_t ring_pages)
      : kernel_(kernel),
        bus_(bus),
        device_(device),
        owner_(owner),
        ring_pages_(std::clamp(ring_pages, kLeastRingPages, kMostRingPages)) {}

  /// Opens the channel, with its signals at a processor. Whatever comes of it, close() or
  /// stop_serving() and free_pages() follow.
  kernel::Task<bool> open(std::uint32_t target_vp);
  /// Begins to take what the root sends.
  void serve();
  /// Nothing is under way any more.
  kernel::Task<> stop_serving();
  /// Not serving any more: closes the channel and frees its pages.
  kernel::Task<> close();
  /// The same, and opens it over other rings without waiting for the root to let go of these.
  kernel::Task<bool> reopen();
  /// Not serving any more, and the root does not use the pages any more.
  void free_pages();

  /// Puts a packet into the ring, waiting for room; false when the channel is of no use any more.
  kernel::Task<bool> send(const vmbus::OutgoingPacket& packet);
  void give_up();

  [[nodiscard]] OfferedDevice& device() { return device_; }
  /// Of no use any more.
  [[nodiscard]] bool broken() const { return broken_; }
  /// The device was taken away while it was this driver's.
  [[nodiscard]] bool removed() const { return removed_; }

  /// How many requests, or others who look at the channel, keep it.
  std::uint32_t users = 0;

 private:
  using Reader = vmbus::RingReader<vmbus::GpaPagesMemory>;
  using Writer = vmbus::RingWriter<vmbus::GpaPagesMemory>;
  using PageList = std::array<machine::Gpn, 2 * kMostRingPages>;

  struct Rings {
    explicit Rings(std::span<const machine::Gpn> pages);
    Reader incoming;
    Writer outgoing;
  };

  void signalled() override { something_to_do_.give(); }
  void rescinded() override;

  /// Pages in a row, prepared as empty rings; false if there are none.
  [[nodiscard]] bool make_rings(PageList& pages);
  kernel::Task<> take_until_stopped();
  void take_packets();
  void take_packet(const vmbus::PacketView& view);
  void notify(vmbus::PublishResult result);
  /// The rings look their pages up here as long as they live.
  [[nodiscard]] std::span<const machine::Gpn> ring_pages() const {
    return std::span(pages_).first(2 * ring_pages_);
  }

  kernel::Kernel& kernel_;
  BusDriver& bus_;
  OfferedDevice& device_;
  StorageChannelOwner& owner_;
  const std::size_t ring_pages_;
  /// Both rings', the outgoing one first.
  PageList pages_{};
  Rings* rings_ = nullptr;
  kernel::Notice something_to_do_;
  kernel::Event room_;
  bool serving_ = false;
  bool stopping_ = false;
  bool broken_ = false;
  bool removed_ = false;
  kernel::Event served_;
};

}  // namespace child
