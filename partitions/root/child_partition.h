// One child partition as the root sees it: its memory, its ports, its life.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "hv/tlfs/partition.h"
#include "machine/image.h"
#include "partitions/kernel/root_services.h"
#include "partitions/kernel/synchronization.h"
#include "partitions/root/bus/child_ports.h"
#include "partitions/root/bus/vmbus_service.h"
#include "partitions/root/disks/disks.h"
#include "partitions/root/parameters.h"
#include "partitions/root/partition_calls.h"

namespace root {

/// Built in the order create, start; then it lives until `ended` is set; then tear_down. Each step
/// that fails tells which hypercall and with what status, and tear_down takes back what there is.
class ChildPartition {
 public:
  ChildPartition(kernel::Kernel& kernel, PartitionCalls& calls, std::uint32_t number)
      : kernel_(kernel), calls_(calls), number_(number) {}
  ~ChildPartition();
  ChildPartition(const ChildPartition&) = delete;
  ChildPartition& operator=(const ChildPartition&) = delete;

  struct Failure {
    std::string_view what;
    hv::Status status = hv::Status::kSuccess;
  };

  /// The partition with its VPs, memory, image and ports, everything but running.
  [[nodiscard]] std::optional<Failure> create(const Parameters& parameters,
                                              const machine::BootModule& image_module,
                                              std::string_view child_parameters);
  /// Offers the child a disk on its bus; between create() and start().
  [[nodiscard]] std::optional<Failure> offer_disk(Disks& disks, EventFlags& flags,
                                                  const DiskRange& range);
  [[nodiscard]] std::optional<Failure> start();
  /// Stops it and takes every page back.
  kernel::Task<std::optional<Failure>> tear_down();

  /// The child is over, by its own word or because it was stopped.
  void end(kernel::Verdict verdict) {
    verdict_ = verdict;
    ended_.set();
  }

  [[nodiscard]] std::uint32_t number() const { return number_; }
  [[nodiscard]] hv::PartitionId partition() const { return partition_; }
  [[nodiscard]] kernel::Event& ended() { return ended_; }
  [[nodiscard]] kernel::Verdict verdict() const { return verdict_; }
  [[nodiscard]] std::uint32_t processors() const { return processors_; }
  [[nodiscard]] const MemoryBlock& memory() const { return memory_; }
  /// Null before create().
  [[nodiscard]] VmbusService* bus() { return bus_; }

  ChildPartition* next = nullptr;

 private:
  [[nodiscard]] std::optional<Failure> create_partition();
  [[nodiscard]] std::optional<Failure> give_memory(std::uint64_t bytes);
  [[nodiscard]] std::optional<Failure> connect_services();
  [[nodiscard]] std::optional<Failure> connect_to_itself(const Parameters& parameters);
  void close_ports();
  [[nodiscard]] std::optional<Failure> give_back();

  kernel::Kernel& kernel_;
  PartitionCalls& calls_;
  std::uint32_t number_;
  std::uint32_t processors_ = 0;
  std::uint32_t disks_ = 0;
  bool has_devices_ = false;
  std::uint16_t monitor_latency_100ns_ = 0;
  vmbus::Version bus_version_ = vmbus::Version::kCopper;
  std::uint32_t removals_ = 0;
  bool removes_only_subchannels_ = false;
  std::uint16_t subchannels_ = 0;
  hv::PartitionId partition_ = hv::kPartitionIdInvalid;
  bool initialized_ = false;
  MemoryBlock memory_;
  machine::ImageHeader image_;
  ChildPorts* ports_ = nullptr;
  VmbusService* bus_ = nullptr;
  kernel::Event ended_;
  kernel::Verdict verdict_ = kernel::Verdict::kFailed;
};

}  // namespace root
