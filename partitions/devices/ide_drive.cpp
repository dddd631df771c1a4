#include "partitions/devices/ide_drive.h"

#include "partitions/devices/ata.h"

namespace devices {
namespace {

constexpr TimerToken kServiceTimer{0};
constexpr TimerToken kResetTimer{1};

/// A fast disk: what every command takes, what a sector adds, and the step in which decisions
/// lengthen it.
constexpr std::uint64_t kCommandNs = 20'000;
constexpr std::uint64_t kSectorNs = 1'000;
constexpr std::uint64_t kStepNs = 5'000;
constexpr std::uint32_t kServiceSteps = 16;
constexpr std::uint64_t kResetNs = 2'000'000;

/// The drive's firmware loses a command.
constexpr machine::Site kCommandLost{"device.disk.command_lost"};

}  // namespace

void IdeDrive::attach(const DriveDescription& description, bool second_drive) {
  storage_ = description.storage;
  model_ = description.model;
  serial_ = description.serial;
  second_drive_ = second_drive;
  status_ = present() ? ata::kReady | ata::kSeekComplete : 0;
  set_signature();
}

std::uint8_t IdeDrive::read_register(std::uint32_t index, bool high_order) const {
  const auto read = [high_order](const Pair& pair) {
    return high_order ? pair.previous : pair.current;
  };
  switch (index) {
    case 1:
      return error_;
    case 2:
      return read(count_);
    case 3:
    case 4:
    case 5:
      return read(lba_[index - 3]);
    default:
      return static_cast<std::uint8_t>(device_ | 0xA0);
  }
}

void IdeDrive::write_register(std::uint32_t index, std::uint8_t value) {
  if ((status_ & (ata::kBusy | ata::kDataRequest)) != 0) {
    return;  // ATA 5.2: the command block belongs to the drive
  }
  switch (index) {
    case 1:
      features_.write(value);
      return;
    case 2:
      count_.write(value);
      return;
    case 3:
    case 4:
    case 5:
      lba_[index - 3].write(value);
      return;
    default:
      device_ = value;
      return;
  }
}

void IdeDrive::acknowledge_interrupt() { request_interrupt(false); }

void IdeDrive::request_interrupt(bool requested) {
  if (requested != interrupt_requested_) {
    interrupt_requested_ = requested;
    cable_.interrupt_changed();
  }
}

void IdeDrive::write_command(std::uint8_t command) {
  if (!present() || phase_ == Phase::kResetting || (status_ & ata::kBusy) != 0) {
    return;
  }
  request_interrupt(false);
  platform_.cancel(*this, kServiceTimer);
  status_ = ata::kBusy;
  error_ = 0;
  command_ = command;
  execute(command);
}

std::uint16_t IdeDrive::read_data() {
  if (phase_ != Phase::kHostReads) {
    return 0xFFFF;
  }
  const auto low = std::to_integer<std::uint16_t>(buffer_[position_]);
  const auto high = std::to_integer<std::uint16_t>(buffer_[position_ + 1]);
  position_ += 2;
  if (position_ == kSectorBytes) {
    if (command_ == ata::kIdentifyDevice) {
      // The data was all; ATA has no interrupt after the last sector of a read.
      phase_ = Phase::kIdle;
      status_ = ata::kReady | ata::kSeekComplete;
    } else {
      advance(1);
      if (remaining_ == 0) {
        phase_ = Phase::kIdle;
        status_ = ata::kReady | ata::kSeekComplete;
      } else {
        wait_for_medium(Phase::kReadingSector, 1);
      }
    }
  }
  return static_cast<std::uint16_t>(high << 8 | low);
}

void IdeDrive::write_data(std::uint16_t value) {
  if (phase_ != Phase::kHostWrites) {
    return;
  }
  buffer_[position_] = static_cast<std::byte>(value & 0xFF);
  buffer_[position_ + 1] = static_cast<std::byte>(value >> 8);
  position_ += 2;
  if (position_ == kSectorBytes) {
    wait_for_medium(Phase::kWritingSector, 1);
  }
}

void IdeDrive::begin_reset() {
  if (!present()) {
    return;
  }
  platform_.cancel(*this, kServiceTimer);
  platform_.cancel(*this, kResetTimer);
  request_interrupt(false);
  phase_ = Phase::kResetting;
  status_ = ata::kBusy;
}

void IdeDrive::end_reset() {
  if (phase_ == Phase::kResetting) {
    platform_.schedule(*this, kResetTimer, platform_.now_ns() + kResetNs);
  }
}

void IdeDrive::set_signature() {
  // ATA 9.12: an ATA device, no packets.
  error_ = 0x01;
  count_ = {.current = 1, .previous = 0};
  lba_[0] = {.current = 1, .previous = 0};
  lba_[1] = {};
  lba_[2] = {};
  device_ = 0;
}

void IdeDrive::expired(TimerToken token) {
  if (token == kResetTimer) {
    phase_ = Phase::kIdle;
    status_ = ata::kReady | ata::kSeekComplete;
    set_signature();
    return;
  }
  switch (phase_) {
    case Phase::kNoData:
      finish(execute_without_data(command_));
      if (command_ == ata::kExecuteDiagnostic) {
        set_signature();  // its error register holds the diagnostic code: 1, all well
      }
      return;
    case Phase::kReadingSector:
      read_next_sector();
      return;
    case Phase::kWritingSector:
      write_received_sector();
      return;
    case Phase::kDmaRunning:
      run_dma();
      return;
    case Phase::kIdle:
    case Phase::kResetting:
    case Phase::kHostReads:
    case Phase::kHostWrites:
    case Phase::kDmaWaiting:
      return;
  }
}

void IdeDrive::dma_engine_changed() {
  const bool ready = bus_master_.ready(direction_);
  if (phase_ == Phase::kDmaWaiting && ready) {
    status_ = ata::kBusy;
    wait_for_medium(Phase::kDmaRunning, remaining_);
  } else if (phase_ == Phase::kDmaRunning && !ready) {
    // The engine was stopped under the drive, which waits for it with its data request up until it
    // is started again or the drive is reset.
    platform_.cancel(*this, kServiceTimer);
    phase_ = Phase::kDmaWaiting;
    status_ = ata::kReady | ata::kDataRequest;
  }
}

void IdeDrive::wait_for_medium(Phase phase, std::uint64_t sectors) {
  phase_ = phase;
  status_ = ata::kBusy;
  const std::uint64_t steps = platform_.decide(kServiceTimeSite, kServiceSteps);
  const std::uint64_t duration = kCommandNs + kSectorNs * sectors + kStepNs * steps;
  if (phase == Phase::kDmaRunning && platform_.decide(kCommandLost, 2) != 0) {
    return;  // busy until it is reset
  }
  platform_.schedule(*this, kServiceTimer, platform_.now_ns() + duration);
}

void IdeDrive::host_may_transfer(Phase phase, bool interrupt) {
  phase_ = phase;
  position_ = 0;
  status_ = ata::kReady | ata::kSeekComplete | ata::kDataRequest;
  if (interrupt) {
    request_interrupt(true);
  }
}

void IdeDrive::finish(std::uint8_t error) {
  phase_ = Phase::kIdle;
  error_ = error;
  status_ = ata::kReady | ata::kSeekComplete;
  if (error != 0) {
    status_ |= ata::kError;
  }
  request_interrupt(true);
}

}  // namespace devices
