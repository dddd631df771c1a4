// A message of the bus as an input of a fuzz target makes it.
#pragma once

#include <array>

#include "tests/fuzz/fuzz_input.h"
#include "vmbus/protocol/bytes.h"
#include "vmbus/protocol/messages.h"

namespace fuzz {

/// Any bytes, some more than a message has; the type is one that there may be.
template <class End>
void handle_any_message(FuzzInput& input, End& client_or_server) {
  std::array<std::byte, vmbus::kMaxMessageSize + 8> message;
  const std::size_t size = input.take<std::uint8_t>() % message.size();
  const std::span<std::byte> used = std::span(message).first(size);
  input.fill(used);
  if (size >= 4) {
    const std::uint32_t type = std::to_integer<std::uint32_t>(used[0]) % 32;
    vmbus::copy_bytes(used, vmbus::bytes_of(type));
  }
  client_or_server.handle_message(used);
}

}  // namespace fuzz
