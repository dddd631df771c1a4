// A disk that the root shows a child: storvsp over a range of a physical disk.
//
// One task takes requests out of the ring and puts completions in; each disk request is a task of
// its own, so that several are under way at once. Data moves by DMA to and from the child's own
// pages.
#pragma once

#include <cstdint>
#include <span>

#include "partitions/kernel/kernel.h"
#include "partitions/kernel/synchronization.h"
#include "partitions/root/bus/bus_device.h"
#include "partitions/root/child_memory.h"
#include "partitions/root/disks/disks.h"
#include "vmbus/ring.h"
#include "vmbus/storage/handshake.h"
#include "vmbus/storage/requests.h"
#include "vmbus/storage/scsi_disk.h"

namespace root {

/// What a child is shown.
struct StorageUnit {
  DiskRange range;
  /// Tells the child's disks apart: 0 is its first.
  std::uint32_t number = 0;
  /// How many sub-channels its client may have.
  std::uint16_t most_subchannels = 0;
  /// Of a sub-channel, which serves the same range: its index, from 1 on.
  std::uint16_t subchannel_index = 0;
};

class StorageDevice final : public BusDevice {
 public:
  StorageDevice(kernel::Kernel& kernel, Disks& disks, const MemoryBlock& memory,
                const StorageUnit& unit);

  [[nodiscard]] vmbus::Offer offer() const override;
  [[nodiscard]] bool open(const ChannelRings& rings) override;
  void close() override;
  [[nodiscard]] BusDevice* make_subchannel(std::uint16_t index) override;
  void destroy() override { kernel_.heap().destroy(this); }
  void signalled() override { something_to_do_.give(); }

 private:
  using Reader = vmbus::RingReader<vmbus::GpaPagesMemory>;
  using Writer = vmbus::RingWriter<vmbus::GpaPagesMemory>;

  /// Of one time that the channel is open.
  struct Session {
    Session(const ChannelRings& rings, const vmbus::storage::ChannelProperties& properties);
    Reader incoming;
    Writer outgoing;
    hv::ConnectionId signal;
    std::uint64_t track;
    ChannelOwner& owner;
    std::size_t channel;
    vmbus::storage::ServerHandshake handshake;
    bool broken = false;
  };

  /// One request from the ring to its completion. The packet's bytes follow it in the heap.
  struct Job {
    Job* next = nullptr;
    std::size_t allocated_bytes = 0;
    std::uint64_t transaction_id = 0;
    vmbus::storage::Request request;
    vmbus::storage::StoragePacket reply;
  };

  enum class Step : std::uint8_t { kAgain, kWaitForSignal, kWaitForTime };

  kernel::Task<> serve();
  [[nodiscard]] Step turn();
  /// True if the ring is full.
  [[nodiscard]] bool write_completions();
  [[nodiscard]] Step wait_for_room();
  void read_requests();
  /// Whether what is under way is as much as one child may have.
  [[nodiscard]] bool is_busy() const;
  void take_request(const vmbus::PacketView& view);
  void start(Job& job);
  void shake_hands(Job& job);
  void finish(Job& job, const vmbus::storage::StoragePacket& reply);
  void notify(vmbus::PublishResult result);

  kernel::Task<> execute(Job& job);
  kernel::Task<> move_sectors(Job& job, const vmbus::storage::Srb& srb,
                              const vmbus::storage::Transfer& transfer);
  kernel::Task<> flush(Job& job, const vmbus::storage::Srb& srb);
  void answer(Job& job, const vmbus::storage::Srb& srb,
              const vmbus::storage::DiskDecision& decision);
  /// The first `size_bytes` of the request's buffer as root memory, neighbouring pages joined.
  /// Empty if a page is not the child's. In the heap: `list_bytes` long.
  [[nodiscard]] std::span<DiskSegment> segments_of(const vmbus::GpaRange& range,
                                                   std::uint32_t size_bytes);
  void free_segments(const vmbus::GpaRange& range, std::span<DiskSegment> segments);

  kernel::Kernel& kernel_;
  Disks& disks_;
  const MemoryBlock& memory_;
  StorageUnit unit_;
  vmbus::storage::DiskGeometry geometry_;
  Session* session_ = nullptr;
  kernel::Notice something_to_do_;
  Job* done_first_ = nullptr;
  Job* done_last_ = nullptr;
  std::uint32_t in_flight_ = 0;
  std::size_t job_bytes_ = 0;
  bool closing_ = false;
};

}  // namespace root
