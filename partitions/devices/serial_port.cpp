#include "partitions/devices/serial_port.h"

namespace devices {
namespace {

// Interrupt enable register.
constexpr std::uint8_t kEnableReceived = 0x01;
constexpr std::uint8_t kEnableTransmitterEmpty = 0x02;
constexpr std::uint8_t kEnableLineStatus = 0x04;
constexpr std::uint8_t kEnableModemStatus = 0x08;
// Interrupt identification register (16550 table IV).
constexpr std::uint8_t kCauseModemStatus = 0x00;
constexpr std::uint8_t kCauseNone = 0x01;
constexpr std::uint8_t kCauseTransmitterEmpty = 0x02;
constexpr std::uint8_t kCauseReceived = 0x04;
constexpr std::uint8_t kCauseLineStatus = 0x06;
constexpr std::uint8_t kCauseTimeout = 0x0C;
// FIFO control register.
constexpr std::uint8_t kFifoEnable = 0x01;
constexpr std::uint8_t kFifoClearReceiver = 0x02;
// Line control and line status.
constexpr std::uint8_t kDivisorLatch = 0x80;
constexpr std::uint8_t kDataReady = 0x01;
constexpr std::uint8_t kOverrun = 0x02;
constexpr std::uint8_t kTransmitterEmpty = 0x60;
// Modem control.
constexpr std::uint8_t kOut2 = 0x08;
constexpr std::uint8_t kLoop = 0x10;

}  // namespace

SerialPort::SerialPort(Platform& platform, ConsoleSink& sink, std::uint16_t base,
                       std::uint32_t interrupt_line)
    : platform_(platform), sink_(sink), base_(base), interrupt_line_(interrupt_line) {}

std::uint32_t SerialPort::read_port(std::uint16_t port, std::uint32_t size) {
  if (size != 1) {
    return 0xFFFFFFFF;
  }
  const std::uint8_t value = read_register(static_cast<std::uint32_t>(port - base_) & 7);
  update_interrupt();
  return value;
}

void SerialPort::write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) {
  if (size != 1) {
    return;
  }
  write_register(static_cast<std::uint32_t>(port - base_) & 7, static_cast<std::uint8_t>(value));
  update_interrupt();
}

bool SerialPort::divisor_selected() const { return (line_control_ & kDivisorLatch) != 0; }

std::uint8_t SerialPort::read_register(std::uint32_t index) {
  switch (index) {
    case 0:
      return divisor_selected() ? static_cast<std::uint8_t>(divisor_) : take_received();
    case 1:
      return divisor_selected() ? static_cast<std::uint8_t>(divisor_ >> 8) : interrupt_enable_;
    case 2: {
      const std::uint8_t cause = interrupt_cause();
      if (cause == kCauseTransmitterEmpty) {
        transmitter_empty_interrupt_ = false;
      }
      const bool fifo = (fifo_control_ & kFifoEnable) != 0;
      return static_cast<std::uint8_t>(cause | (fifo ? 0xC0 : 0));
    }
    case 3:
      return line_control_;
    case 4:
      return modem_control_;
    case 5: {
      const std::uint8_t status = line_status();
      overrun_ = false;
      return status;
    }
    case 6: {
      const auto status = static_cast<std::uint8_t>(modem_lines() | modem_delta_);
      modem_delta_ = 0;
      return status;
    }
    default:
      return scratch_;
  }
}

void SerialPort::write_register(std::uint32_t index, std::uint8_t value) {
  switch (index) {
    case 0:
      if (divisor_selected()) {
        divisor_ = static_cast<std::uint16_t>((divisor_ & 0xFF00) | value);
      } else {
        transmit(value);
      }
      return;
    case 1:
      if (divisor_selected()) {
        divisor_ = static_cast<std::uint16_t>((divisor_ & 0x00FF) | (value << 8));
      } else {
        // Enabling the transmitter interrupt while the transmitter is empty raises it at once.
        const bool newly = (value & ~interrupt_enable_ & kEnableTransmitterEmpty) != 0;
        transmitter_empty_interrupt_ = transmitter_empty_interrupt_ || newly;
        interrupt_enable_ = value & 0x0F;
      }
      return;
    case 2:
      write_fifo_control(value);
      return;
    case 3:
      line_control_ = value;
      return;
    case 4:
      write_modem_control(value);
      return;
    case 5:  // read only
    case 6:
      return;
    default:
      scratch_ = value;
      return;
  }
}

