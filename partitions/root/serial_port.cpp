#include "partitions/root/serial_port.h"

#include <cstdint>

#include "machine/common.h"

namespace root {

namespace {

// Registers of the 16550 (offsets from its base), and the bits that matter.
constexpr std::uint16_t kBase = 0x3F8;
constexpr std::uint16_t kData = kBase;
constexpr std::uint16_t kInterruptEnable = kBase + 1;
constexpr std::uint16_t kFifoControl = kBase + 2;
constexpr std::uint16_t kLineControl = kBase + 3;
constexpr std::uint16_t kModemControl = kBase + 4;
constexpr std::uint16_t kLineStatus = kBase + 5;

constexpr std::uint8_t kDivisorLatch = 0x80;
constexpr std::uint8_t kEightBits = 0x03;
constexpr std::uint8_t kFifoEnableAndClear = 0x07;
constexpr std::uint8_t kReadyAndRequest = 0x03;
constexpr std::uint8_t kHoldingEmpty = 0x20;
constexpr std::uint8_t kTransmitterEmpty = 0x40;

void wait_for(std::uint8_t bit) {
  while ((machine::in_u8(kLineStatus) & bit) == 0) {
    machine::pause();
  }
}

}  // namespace

void SerialPort::set_up() {
  machine::out_u8(kInterruptEnable, 0);
  machine::out_u8(kLineControl, kDivisorLatch);
  machine::out_u8(kData, 1);
  machine::out_u8(kInterruptEnable, 0);
  machine::out_u8(kLineControl, kEightBits);
  machine::out_u8(kFifoControl, kFifoEnableAndClear);
  machine::out_u8(kModemControl, kReadyAndRequest);
}

void SerialPort::put(char character) {
  wait_for(kHoldingEmpty);
  machine::out_u8(kData, static_cast<std::uint8_t>(character));
}

void SerialPort::write(std::string_view text) {
  for (const char character : text) {
    put(character);
  }
}

void SerialPort::write_line(std::string_view first, std::string_view second) {
  write(first);
  write(second);
  put('\n');
}

void SerialPort::drain() { wait_for(kTransmitterEmpty); }

}  // namespace root
