// A 16550A serial port without a line: what is sent goes to a sink at once, what arrives is given
// by receive().
#pragma once

#include <array>
#include <cstdint>

#include "partitions/devices/platform.h"

namespace devices {

/// Eight ports from `base` on. Cited as "16550": National Semiconductor PC16550D. Transmission
/// takes no time, so that THRE and TEMT are always set; modem lines are as if a terminal were
/// ready.
class SerialPort final : public PortDevice {
 public:
  SerialPort(Platform& platform, ConsoleSink& sink, std::uint16_t base,
             std::uint32_t interrupt_line);

  [[nodiscard]] std::uint32_t read_port(std::uint16_t port, std::uint32_t size) override;
  void write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) override;

  /// A character arrives from the other end. When the receiver is full it is lost (overrun).
  void receive(std::uint8_t character);

 private:
  static constexpr std::size_t kFifoDepth = 16;

  [[nodiscard]] std::uint8_t read_register(std::uint32_t index);
  void write_register(std::uint32_t index, std::uint8_t value);
  void transmit(std::uint8_t character);
  void write_fifo_control(std::uint8_t value);
  void write_modem_control(std::uint8_t value);
  [[nodiscard]] std::uint8_t modem_lines() const;
  [[nodiscard]] std::uint8_t take_received();
  [[nodiscard]] std::uint8_t line_status() const;
  /// The identification register's low four bits: what interrupts with the highest priority.
  [[nodiscard]] std::uint8_t interrupt_cause() const;
  [[nodiscard]] bool divisor_selected() const;
  void update_interrupt();

  Platform& platform_;
  ConsoleSink& sink_;
  std::uint16_t base_;
  std::uint32_t interrupt_line_;
  std::array<std::uint8_t, kFifoDepth> received_{};
  std::uint32_t received_count_ = 0;
  std::uint32_t received_first_ = 0;
  std::uint8_t interrupt_enable_ = 0;
  std::uint8_t fifo_control_ = 0;
  std::uint8_t line_control_ = 0;
  std::uint8_t modem_control_ = 0;
  std::uint8_t modem_delta_ = 0;
  std::uint8_t scratch_ = 0;
  std::uint16_t divisor_ = 12;
  bool overrun_ = false;
  bool transmitter_empty_interrupt_ = false;
  bool interrupt_level_ = false;
};

}  // namespace devices
