// The child's Plug and Play manager: takes what the bus offers and binds a driver to each device by
// its class.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "partitions/child/bus/bus_driver.h"
#include "partitions/child/storage/storage_client.h"
#include "partitions/kernel/kernel.h"

namespace child {

class PlugAndPlay {
 public:
  PlugAndPlay(kernel::Kernel& kernel, const BusOptions& options, const StorageOptions& disks)
      : kernel_(kernel), bus_(kernel, options), disk_options_(disks) {}

  /// Enumerates the bus and starts the drivers. False if the bus cannot be reached or a driver does
  /// not start.
  kernel::Task<bool> start();
  /// Stops the drivers and leaves the bus.
  kernel::Task<> stop();

  /// In the order of their instance, which is the order of the root's offers.
  [[nodiscard]] std::span<StorageClient*> disks() { return std::span(disks_).first(disk_count_); }

 private:
  void sort_disks();

  kernel::Kernel& kernel_;
  BusDriver bus_;
  const StorageOptions disk_options_;
  std::array<StorageClient*, BusDriver::kMaxDevices> disks_{};
  std::size_t disk_count_ = 0;
};

}  // namespace child
