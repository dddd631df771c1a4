// GPADL messages as bytes, for tests that want to send wrong ones too.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "vmbus/protocol/bytes.h"
#include "vmbus/protocol/messages.h"
#include "vmbus/protocol/packets.h"

namespace gpadl_wire {

/// A range's head as one word.
inline std::uint64_t range_head(std::uint32_t byte_count, std::uint32_t byte_offset = 0) {
  return std::uint64_t{byte_offset} << 32 | byte_count;
}

/// One range of whole pages, numbered from `first`.
inline std::vector<std::uint64_t> whole_pages(std::size_t count, std::uint64_t first = 100) {
  std::vector<std::uint64_t> words = {range_head(static_cast<std::uint32_t>(count * 4096))};
  for (std::size_t page = 0; page < count; ++page) {
    words.push_back(first + page);
  }
  return words;
}

inline vmbus::GpadlHeader header(std::uint32_t channel, std::uint32_t id, std::size_t words,
                                 std::uint16_t ranges = 1) {
  vmbus::GpadlHeader result;
  result.channel_id = channel;
  result.gpadl_id = id;
  result.range_bytes = static_cast<std::uint16_t>(words * 8);
  result.range_count = ranges;
  return result;
}

inline std::span<const std::byte> words_as_bytes(std::span<const std::uint64_t> words) {
  return std::as_bytes(words);
}

/// A message: its fixed part and the words behind it.
template <class T>
std::vector<std::byte> message(const T& fixed, std::span<const std::uint64_t> words) {
  std::vector<std::byte> bytes(sizeof(T) + words.size_bytes());
  vmbus::copy_bytes(bytes, vmbus::bytes_of(fixed));
  vmbus::copy_bytes(std::span(bytes).subspan(sizeof(T)), std::as_bytes(words));
  return bytes;
}

}  // namespace gpadl_wire
