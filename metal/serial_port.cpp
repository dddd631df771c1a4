// COM1, polled (16550). For reports of the machine itself; the console of the guests belongs to the
// root, which drives the same port through the seam.
#include <array>
#include <cstddef>

#include "machine/common.h"
#include "metal/metal.h"

namespace metal {
namespace {

constexpr std::uint16_t kData = 0x3F8;
constexpr std::uint16_t kInterruptEnable = 0x3F9;
constexpr std::uint16_t kFifoControl = 0x3FA;
constexpr std::uint16_t kLineControl = 0x3FB;
constexpr std::uint16_t kModemControl = 0x3FC;
constexpr std::uint16_t kLineStatus = 0x3FD;
constexpr std::uint8_t kTransmitReady = 0x20;
constexpr std::uint8_t kTransmitterEmpty = 0x40;
constexpr std::uint32_t kPatience = 1'000'000;

void wait_for(std::uint8_t status) {
  for (std::uint32_t turn = 0; turn < kPatience; ++turn) {
    if ((machine::in_u8(kLineStatus) & status) != 0) {
      return;
    }
    machine::pause();
  }
}

void write_byte(char character) {
  wait_for(kTransmitReady);
  machine::out_u8(kData, static_cast<std::uint8_t>(character));
}

void write_number(std::uint64_t value, unsigned radix) {
  std::array<char, 20> digits{};
  std::size_t count = 0;
  do {
    digits[count++] = "0123456789abcdef"[value % radix];
    value /= radix;
  } while (value != 0);
  while (count > 0) {
    write_byte(digits[--count]);
  }
}

}  // namespace

void serial_initialize() {
  machine::out_u8(kInterruptEnable, 0);
  machine::out_u8(kLineControl, 0x80);  // divisor latch
  machine::out_u8(kData, 1);            // 115200
  machine::out_u8(kInterruptEnable, 0);
  machine::out_u8(kLineControl, 0x03);  // 8N1
  machine::out_u8(kFifoControl, 0x07);
  machine::out_u8(kModemControl, 0x03);
}

void serial_write(std::string_view text) {
  for (const char character : text) {
    if (character == '\n') {
      write_byte('\r');
    }
    write_byte(character);
  }
}

void serial_write_hex(std::uint64_t value) {
  serial_write("0x");
  write_number(value, 16);
}

void serial_write_decimal(std::uint64_t value) { write_number(value, 10); }

void serial_flush() { wait_for(kTransmitterEmpty); }

}  // namespace metal
