// The 8254 interval timer: three channels of 1.193182 MHz, channel 0 on interrupt line 0.
#pragma once

#include <array>
#include <cstdint>

#include "partitions/devices/platform.h"

namespace devices {

inline constexpr std::uint64_t kIntervalTimerHz = 1193182;

/// Ports 0x40..0x43 and 0x61 (gate and output of channel 2). Cited as "8254": Intel 231164. A
/// channel that was never programmed stands still; counting is binary always. Modes 0, 2 and 3
/// count; 1, 4 and 5 are accepted and count once without an output edge, since nothing in a PC uses
/// them.
class IntervalTimer final : public PortDevice, public TimerClient {
 public:
  IntervalTimer(Platform& platform, std::uint32_t interrupt_line);

  [[nodiscard]] std::uint32_t read_port(std::uint16_t port, std::uint32_t size) override;
  void write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) override;
  void expired(TimerToken token) override;

 private:
  enum class Access : std::uint8_t { kLow = 1, kHigh = 2, kLowThenHigh = 3 };

  struct Channel {
    std::uint8_t mode = 0;
    Access access = Access::kLowThenHigh;
    bool loaded = false;
    bool gate = true;
    bool write_high_next = false;
    bool read_high_next = false;
    bool latched = false;
    bool status_latched = false;
    std::uint8_t status = 0;
    std::uint8_t low_byte = 0;
    std::uint16_t latch = 0;
    /// 1..65536.
    std::uint32_t reload = 65536;
    std::uint64_t start_ns = 0;
    /// How far it had counted when its gate went low.
    std::uint64_t held_ticks = 0;
  };

  void write_control(std::uint8_t value);
  void write_read_back(std::uint8_t value);
  void write_count(Channel& channel, std::uint8_t value);
  [[nodiscard]] std::uint8_t read_count(Channel& channel);
  void start(Channel& channel, std::uint32_t reload);
  [[nodiscard]] std::uint64_t elapsed_ticks(const Channel& channel) const;
  [[nodiscard]] std::uint16_t count(const Channel& channel) const;
  [[nodiscard]] bool output(const Channel& channel) const;
  void arm_interrupt();
  void set_interrupt(bool level);
  void write_gate(std::uint8_t value);

  Platform& platform_;
  std::uint32_t interrupt_line_;
  std::array<Channel, 3> channels_{};
  bool interrupt_level_ = false;
  std::uint8_t gate_bits_ = 0;
};

}  // namespace devices
