// The MC146818 real-time clock and its CMOS memory, ports 0x70 and 0x71, interrupt line 8.
#pragma once

#include <array>
#include <cstdint>

#include "partitions/devices/platform.h"

namespace devices {

/// Time of day from the platform's time and a start value. Interrupts: periodic, alarm and update
/// ended. Setting the clock moves its offset to the platform's time.
class Clock final : public PortDevice, public TimerClient {
 public:
  /// `power_on_seconds` since 2000-01-01 00:00:00.
  Clock(Platform& platform, std::uint32_t interrupt_line, std::uint64_t power_on_seconds);

  [[nodiscard]] std::uint32_t read_port(std::uint16_t port, std::uint32_t size) override;
  void write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) override;
  void expired(TimerToken token) override;

  /// A byte of the memory behind the clock registers (index 0x0E..0x7F), as firmware sets it.
  void set_memory(std::uint8_t index, std::uint8_t value);

 private:
  [[nodiscard]] std::uint8_t read_register(std::uint8_t index);
  void write_register(std::uint8_t index, std::uint8_t value);
  /// The clock's registers 0..9 at this moment, in the format that register B selects.
  [[nodiscard]] std::uint8_t time_register(std::uint8_t index) const;
  void set_time_register(std::uint8_t index, std::uint8_t value);
  [[nodiscard]] std::uint64_t seconds_now() const;
  [[nodiscard]] std::uint8_t encode(std::uint32_t value) const;
  [[nodiscard]] std::uint32_t decode(std::uint8_t value) const;
  [[nodiscard]] std::uint64_t periodic_ns() const;
  [[nodiscard]] bool alarm_matches() const;
  void write_register_b(std::uint8_t value);
  void arm_periodic();
  void arm_second();
  void raise(std::uint8_t cause);

  Platform& platform_;
  std::uint32_t interrupt_line_;
  /// The clock shows offset_seconds_ plus the platform's time, or held_seconds_ while SET is on.
  std::uint64_t offset_seconds_;
  std::uint64_t held_seconds_ = 0;
  std::uint8_t index_ = 0;
  std::uint8_t register_a_ = 0x26;
  std::uint8_t register_b_ = 0x02;
  std::uint8_t register_c_ = 0;
  std::array<std::uint8_t, 3> alarm_{};
  std::array<std::uint8_t, 128> memory_{};
};

}  // namespace devices
