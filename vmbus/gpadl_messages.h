// The client's side of a GPADL: the messages that describe one range of pages to the server.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/address.h"
#include "vmbus/protocol/messages.h"
#include "vmbus/vmbus.h"

namespace vmbus {

/// range_bytes is 16 bits wide: the range's head and this many page numbers.
inline constexpr std::size_t kMaxGpadlPages = 8190;
inline constexpr std::size_t kPagesInGpadlHeader = 26;
inline constexpr std::size_t kPagesInGpadlBody = 28;

/// One GPADL of whole pages, message by message: call next() until it returns an empty span.
class GpadlMessages {
 public:
  /// 1 to kMaxGpadlPages pages, which outlive this object.
  GpadlMessages(ChannelId channel, GpadlId id, std::span<const machine::Gpn> pages);

  /// The next message, valid until the next call.
  [[nodiscard]] std::span<const std::byte> next();

 private:
  void append_pages(std::size_t most);

  std::span<const machine::Gpn> pages_;
  ChannelId channel_;
  GpadlId id_;
  bool header_made_ = false;
  std::uint32_t body_number_ = 0;
  std::size_t size_ = 0;
  std::array<std::byte, kMaxMessageSize> message_{};
};

}  // namespace vmbus
