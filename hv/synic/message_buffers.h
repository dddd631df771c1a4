// The buffers of all message ports of one partition.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/memory/page_pool.h"
#include "hv/memory/record_pages.h"
#include "hv/synic/queued_message.h"
#include "hv/tlfs/messages.h"

namespace hv {

struct MessageBuffer {
  QueuedMessage entry;
  std::array<std::byte, kMessagePayloadBytes> payload{};
  /// Another buffer of the same port.
  MessageBuffer* next = nullptr;
};

/// Each port is promised all its buffers, so pages for them are set aside when it is made; but they
/// are handed out one by one from the same page, for few are ever under way at a time. Guarded like
/// the ports.
class MessageBuffers {
 public:
  explicit MessageBuffers(PagePool& pool) : pool_(&pool) {}
  MessageBuffers(const MessageBuffers&) = delete;
  MessageBuffers& operator=(const MessageBuffers&) = delete;

  /// Sets memory for one more port aside; false, and nothing changed, if the pool has too little.
  [[nodiscard]] bool promise_port();
  /// A port gave all its buffers back and is no more.
  void forget_port();

  /// At most kPortMessageBuffers for each port.
  [[nodiscard]] MessageBuffer& take();
  void give(MessageBuffer& buffer) { buffers_.end(buffer); }

 private:
  [[nodiscard]] static std::uint64_t pages_for(std::uint32_t ports);
  void trim();

  PagePool* pool_;
  PagePool set_aside_;
  RecordPages<MessageBuffer> buffers_{set_aside_};
  std::uint32_t ports_ = 0;
  std::uint64_t pages_ = 0;
};

}  // namespace hv
