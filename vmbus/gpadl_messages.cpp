#include "vmbus/gpadl_messages.h"

#include "machine/invariant.h"
#include "vmbus/protocol/bytes.h"
#include "vmbus/protocol/packets.h"

namespace vmbus {

static_assert(sizeof(GpadlHeader) + sizeof(GpaRangeHeader) + kPagesInGpadlHeader * 8 <=
              kMaxMessageSize);
static_assert(sizeof(GpadlBody) + kPagesInGpadlBody * 8 <= kMaxMessageSize);

GpadlMessages::GpadlMessages(ChannelId channel, GpadlId id, std::span<const machine::Gpn> pages)
    : pages_(pages), channel_(channel), id_(id) {
  INVARIANT(!pages.empty() && pages.size() <= kMaxGpadlPages);
}

void GpadlMessages::append_pages(std::size_t most) {
  const std::size_t count = pages_.size() < most ? pages_.size() : most;
  for (const machine::Gpn page : pages_.first(count)) {
    const std::uint64_t number = page.value();
    copy_bytes(std::span(message_).subspan(size_), bytes_of(number));
    size_ += sizeof(number);
  }
  pages_ = pages_.subspan(count);
}

std::span<const std::byte> GpadlMessages::next() {
  size_ = 0;
  if (!header_made_) {
    header_made_ = true;
    GpadlHeader header;
    header.channel_id = channel_.value();
    header.gpadl_id = id_.value();
    header.range_bytes = static_cast<std::uint16_t>(sizeof(GpaRangeHeader) + pages_.size() * 8);
    header.range_count = 1;
    const GpaRangeHeader range{static_cast<std::uint32_t>(pages_.size() * machine::kPageSize), 0};
    copy_bytes(message_, bytes_of(header));
    copy_bytes(std::span(message_).subspan(sizeof(header)), bytes_of(range));
    size_ = sizeof(header) + sizeof(range);
    append_pages(kPagesInGpadlHeader);
  } else if (!pages_.empty()) {
    GpadlBody body;
    body.message_number = body_number_;
    body.gpadl_id = id_.value();
    ++body_number_;
    copy_bytes(message_, bytes_of(body));
    size_ = sizeof(body);
    append_pages(kPagesInGpadlBody);
  }
  return std::span(message_).first(size_);
}

}  // namespace vmbus
