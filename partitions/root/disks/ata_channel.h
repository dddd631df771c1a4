// The driver of one IDE channel: up to two ATA disks, bus-master DMA, one command at a time.
//
// Cited as "ATA": ATA/ATAPI-7 (T13/1532D); "BMIDE": Programming Interface for Bus Master IDE
// Controller 1.0. The register names are those of partitions/devices/ata.h.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "machine/address.h"
#include "partitions/kernel/kernel.h"
#include "partitions/kernel/synchronization.h"
#include "partitions/root/legacy_interrupts.h"

namespace root {

enum class DiskStatus : std::uint8_t { kDone, kUnreadable, kFailed };

/// A run of root memory that a transfer fills or empties.
struct DiskSegment {
  machine::Gpa address;
  std::uint32_t size_bytes = 0;
};

enum class DiskOperation : std::uint8_t { kRead, kWrite, kFlush };

/// One command. The segments hold sector_count * 512 bytes together; the object outlives it.
struct DiskCommand {
  DiskOperation operation = DiskOperation::kRead;
  std::uint32_t drive = 0;  // 0 or 1
  std::uint64_t sector = 0;
  std::uint32_t sector_count = 0;
  std::span<const DiskSegment> segments;
};

inline constexpr std::uint32_t kDiskSectorBytes = 512;
/// What one command moves at most: half of what the descriptor page can say for single pages.
inline constexpr std::uint32_t kMaxCommandBytes = 256 * 1024;

struct AtaChannelPorts {
  std::uint16_t command_block = 0;
  std::uint16_t control_block = 0;
  std::uint16_t bus_master = 0;
  std::uint32_t interrupt_line = 0;
};

class AtaChannel final : private kernel::Work {
 public:
  AtaChannel(kernel::Kernel& kernel, const AtaChannelPorts& ports);
  AtaChannel(const AtaChannel&) = delete;
  AtaChannel& operator=(const AtaChannel&) = delete;

  /// Looks for the drives; then interrupts come through `interrupts`. False without memory for the
  /// descriptors.
  [[nodiscard]] bool set_up(LegacyInterrupts& interrupts);
  /// Of a drive that is there; 0 where none is.
  [[nodiscard]] std::uint64_t sector_count(std::uint32_t drive) const {
    return drives_[drive].sector_count;
  }

  /// Carries the command out when those before it are done. A drive that does not answer is reset
  /// and asked once more; then the command has failed.
  kernel::Task<DiskStatus> run(const DiskCommand& command);

 private:
  struct Drive {
    std::uint64_t sector_count = 0;
    bool extended_addresses = false;
  };

  void on_interrupt();
  [[nodiscard]] Drive identify(std::uint32_t drive);
  void select(std::uint32_t drive);
  [[nodiscard]] bool wait_until_ready();
  [[nodiscard]] bool wait_for_data();

  /// Fills the descriptor table; through the bounce buffer where a segment is not even.
  void describe(const DiskCommand& command);
  void add_descriptors(machine::Gpa address, std::uint32_t size_bytes);
  void copy_bounced(const DiskCommand& command, bool to_bounce);
  void issue(const DiskCommand& command);
  void start(const DiskCommand& command);
  /// Ends the wait for a command that takes too long.
  kernel::Task<> watch();
  /// After the wait: whether the drive is done with the command, its interrupt lost or not.
  [[nodiscard]] bool has_ended();
  void reset();
  void write_address(const Drive& drive, const DiskCommand& command);
  [[nodiscard]] DiskStatus finish(const DiskCommand& command);

  kernel::Kernel& kernel_;
  AtaChannelPorts ports_;
  std::array<Drive, 2> drives_{};
  machine::Gpa descriptors_;
  machine::Gpa bounce_;
  std::uint32_t descriptor_count_ = 0;
  bool bounced_ = false;
  kernel::Semaphore turn_{1};
  bool in_flight_ = false;
  bool overdue_ = false;
  bool watched_ = false;
  std::uint64_t commands_ = 0;  // issued so far
  kernel::Notice ended_;
};

}  // namespace root
