// The pair of 8259A interrupt controllers and the edge/level control registers of the PIIX3.
#pragma once

#include <array>
#include <cstdint>

#include "partitions/devices/platform.h"

namespace devices {

/// One 8259A. Cited as "8259A": Intel order number 231468.
class InterruptChip {
 public:
  void set_line(std::uint32_t line, bool level);
  /// One INTA sequence: the level that is taken into service, or 7 without a request (8259A
  /// "Default IR7": nothing goes into service).
  std::uint32_t acknowledge();
  [[nodiscard]] bool requesting() const;
  [[nodiscard]] std::uint8_t vector(std::uint32_t level) const;

  void write(bool second_port, std::uint8_t value);
  [[nodiscard]] std::uint8_t read(bool second_port);

  void set_level_triggered(std::uint8_t mask);
  [[nodiscard]] std::uint8_t level_triggered() const { return level_triggered_; }
  /// The level on which a further chip answers; acknowledges of other levels are this chip's own.
  void set_cascaded_level_mask(std::uint8_t mask) { cascaded_ = mask; }

 private:
  enum class Expected : std::uint8_t { kOperation, kWord2, kWord3, kWord4 };

  void write_initialization(std::uint8_t value);
  void write_end_of_interrupt(std::uint8_t value);
  void write_mode(std::uint8_t value);
  /// The level that may interrupt now; 8 if none.
  [[nodiscard]] std::uint32_t pending_level() const;
  [[nodiscard]] std::uint32_t highest(std::uint8_t levels) const;
  [[nodiscard]] bool is_level_triggered(std::uint8_t bit) const;
  void end(std::uint32_t level, bool rotate);

  std::uint8_t lines_ = 0;
  std::uint8_t requests_ = 0;
  std::uint8_t in_service_ = 0;
  std::uint8_t mask_ = 0;
  std::uint8_t vector_base_ = 0;
  std::uint8_t level_triggered_ = 0;
  std::uint8_t cascaded_ = 0;
  std::uint32_t lowest_priority_ = 7;
  Expected expected_ = Expected::kOperation;
  bool all_level_triggered_ = false;
  bool single_ = false;
  bool needs_word4_ = false;
  bool auto_end_ = false;
  bool rotate_on_auto_end_ = false;
  bool special_fully_nested_ = false;
  bool special_mask_ = false;
  bool read_in_service_ = false;
  bool poll_ = false;
};

/// Lines 0..7 are the primary's, 8..15 the secondary's, which hangs on line 2.
class InterruptController final : public PortDevice {
 public:
  static constexpr std::uint32_t kCascadeLine = 2;

  explicit InterruptController(InterruptPin& processor);

  void set_line(std::uint32_t line, bool level);
  /// The processor's acknowledge cycle: the vector.
  [[nodiscard]] std::uint8_t acknowledge();

  [[nodiscard]] std::uint32_t read_port(std::uint16_t port, std::uint32_t size) override;
  void write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) override;

 private:
  [[nodiscard]] InterruptChip& chip_of(std::uint16_t port);
  /// Carries the secondary's output to the primary and the primary's to the processor.
  void update();

  InterruptPin& processor_;
  InterruptChip primary_;
  InterruptChip secondary_;
  bool cascade_level_ = false;
  bool request_level_ = false;
};

}  // namespace devices
