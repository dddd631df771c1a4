// An ATA disk as its registers show it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "partitions/devices/block_storage.h"
#include "partitions/devices/bus_master.h"
#include "partitions/devices/platform.h"

namespace devices {

/// What is plugged in; without storage nothing is. The texts stay valid; at most 40 and 20 ASCII
/// characters of them count.
struct DriveDescription {
  BlockStorage* storage = nullptr;
  std::string_view model;
  std::string_view serial;
};

/// How much longer than its shortest time a command takes, in steps.
inline constexpr machine::Site kServiceTimeSite{"device.disk.service_time"};

/// The drive's view of its cable.
class DriveCable {
 public:
  /// The drive's interrupt request has changed.
  virtual void interrupt_changed() = 0;

 protected:
  ~DriveCable() = default;
};

/// One drive: command block registers, commands, interrupt request. Cited as "ATA": ATA/ATAPI-7
/// (T13/1532D). The registers are written by the channel, to both drives alike but for the command,
/// which the selected one takes.
class IdeDrive final : public TimerClient, public DmaClient {
 public:
  IdeDrive(Platform& platform, BusMaster& bus_master, DriveCable& cable)
      : platform_(platform), bus_master_(bus_master), cable_(cable) {}

  void attach(const DriveDescription& description, bool second_drive);
  [[nodiscard]] bool present() const { return storage_ != nullptr; }
  [[nodiscard]] bool interrupt_requested() const { return interrupt_requested_; }

  /// Command block registers 1..6 (ATA 5.9 and on); writes of a busy drive are ignored.
  [[nodiscard]] std::uint8_t read_register(std::uint32_t index, bool high_order) const;
  void write_register(std::uint32_t index, std::uint8_t value);
  [[nodiscard]] std::uint8_t status() const { return status_; }
  /// Reading the status register, as against the alternate one, withdraws the interrupt.
  void acknowledge_interrupt();
  void write_command(std::uint8_t command);
  [[nodiscard]] std::uint16_t read_data();
  void write_data(std::uint16_t value);

  /// Software reset has begun (drives go busy and forget their command) or ended (they show their
  /// signature).
  void begin_reset();
  void end_reset();

  void expired(TimerToken token) override;
  void dma_engine_changed() override;

 private:
  enum class Phase : std::uint8_t {
    kIdle,
    kResetting,
    /// A command without data is being carried out.
    kNoData,
    /// Waiting for the medium, then for the host to take a sector.
    kReadingSector,
    kHostReads,
    /// Waiting for the host to give a sector, then for the medium.
    kHostWrites,
    kWritingSector,
    /// Waiting for the DMA engine to be started; under way.
    kDmaWaiting,
    kDmaRunning,
  };

  /// A register of which ATA keeps the last two writes.
  struct Pair {
    std::uint8_t current = 0;
    std::uint8_t previous = 0;
    void write(std::uint8_t value) {
      previous = current;
      current = value;
    }
  };

  static constexpr std::size_t kBufferSectors = 8;

  void execute(std::uint8_t command);
  /// Commands that move no data: the error bits, 0 if the drive accepts it.
  [[nodiscard]] std::uint8_t execute_without_data(std::uint8_t command);
  [[nodiscard]] std::uint8_t set_features();
  [[nodiscard]] std::uint8_t flush();
  /// Reads address and count from the registers; false, with the command ended, if they are bad.
  [[nodiscard]] bool take_extent(bool extended);
  [[nodiscard]] bool take_address(bool extended);
  void start_transfer(std::uint8_t command, bool write, bool dma);
  void identify();
  void describe(std::span<std::uint16_t, 256> words) const;
  void set_signature();

  void wait_for_medium(Phase phase, std::uint64_t sectors);
  void read_next_sector();
  void write_received_sector();
  void run_dma();
  [[nodiscard]] bool dma_read(std::span<std::byte> buffer);
  [[nodiscard]] bool dma_write(std::span<std::byte> buffer);
  [[nodiscard]] std::uint8_t storage_error(StorageStatus status) const;
  [[nodiscard]] Durability durability() const;
  void advance(std::uint64_t sectors);
  /// Puts the address of the sector that failed into the registers (ATA 6.2).
  void show_address();

  void host_may_transfer(Phase phase, bool interrupt);
  void finish(std::uint8_t error);
  void request_interrupt(bool requested);

  Platform& platform_;
  BusMaster& bus_master_;
  DriveCable& cable_;
  BlockStorage* storage_ = nullptr;
  std::string_view model_;
  std::string_view serial_;
  bool second_drive_ = false;

  std::uint8_t status_ = 0;
  std::uint8_t error_ = 0;
  Pair features_;
  Pair count_;
  std::array<Pair, 3> lba_{};
  std::uint8_t device_ = 0;
  bool interrupt_requested_ = false;
  bool write_cache_ = true;
  std::uint8_t transfer_mode_ = 0x40;

  Phase phase_ = Phase::kIdle;
  std::uint8_t command_ = 0;
  bool extended_ = false;
  bool force_unit_access_ = false;
  DmaDirection direction_ = DmaDirection::kToMemory;
  std::uint64_t sector_ = 0;
  std::uint64_t remaining_ = 0;
  std::size_t position_ = 0;
  alignas(8) std::array<std::byte, kBufferSectors * kSectorBytes> buffer_{};
};

}  // namespace devices