void SerialPort::transmit(std::uint8_t character) {
  if ((modem_control_ & kLoop) != 0) {
    receive(character);
  } else {
    sink_.put(character);
  }
  transmitter_empty_interrupt_ = true;
}

void SerialPort::write_fifo_control(std::uint8_t value) {
  const bool toggled = ((value ^ fifo_control_) & kFifoEnable) != 0;
  // 16550 8.4: the other bits count only while bit 0 is written as one.
  fifo_control_ = (value & kFifoEnable) != 0 ? value & 0xC9 : 0;
  const bool clear = (value & kFifoEnable) != 0 && (value & kFifoClearReceiver) != 0;
  if (toggled || clear) {
    received_count_ = 0;
    received_first_ = 0;
  }
}

void SerialPort::write_modem_control(std::uint8_t value) {
  const std::uint8_t before = modem_lines();
  modem_control_ = value & 0x1F;
  const auto changed = static_cast<std::uint8_t>(before ^ modem_lines());
  // The ring indicator counts on its trailing edge only.
  const auto ring_ended = static_cast<std::uint8_t>(before & changed & 0x40);
  modem_delta_ |= static_cast<std::uint8_t>(((changed & 0xB0) | ring_ended) >> 4);
}

std::uint8_t SerialPort::modem_lines() const {
  if ((modem_control_ & kLoop) == 0) {
    return 0xB0;  // carrier, data set ready, clear to send
  }
  // 16550 8.7: DTR, RTS, OUT1 and OUT2 come back as DSR, CTS, RI and DCD.
  const bool dtr = (modem_control_ & 0x01) != 0;
  const bool rts = (modem_control_ & 0x02) != 0;
  return static_cast<std::uint8_t>((rts ? 0x10 : 0) | (dtr ? 0x20 : 0) |
                                   ((modem_control_ & 0x0C) << 4));
}

void SerialPort::receive(std::uint8_t character) {
  const std::uint32_t capacity = (fifo_control_ & kFifoEnable) != 0 ? kFifoDepth : 1;
  if (received_count_ >= capacity) {
    overrun_ = true;
    if (capacity == 1) {
      received_[received_first_] = character;
    }
  } else {
    received_[(received_first_ + received_count_) % kFifoDepth] = character;
    ++received_count_;
  }
  update_interrupt();
}

std::uint8_t SerialPort::take_received() {
  const std::uint8_t character = received_[received_first_];
  if (received_count_ != 0) {
    received_first_ = (received_first_ + 1) % kFifoDepth;
    --received_count_;
  }
  return character;
}

std::uint8_t SerialPort::line_status() const {
  return static_cast<std::uint8_t>(kTransmitterEmpty | (received_count_ != 0 ? kDataReady : 0) |
                                   (overrun_ ? kOverrun : 0));
}

std::uint8_t SerialPort::interrupt_cause() const {
  if ((interrupt_enable_ & kEnableLineStatus) != 0 && overrun_) {
    return kCauseLineStatus;
  }
  if ((interrupt_enable_ & kEnableReceived) != 0 && received_count_ != 0) {
    constexpr std::array<std::uint32_t, 4> kTriggers{1, 4, 8, 14};
    const bool fifo = (fifo_control_ & kFifoEnable) != 0;
    const std::uint32_t trigger = fifo ? kTriggers[fifo_control_ >> 6] : 1;
    // Fewer characters than the trigger interrupt after four character times, which pass at once.
    return received_count_ >= trigger ? kCauseReceived : kCauseTimeout;
  }
  if ((interrupt_enable_ & kEnableTransmitterEmpty) != 0 && transmitter_empty_interrupt_) {
    return kCauseTransmitterEmpty;
  }
  if ((interrupt_enable_ & kEnableModemStatus) != 0 && modem_delta_ != 0) {
    return kCauseModemStatus;
  }
  return kCauseNone;
}

void SerialPort::update_interrupt() {
  // On a PC the OUT2 pin gates the interrupt; in loop mode the pin is high, which closes the gate.
  const bool gate = (modem_control_ & (kOut2 | kLoop)) == kOut2;
  const bool level = gate && interrupt_cause() != kCauseNone;
  if (level != interrupt_level_) {
    interrupt_level_ = level;
    platform_.set_interrupt_line(interrupt_line_, level);
  }
}

}  // namespace devices
