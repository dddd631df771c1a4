// The physical disks that the root finds, and the ranges of them that it shows as disks.
#pragma once

#include <array>
#include <cstdint>

#include "partitions/kernel/kernel.h"
#include "partitions/root/disks/ata_channel.h"

namespace root {

class Disks {
 public:
  explicit Disks(kernel::Kernel& kernel);

  /// Looks for an IDE controller and its drives; nothing there is no error.
  void set_up(LegacyInterrupts& interrupts);

  static constexpr std::uint32_t kMaxDisks = 4;
  /// Primary master, primary slave, secondary master, secondary slave; 0 where no disk is.
  [[nodiscard]] std::uint64_t sector_count(std::uint32_t disk) const;
  /// `command.drive` is set here; what the disk does not have fails.
  kernel::Task<DiskStatus> run(std::uint32_t disk, DiskCommand& command);

 private:
  kernel::Kernel& kernel_;
  std::array<AtaChannel*, 2> channels_{};
};

/// Sectors of a disk, as a child sees them: counted from 0.
struct DiskRange {
  std::uint32_t disk = 0;
  std::uint64_t first_sector = 0;
  std::uint64_t sector_count = 0;
  bool read_only = false;
};

}  // namespace root
