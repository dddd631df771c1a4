#include "partitions/child/bus/plug_and_play.h"

#include <algorithm>

namespace child {

kernel::Task<bool> PlugAndPlay::start() {
  const bool connected = co_await bus_.connect();
  if (!connected) {
    co_return false;
  }
  for (OfferedDevice& device : bus_.devices()) {
    if (device.type != vmbus::kScsiInterface || device.subchannel_index != 0) {
      continue;  // No driver of ours; the device stays closed.
    }
    auto* disk = kernel_.heap().create<StorageClient>(kernel_, bus_, device, disk_options_);
    disks_[disk_count_++] = disk;
    const bool started = co_await disk->start();
    if (!started) {
      co_return false;
    }
  }
  sort_disks();
  co_return true;
}

void PlugAndPlay::sort_disks() {
  std::sort(disks_.begin(), disks_.begin() + static_cast<std::ptrdiff_t>(disk_count_),
            [](const StorageClient* left, const StorageClient* right) {
              return left->instance() < right->instance();
            });
}

kernel::Task<> PlugAndPlay::stop() {
  while (disk_count_ != 0) {
    StorageClient* disk = disks_[--disk_count_];
    co_await disk->stop();
    kernel_.heap().destroy(disk);
  }
  co_await bus_.disconnect();
}

}  // namespace child
