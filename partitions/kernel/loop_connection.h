// A connection of a child to a port of its own, as the root's and the child's parameters tell it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kernel {

/// The connection and the port both have the id.
struct LoopConnection {
  std::uint32_t id = 0;
  std::uint32_t sint = 0;
  /// 0xFFFFFFFF is any.
  std::uint32_t vp = 0;
  /// 0: for messages.
  std::uint32_t flags = 0;
};
inline constexpr std::uint32_t kMaxLoopConnections = 8;

/// Reads "ID SINT VP FLAGS"; nullopt for anything else, or for more flags or SINTs than there are.
[[nodiscard]] std::optional<LoopConnection> parse_loop_connection(std::string_view text);

}  // namespace kernel
