#include "partitions/kernel/text.h"

namespace kernel {

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

}  // namespace

TextLine& TextLine::operator<<(std::string_view text) {
  for (const char character : text) {
    put(character);
  }
  return *this;
}

TextLine& TextLine::operator<<(std::uint64_t number) {
  std::uint64_t divisor = 1;
  while (number / divisor >= 10) {
    divisor *= 10;
  }
  for (; divisor != 0; divisor /= 10) {
    put(static_cast<char>('0' + number / divisor % 10));
  }
  return *this;
}

TextLine& TextLine::operator<<(Hex number) {
  unsigned digits = 16;
  while (digits > 1 && digits > number.digits && (number.value >> (4 * (digits - 1))) == 0) {
    --digits;
  }
  while (digits != 0) {
    --digits;
    put(kHexDigits[(number.value >> (4 * digits)) & 0xF]);
  }
  return *this;
}

TextLine& TextLine::operator<<(HexBytes bytes) {
  for (const std::byte value : bytes.bytes) {
    put(kHexDigits[std::to_integer<std::size_t>(value) >> 4]);
    put(kHexDigits[std::to_integer<std::size_t>(value) & 0xF]);
  }
  return *this;
}

}  // namespace kernel
