#include "partitions/root/disks/ata_channel.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>

#include "hv/tlfs/msr.h"
#include "partitions/devices/ata.h"
#include "tests/kernel/kernel_fixture.h"

namespace {

namespace ata = devices::ata;

constexpr std::uint16_t kCommandBlock = 0x1F0;
constexpr std::uint16_t kControlBlock = 0x3F6;
constexpr std::uint16_t kBusMaster = 0xC000;
constexpr std::uint32_t kLine = 14;
constexpr std::uint16_t kDeviceRegister = kCommandBlock + 6;
constexpr std::uint16_t kCommandRegister = kCommandBlock + 7;
constexpr std::uint16_t kEngineStatus = kBusMaster + 2;
constexpr std::uint8_t kEngineInterrupt = 0x04;
constexpr std::uint64_t kPatience100ns = 70'000'000;

/// What was last written to a port.
std::uint32_t last_written(std::uint16_t port) {
  const auto& writes = host_seam::computer().port_writes;
  const auto found = std::find_if(writes.rbegin(), writes.rend(),
                                  [&](const auto& write) { return write.port == port; });
  return found != writes.rend() ? found->value : 0;
}

std::ptrdiff_t times_written(std::uint16_t port, std::uint32_t value) {
  return std::ranges::count(host_seam::computer().port_writes, host_seam::PortWrite{port, value});
}

/// One drive that answers IDENTIFY DEVICE at once, and flushes as the test wants.
class Drive {
 public:
  enum class Manner : std::uint8_t {
    /// Done at once; whether the interrupt arrives is the test's affair.
    kQuick,
    /// Busy until it is reset, then quick.
    kBusyUntilReset,
    kBusyForEver,
  };

  explicit Drive(Manner manner) : manner_(manner) {
    host_seam::computer().on_port_read = [this](std::uint16_t port) { return read(port); };
  }

 private:
  [[nodiscard]] bool busy() const {
    const bool reset = times_written(kControlBlock, ata::kSoftwareReset) != 0;
    return last_written(kCommandRegister) == ata::kFlushCache &&
           (manner_ == Manner::kBusyForEver || (manner_ == Manner::kBusyUntilReset && !reset));
  }
  std::uint32_t read(std::uint16_t port) {
    const bool second = (last_written(kDeviceRegister) & ata::kSecondDrive) != 0;
    switch (port) {
      case kCommandBlock:
        ++words_read_;
        return words_read_ == 61 ? 1000 : 0;
      case kCommandRegister:
      case kControlBlock:
        if (second) {
          return 0;
        }
        if (last_written(kCommandRegister) == ata::kIdentifyDevice && words_read_ < 256) {
          return ata::kReady | ata::kDataRequest;
        }
        return busy() ? ata::kBusy : ata::kReady;
      case kEngineStatus:
        return last_written(kCommandRegister) == ata::kFlushCache && !busy() ? kEngineInterrupt : 0;
      default:
        return 0;
    }
  }

  Manner manner_;
  std::uint32_t words_read_ = 0;
};

class Fixture {
 public:
  explicit Fixture(Drive::Manner manner) : drive_(manner) {
    REQUIRE(channel_.set_up(interrupts_));
    REQUIRE(channel_.sector_count(0) == 1000);
  }

  /// Starts a flush; its result comes into `result`.
  void flush(std::optional<root::DiskStatus>& result) {
    wait_for(result).spawn();
    booted_.run();
  }
  void interrupt() {
    interrupts_.interrupted(kLine, booted_.processor().executor());
    booted_.run();
  }
  void patience_ends() {
    now_ += kPatience100ns;
    host_seam::computer().msrs[hv::kMsrTimeRefCount] = now_;
    booted_.processor().timers().expired();
    booted_.run();
  }

 private:
  kernel::Task<> wait_for(std::optional<root::DiskStatus>& result) {
    command_.operation = root::DiskOperation::kFlush;
    const root::DiskStatus status = co_await channel_.run(command_);
    result = status;
  }

  kernel_test::Booted booted_;
  Drive drive_;
  root::LegacyInterrupts interrupts_;
  root::AtaChannel channel_{booted_.kernel(), {kCommandBlock, kControlBlock, kBusMaster, kLine}};
  root::DiskCommand command_;
  std::uint64_t now_ = 0;
};

}  // namespace

TEST_CASE("a command ends with its interrupt", "[root][disk]") {
  Fixture fixture(Drive::Manner::kQuick);
  std::optional<root::DiskStatus> result;
  fixture.flush(result);
  CHECK_FALSE(result.has_value());
  fixture.interrupt();
  CHECK(result == root::DiskStatus::kDone);
  // Whoever waited for it finds nothing to do.
  fixture.patience_ends();
  CHECK(times_written(kControlBlock, ata::kSoftwareReset) == 0);
}

TEST_CASE("a lost interrupt costs time and nothing else", "[root][disk]") {
  Fixture fixture(Drive::Manner::kQuick);
  std::optional<root::DiskStatus> result;
  fixture.flush(result);
  fixture.patience_ends();
  CHECK(result == root::DiskStatus::kDone);
  CHECK(times_written(kCommandRegister, ata::kFlushCache) == 1);
  CHECK(times_written(kControlBlock, ata::kSoftwareReset) == 0);
}

TEST_CASE("a drive that does not answer is reset and asked again", "[root][disk]") {
  Fixture fixture(Drive::Manner::kBusyUntilReset);
  std::optional<root::DiskStatus> result;
  fixture.flush(result);
  fixture.patience_ends();
  CHECK_FALSE(result.has_value());
  CHECK(times_written(kControlBlock, ata::kSoftwareReset) == 1);
  CHECK(times_written(kCommandRegister, ata::kFlushCache) == 2);
  fixture.interrupt();
  CHECK(result == root::DiskStatus::kDone);
}

TEST_CASE("a drive that never answers ends in an error, not in a wait", "[root][disk]") {
  Fixture fixture(Drive::Manner::kBusyForEver);
  std::optional<root::DiskStatus> first;
  std::optional<root::DiskStatus> second;
  fixture.flush(first);
  fixture.flush(second);
  for (int turn = 0; turn < 4 && !second.has_value(); ++turn) {
    fixture.patience_ends();
  }
  CHECK(first == root::DiskStatus::kFailed);
  CHECK(second == root::DiskStatus::kFailed);
}

TEST_CASE("a command that comes late in a watch has its whole time", "[root][disk]") {
  Fixture fixture(Drive::Manner::kQuick);
  std::optional<root::DiskStatus> first;
  std::optional<root::DiskStatus> second;
  fixture.flush(first);
  fixture.interrupt();
  fixture.flush(second);
  fixture.patience_ends();
  CHECK_FALSE(second.has_value());
  fixture.patience_ends();
  CHECK(second == root::DiskStatus::kDone);
}
