// One channel's half of the PIIX3 bus-master IDE function: the DMA engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "partitions/devices/platform.h"

namespace devices {

/// Which way a drive's data goes.
enum class DmaDirection : std::uint8_t { kToMemory, kFromMemory };

/// The drive at the other end of the engine.
class DmaClient {
 public:
  /// The engine has been started or stopped by software.
  virtual void dma_engine_changed() = 0;

 protected:
  ~DmaClient() = default;
};

/// Command, status and descriptor table registers, and the walk through the table. Cited as
/// "BMIDE": Programming Interface for Bus Master IDE Controller 1.0.
class BusMaster {
 public:
  explicit BusMaster(Platform& platform) : platform_(platform) {}

  /// Registers 0..7 of the channel; a wider access is several narrow ones.
  [[nodiscard]] std::uint8_t read(std::uint32_t index) const;
  void write(std::uint32_t index, std::uint8_t value);

  void set_client(DmaClient& client) { client_ = &client; }
  /// The PCI command register's bus master bit: without it the engine stands still.
  void set_enabled(bool enabled);

  /// Whether the engine runs, in this direction.
  [[nodiscard]] bool ready(DmaDirection direction) const;
  /// Moves the next bytes of the drive's transfer; false when the descriptor table had fewer bytes
  /// left: the engine has stopped, without an interrupt (BMIDE 3.1).
  [[nodiscard]] bool to_memory(std::span<const std::byte> source);
  [[nodiscard]] bool from_memory(std::span<std::byte> destination);
  /// The drive's interrupt has risen; all data of a transfer is in memory by then.
  void interrupt_raised();

 private:
  void start();
  /// Makes region_ cover the next byte; false at the end of the table.
  [[nodiscard]] bool next_region();
  [[nodiscard]] std::size_t contiguous_bytes(std::size_t wanted) const;
  void advance(std::size_t bytes);

  Platform& platform_;
  DmaClient* client_ = nullptr;
  bool enabled_ = false;
  std::uint8_t command_ = 0;
  std::uint8_t status_ = 0;
  std::uint32_t table_ = 0;
  std::uint32_t next_descriptor_ = 0;
  std::uint32_t region_address_ = 0;
  std::uint32_t region_bytes_ = 0;
  bool last_region_ = false;
};

}  // namespace devices
