// GUIDs as they lie on the wire: the first three fields little endian, then eight bytes.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vmbus {

struct Guid {
  std::uint32_t data1 = 0;
  std::uint16_t data2 = 0;
  std::uint16_t data3 = 0;
  std::array<std::uint8_t, 8> data4{};
  friend constexpr auto operator<=>(const Guid&, const Guid&) = default;
};
static_assert(sizeof(Guid) == 16);
static_assert(offsetof(Guid, data2) == 4 && offsetof(Guid, data3) == 6 &&
              offsetof(Guid, data4) == 8);

namespace guid_text {

constexpr std::uint64_t kInvalidDigit = 16;

/// Not constexpr: a text that reaches it does not compile.
void guid_is_malformed();

constexpr std::uint64_t digit(char character) {
  if (character >= '0' && character <= '9') {
    return static_cast<std::uint64_t>(character - '0');
  }
  if (character >= 'a' && character <= 'f') {
    return static_cast<std::uint64_t>(character - 'a') + 10;
  }
  if (character >= 'A' && character <= 'F') {
    return static_cast<std::uint64_t>(character - 'A') + 10;
  }
  return kInvalidDigit;
}

consteval std::uint64_t hexadecimal(std::string_view text) {
  std::uint64_t value = 0;
  for (const char character : text) {
    const std::uint64_t next = digit(character);
    if (next == kInvalidDigit) {
      guid_is_malformed();
    }
    value = value * 16 + next;
  }
  return value;
}

}  // namespace guid_text

/// A GUID written as text: guid("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f").
consteval Guid guid(std::string_view text) {
  if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' ||
      text[23] != '-') {
    guid_text::guid_is_malformed();
  }
  Guid result;
  result.data1 = static_cast<std::uint32_t>(guid_text::hexadecimal(text.substr(0, 8)));
  result.data2 = static_cast<std::uint16_t>(guid_text::hexadecimal(text.substr(9, 4)));
  result.data3 = static_cast<std::uint16_t>(guid_text::hexadecimal(text.substr(14, 4)));
  for (std::size_t index = 0; index < 8; ++index) {
    const std::size_t at = index < 2 ? 19 + index * 2 : 24 + (index - 2) * 2;
    result.data4[index] = static_cast<std::uint8_t>(guid_text::hexadecimal(text.substr(at, 2)));
  }
  return result;
}

/// Interface types of devices.
inline constexpr Guid kScsiInterface = guid("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f");
inline constexpr Guid kIdeInterface = guid("32412632-86cb-44a2-9b5c-50d1417354f5");
inline constexpr Guid kNetworkInterface = guid("f8615163-df3e-46c5-913f-f2d2f965ed0e");
inline constexpr Guid kShutdownInterface = guid("0e0b6031-5213-4934-818b-38d90ced39db");
inline constexpr Guid kHeartbeatInterface = guid("57164f39-9115-4e78-ab55-382f3bd5422d");
inline constexpr Guid kTimesyncInterface = guid("9527e630-d0ae-497b-adce-e80ab0175caf");

}  // namespace vmbus
