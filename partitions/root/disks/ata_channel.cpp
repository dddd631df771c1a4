#include "partitions/root/disks/ata_channel.h"

#include <algorithm>

#include "machine/guest.h"
#include "machine/machine.h"
#include "partitions/devices/ata.h"
#include "partitions/kernel/processor.h"

namespace root {

namespace {

namespace ata = devices::ata;

// Registers of the command block, by offset (ATA 5).
constexpr std::uint16_t kData = 0;
constexpr std::uint16_t kErrorRegister = 1;
constexpr std::uint16_t kSectorCount = 2;
constexpr std::uint16_t kLbaLow = 3;
constexpr std::uint16_t kLbaMid = 4;
constexpr std::uint16_t kLbaHigh = 5;
constexpr std::uint16_t kDevice = 6;
constexpr std::uint16_t kStatusAndCommand = 7;

// Registers of the bus master, by offset (BMIDE 2).
constexpr std::uint16_t kEngineCommand = 0;
constexpr std::uint16_t kEngineStatus = 2;
constexpr std::uint16_t kEngineTable = 4;
constexpr std::uint8_t kEngineStart = 0x01;
constexpr std::uint8_t kEngineToMemory = 0x08;
constexpr std::uint8_t kEngineError = 0x02;
constexpr std::uint8_t kEngineInterrupt = 0x04;

/// A physical region descriptor: address, byte count (0: 64 KiB), end of table. No region crosses a
/// multiple of 64 KiB.
struct RegionDescriptor {
  std::uint32_t address = 0;
  std::uint16_t size_bytes = 0;
  std::uint16_t flags = 0;
};
static_assert(sizeof(RegionDescriptor) == 8);
constexpr std::uint16_t kEndOfTable = 0x8000;
constexpr std::uint32_t kRegionBoundary = 0x10000;
constexpr std::uint32_t kMaxDescriptors = machine::kPageSize / sizeof(RegionDescriptor);

constexpr std::uint64_t kBouncePages = kMaxCommandBytes / machine::kPageSize;
constexpr std::uint32_t kPollTurns = 1'000'000;
constexpr std::uint64_t kPollNs = 1'000;

constexpr std::uint8_t kDeviceFault = 0x20;
constexpr std::uint8_t kFloatingBus = 0xFF;
constexpr std::uint32_t kIdentifyWords = 256;

/// What a drive may take for a command; spinning up takes the longest.
constexpr std::uint64_t kPatience100ns = 7'000 * kernel::kMillisecond100ns;
constexpr std::uint32_t kAttempts = 2;
// A software reset is held for 5 us; 2 ms later the drive shows its status (ATA 9.2).
constexpr std::uint64_t kResetHoldNs = 5'000;
constexpr std::uint64_t kResetNs = 2'000'000;

constexpr machine::Site kOnlyOneCommand("root.disk.one_command_at_a_time");
constexpr machine::Site kInterruptLost("root.disk.interrupt_was_lost");
constexpr machine::Site kReset("root.disk.reset");
constexpr machine::Site kIssued("root.disk.issued");
constexpr machine::Site kEnded("root.disk.ended");
/// That a drive was waited for in vain; `a`: whether only its interrupt was missing.
constexpr machine::Site kOverdue("root.disk.overdue");

bool is_even(const DiskSegment& segment) {
  return ((segment.address.value() | segment.size_bytes) & 1) == 0;
}

}  // namespace

AtaChannel::AtaChannel(kernel::Kernel& kernel, const AtaChannelPorts& ports)
    : Work([](Work& work) { static_cast<AtaChannel&>(work).on_interrupt(); }),
      kernel_(kernel),
      ports_(ports) {}

bool AtaChannel::set_up(LegacyInterrupts& interrupts) {
  const auto table = kernel_.pages().allocate(1);
  // Aligned to 64 KiB: one descriptor for each.
  const auto bounce = kernel_.pages().allocate(kBouncePages, kRegionBoundary / machine::kPageSize);
  if (!table || !bounce) {
    return false;
  }
  descriptors_ = machine::Gpa(*table);
  bounce_ = machine::Gpa(*bounce);
  machine::out_u8(ports_.control_block, ata::kInterruptsOff);
  for (std::uint32_t drive = 0; drive < drives_.size(); ++drive) {
    drives_[drive] = identify(drive);
  }
  machine::out_u8(ports_.control_block, 0);
  interrupts.attach(ports_.interrupt_line, *this);
  return true;
}

void AtaChannel::select(std::uint32_t drive) {
  const auto device =
      static_cast<std::uint8_t>(ata::kLbaMode | (drive != 0 ? ata::kSecondDrive : 0));
  machine::out_u8(ports_.command_block + kDevice, device);
  // The drive has 400 ns to show its status (ATA 6.2): four reads of the alternate one.
  for (int turn = 0; turn < 4; ++turn) {
    static_cast<void>(machine::in_u8(ports_.control_block));
  }
}

bool AtaChannel::wait_until_ready() {
  for (std::uint32_t turn = 0; turn < kPollTurns; ++turn) {
    const std::uint8_t status = machine::in_u8(ports_.control_block);
    if ((status & (ata::kBusy | ata::kDataRequest)) == 0) {
      return true;
    }
    machine::spend(kPollNs);
    machine::pause();
  }
  return false;
}

/// After a command with data to the host: false if the drive refused it.
bool AtaChannel::wait_for_data() {
  for (std::uint32_t turn = 0; turn < kPollTurns; ++turn) {
    const std::uint8_t status = machine::in_u8(ports_.command_block + kStatusAndCommand);
    if ((status & ata::kBusy) == 0) {
      return (status & ata::kDataRequest) != 0 && (status & ata::kError) == 0;
    }
    machine::spend(kPollNs);
    machine::pause();
  }
  return false;
}

AtaChannel::Drive AtaChannel::identify(std::uint32_t drive) {
  select(drive);
  const std::uint8_t present = machine::in_u8(ports_.command_block + kStatusAndCommand);
  if (present == 0 || present == kFloatingBus || !wait_until_ready()) {
    return {};
  }
  machine::out_u8(ports_.command_block + kStatusAndCommand, ata::kIdentifyDevice);
  if (!wait_for_data()) {
    return {};
  }
  // Capacity (ATA 6.17): words 60-61, or 100-103 where word 83 says that 48-bit commands exist.
  std::uint64_t small = 0;
  std::uint64_t large = 0;
  bool extended = false;
  for (std::uint32_t index = 0; index < kIdentifyWords; ++index) {
    const std::uint64_t word = machine::in_u16(ports_.command_block + kData);
    if (index == 60 || index == 61) {
      small |= word << (16 * (index - 60));
    } else if (index == 83) {
      extended = (word & (1u << 10)) != 0;
    } else if (index >= 100 && index <= 103) {
      large |= word << (16 * (index - 100));
    }
  }
  return Drive{extended ? large : small, extended};
}

void AtaChannel::on_interrupt() {
  const std::uint8_t engine = machine::in_u8(ports_.bus_master + kEngineStatus);
  const std::uint8_t status = machine::in_u8(ports_.control_block);
  const bool ours = in_flight_ && (engine & kEngineInterrupt) != 0 && (status & ata::kBusy) == 0;
  if (ours) {
    in_flight_ = false;
    machine::trace(kEnded, machine::Track::kDevice, ports_.interrupt_line);
    ended_.give();
  }
}

void AtaChannel::add_descriptors(machine::Gpa address, std::uint32_t size_bytes) {
  while (size_bytes != 0) {
    const auto to_boundary =
        kRegionBoundary - static_cast<std::uint32_t>(address.value() % kRegionBoundary);
    const std::uint32_t part = std::min(size_bytes, to_boundary);
    INVARIANT(descriptor_count_ < kMaxDescriptors && address.value() + part <= (1ull << 32));
    size_bytes -= part;
    RegionDescriptor descriptor;
    descriptor.address = static_cast<std::uint32_t>(address.value());
    descriptor.size_bytes = static_cast<std::uint16_t>(part % kRegionBoundary);
    kernel::write_object(descriptors_ + descriptor_count_ * sizeof(descriptor), descriptor);
    ++descriptor_count_;
    address = address + part;
  }
}

void AtaChannel::describe(const DiskCommand& command) {
  descriptor_count_ = 0;
  bounced_ = !std::all_of(command.segments.begin(), command.segments.end(), is_even);
  if (bounced_) {
    if (command.operation == DiskOperation::kWrite) {
      copy_bounced(command, true);
    }
    add_descriptors(bounce_, command.sector_count * kDiskSectorBytes);
  } else {
    for (const DiskSegment& segment : command.segments) {
      add_descriptors(segment.address, segment.size_bytes);
    }
  }
  const machine::Gpa last = descriptors_ + (descriptor_count_ - 1) * sizeof(RegionDescriptor);
  machine::store_u16(last + offsetof(RegionDescriptor, flags), kEndOfTable);
}

void AtaChannel::copy_bounced(const DiskCommand& command, bool to_bounce) {
  std::array<std::byte, kDiskSectorBytes> part;
  machine::Gpa bounce = bounce_;
  for (const DiskSegment& segment : command.segments) {
    for (std::uint32_t done = 0; done < segment.size_bytes;) {
      const std::uint32_t size =
          std::min<std::uint32_t>(kDiskSectorBytes, segment.size_bytes - done);
      const auto bytes = std::span(part).first(size);
      machine::read_memory(to_bounce ? segment.address + done : bounce, bytes);
      machine::write_memory(to_bounce ? bounce : segment.address + done, bytes);
      bounce = bounce + size;
      done += size;
    }
  }
}

void AtaChannel::write_address(const Drive& drive, const DiskCommand& command) {
  const std::uint16_t block = ports_.command_block;
  const auto byte_of = [&](unsigned index) {
    return static_cast<std::uint8_t>(command.sector >> (8 * index));
  };
  if (drive.extended_addresses) {
    machine::out_u8(block + kSectorCount, static_cast<std::uint8_t>(command.sector_count >> 8));
    machine::out_u8(block + kLbaLow, byte_of(3));
    machine::out_u8(block + kLbaMid, byte_of(4));
    machine::out_u8(block + kLbaHigh, byte_of(5));
  } else {
    const auto top = static_cast<std::uint8_t>(
        ata::kLbaMode | (command.drive != 0 ? ata::kSecondDrive : 0) | (byte_of(3) & 0x0F));
    machine::out_u8(block + kDevice, top);
  }
  machine::out_u8(block + kSectorCount, static_cast<std::uint8_t>(command.sector_count));
  machine::out_u8(block + kLbaLow, byte_of(0));
  machine::out_u8(block + kLbaMid, byte_of(1));
  machine::out_u8(block + kLbaHigh, byte_of(2));
}

void AtaChannel::issue(const DiskCommand& command) {
  const Drive& drive = drives_[command.drive];
  const bool is_read = command.operation == DiskOperation::kRead;
  machine::out_u8(ports_.bus_master + kEngineCommand, 0);
  machine::out_u8(ports_.bus_master + kEngineStatus, kEngineError | kEngineInterrupt);
  if (command.operation == DiskOperation::kFlush) {
    machine::out_u8(ports_.command_block + kStatusAndCommand,
                    drive.extended_addresses ? ata::kFlushCacheExt : ata::kFlushCache);
    return;
  }
  const std::uint8_t direction = is_read ? kEngineToMemory : 0;
  machine::out_u32(ports_.bus_master + kEngineTable,
                   static_cast<std::uint32_t>(descriptors_.value()));
  machine::out_u8(ports_.bus_master + kEngineCommand, direction);
  write_address(drive, command);
  std::uint8_t code = is_read ? ata::kReadDma : ata::kWriteDma;
  if (drive.extended_addresses) {
    code = is_read ? ata::kReadDmaExt : ata::kWriteDmaExt;
  }
  machine::out_u8(ports_.command_block + kStatusAndCommand, code);
  machine::out_u8(ports_.bus_master + kEngineCommand, direction | kEngineStart);
}

DiskStatus AtaChannel::finish(const DiskCommand& command) {
  machine::out_u8(ports_.bus_master + kEngineCommand, 0);
  const std::uint8_t engine = machine::in_u8(ports_.bus_master + kEngineStatus);
  // Reading the status withdraws the drive's interrupt.
  const std::uint8_t status = machine::in_u8(ports_.command_block + kStatusAndCommand);
  machine::out_u8(ports_.bus_master + kEngineStatus, kEngineError | kEngineInterrupt);
  if ((status & ata::kError) != 0) {
    const std::uint8_t error = machine::in_u8(ports_.command_block + kErrorRegister);
    return (error & ata::kUncorrectable) != 0 ? DiskStatus::kUnreadable : DiskStatus::kFailed;
  }
  if ((status & kDeviceFault) != 0 || (engine & kEngineError) != 0) {
    return DiskStatus::kFailed;
  }
  if (bounced_ && command.operation == DiskOperation::kRead) {
    copy_bounced(command, false);
  }
  return DiskStatus::kDone;
}

void AtaChannel::start(const DiskCommand& command) {
  machine::always(kOnlyOneCommand, !in_flight_);
  bounced_ = false;
  if (command.operation != DiskOperation::kFlush) {
    describe(command);
  }
  in_flight_ = true;
  overdue_ = false;
  ++commands_;
  machine::trace(kIssued, machine::Track::kDevice, ports_.interrupt_line,
                 static_cast<std::uint64_t>(command.operation), command.sector);
  issue(command);
  if (!watched_) {
    watched_ = true;
    watch().spawn();
  }
}

// One sleep covers whatever is issued while it lasts, so that commands cost no timer of their own.
kernel::Task<> AtaChannel::watch() {
  while (in_flight_) {
    const std::uint64_t seen = commands_;
    co_await kernel::sleep_for(kPatience100ns);
    if (in_flight_ && commands_ == seen) {
      in_flight_ = false;
      overdue_ = true;
      ended_.give();
    }
  }
  watched_ = false;
}

bool AtaChannel::has_ended() {
  if (!overdue_) {
    return true;
  }
  const std::uint8_t engine = machine::in_u8(ports_.bus_master + kEngineStatus);
  const std::uint8_t status = machine::in_u8(ports_.control_block);
  const bool ended = (engine & kEngineInterrupt) != 0 && (status & ata::kBusy) == 0;
  machine::sometimes(kInterruptLost, ended);
  machine::trace(kOverdue, machine::Track::kDevice, ports_.interrupt_line, ended ? 1 : 0);
  return ended;
}

void AtaChannel::reset() {
  machine::sometimes(kReset, true);
  machine::out_u8(ports_.bus_master + kEngineCommand, 0);
  machine::out_u8(ports_.control_block, ata::kSoftwareReset);
  machine::spend(kResetHoldNs);
  machine::out_u8(ports_.control_block, 0);
  machine::spend(kResetNs);
}

kernel::Task<DiskStatus> AtaChannel::run(const DiskCommand& command) {
  INVARIANT(command.drive < drives_.size());
  INVARIANT(command.sector_count * kDiskSectorBytes <= kMaxCommandBytes);
  co_await turn_.acquire();
  DiskStatus result = DiskStatus::kFailed;
  bool ended = false;
  for (std::uint32_t attempt = 0; attempt < kAttempts && !ended; ++attempt) {
    if (attempt != 0) {
      reset();
    }
    select(command.drive);
    if (wait_until_ready()) {
      start(command);
      co_await ended_.wait();
      ended = has_ended();
    }
  }
  if (ended) {
    result = finish(command);
  }
  turn_.release();
  co_return result;
}

}  // namespace root
