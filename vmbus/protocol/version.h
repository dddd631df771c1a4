// Protocol versions and what each brought.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace vmbus {

/// Major version in the upper half, minor in the lower.
enum class Version : std::uint32_t {
  kWin8 = 0x00020004,
  kWin8_1 = 0x00030000,
  kWin10 = 0x00040000,
  kWin10Rs3 = 0x00040001,
  kWin10V5 = 0x00050000,
  kWin10Rs4 = 0x00050001,
  kWin10Rs5 = 0x00050002,
  kIron = 0x00050003,
  kCopper = 0x00060000,
};

/// The order in which a client tries them.
inline constexpr std::array<Version, 9> kVersionsNewestFirst = {
    Version::kCopper,   Version::kIron,  Version::kWin10Rs5, Version::kWin10Rs4, Version::kWin10V5,
    Version::kWin10Rs3, Version::kWin10, Version::kWin8_1,   Version::kWin8};

[[nodiscard]] constexpr std::optional<Version> known_version(std::uint32_t value) {
  for (const Version version : kVersionsNewestFirst) {
    if (static_cast<std::uint32_t>(version) == value) {
      return version;
    }
  }
  return std::nullopt;
}

/// The version of that number, or `other` if there is none.
[[nodiscard]] constexpr Version version_or(std::uint32_t value, Version other) {
  return known_version(value).value_or(other);
}

/// INITIATE_CONTACT names a SINT instead of an interrupt page, and goes to its own connection.
[[nodiscard]] constexpr bool has_message_connection(Version version) {
  return version >= Version::kWin10V5;
}
/// The target processor of INITIATE_CONTACT is honoured; before, it is processor 0.
[[nodiscard]] constexpr bool has_contact_target(Version version) {
  return version >= Version::kWin8_1;
}
/// A client says goodbye with UNLOAD.
[[nodiscard]] constexpr bool has_unload(Version version) { return version >= Version::kWin8_1; }
[[nodiscard]] constexpr bool has_tl_connect(Version version) { return version >= Version::kWin10; }
[[nodiscard]] constexpr bool has_tl_connect_result(Version version) {
  return version >= Version::kWin10Rs3;
}
[[nodiscard]] constexpr bool has_modify_channel(Version version) {
  return version >= Version::kWin10Rs3;
}
[[nodiscard]] constexpr bool has_modify_response(Version version) {
  return version >= Version::kIron;
}
/// OPEN_RESERVED_CHANNEL and CLOSE_RESERVED_RESPONSE.
[[nodiscard]] constexpr bool has_reserved_channels(Version version) {
  return version >= Version::kWin10;
}
/// TL_CONNECT_REQUEST may end with a silo's id.
[[nodiscard]] constexpr bool has_silo_id(Version version) { return version >= Version::kWin10Rs5; }
/// INITIATE_CONTACT asks for features, VERSION_RESPONSE says which there are.
[[nodiscard]] constexpr bool has_feature_flags(Version version) {
  return version >= Version::kCopper;
}

// --- Features of 6.0, bits of one word -----------------------------------------------------------

/// MODIFY_CONNECTION: other monitor pages.
inline constexpr std::uint32_t kFeatureModifyConnection = 1u << 2;
/// INITIATE_CONTACT ends with an id of the client.
inline constexpr std::uint32_t kFeatureClientId = 1u << 3;
/// PAUSE and RESUME: the client reads no messages for a while.
inline constexpr std::uint32_t kFeaturePauseResume = 1u << 5;
/// What both ends here do; any other is refused.
inline constexpr std::uint32_t kKnownFeatures =
    kFeatureModifyConnection | kFeatureClientId | kFeaturePauseResume;

}  // namespace vmbus
