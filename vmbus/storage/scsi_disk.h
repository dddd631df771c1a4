// What a disk does with a command: a pure function from CDB and geometry to a decision. The owner
// moves the data; everything that can be answered without a medium is answered here.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "vmbus/storage/scsi.h"
#include "vmbus/storage/storage_protocol.h"

namespace vmbus::storage {

struct DiskGeometry {
  std::uint64_t sector_count = 0;
  bool read_only = false;
  /// A volatile write cache: SYNCHRONIZE CACHE is what makes writes last.
  bool write_cache = true;
  std::uint32_t max_transfer_bytes = 256 * 1024;
  /// Printable; shown as the serial number and in the device identification page.
  std::array<char, 16> serial{};
};

enum class DiskAction : std::uint8_t {
  kRead,        // move `transfer` from the medium to the buffer
  kWrite,       // move `transfer` from the buffer to the medium
  kFlush,       // make every completed write durable
  kAnswer,      // the first `answer_bytes` of `answer` go to the buffer, then success
  kFail,        // CHECK CONDITION with `sense`
  kInvalidLun,  // srb status kSrbStatusInvalidLun
};

struct DiskDecision {
  DiskAction action = DiskAction::kFail;
  Transfer transfer;
  Sense sense;
  std::uint32_t answer_bytes = 0;
  std::array<std::uint8_t, 96> answer{};
};

/// `srb` is a request that has been copied out of the ring. A transfer is inside the medium, not
/// empty, and exactly as long as the buffer that the request names, whose direction is the right
/// one; everything else is refused.
[[nodiscard]] DiskDecision decide(const Srb& srb, const DiskGeometry& geometry);

/// The same for an address at which there is no disk: an INQUIRY says so, REPORT LUNS lists none.
/// `lun_0_exists` says what a REPORT LUNS for the same target lists.
[[nodiscard]] DiskDecision decide_absent(const Srb& srb, bool lun_0_exists);

}  // namespace vmbus::storage
