#include "vmbus/gpadl_table.h"

#include "machine/invariant.h"
#include "vmbus/gpadl_arithmetic.h"
#include "vmbus/protocol/bytes.h"

namespace vmbus {

namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);

}  // namespace

Gpadl* GpadlTable::find(ChannelId channel, GpadlId id) {
  for (Gpadl& gpadl : entries_) {
    if (gpadl.state != GpadlState::kFree && gpadl.channel == channel && gpadl.id == id) {
      return &gpadl;
    }
  }
  return nullptr;
}

Gpadl* GpadlTable::find_in_progress(GpadlId id) {
  for (Gpadl& gpadl : entries_) {
    if (gpadl.state == GpadlState::kInProgress && gpadl.id == id) {
      return &gpadl;
    }
  }
  return nullptr;
}

std::size_t GpadlTable::count() const {
  std::size_t used = 0;
  for (const Gpadl& gpadl : entries_) {
    used += gpadl.state != GpadlState::kFree ? 1u : 0u;
  }
  return used;
}

void GpadlTable::forget(Gpadl& gpadl) {
  INVARIANT(gpadl.state != GpadlState::kFree);
  storage_.release(gpadl.values);
  gpadl = Gpadl{};
}

GpadlStep GpadlTable::begin(const GpadlHeader& header, std::span<const std::byte> data) {
  const ChannelId channel(header.channel_id);
  const GpadlId id(header.gpadl_id);
  const GpadlStep failed{GpadlProgress::kFailed, channel, id};
  // Bodies carry the id alone, so two in progress with one id could not be told apart.
  if (header.range_count == 0 ||
      !vmbus::gpadl::announcement_is_valid(std::uint32_t{header.range_bytes}) ||
      find(channel, id) != nullptr || find_in_progress(id) != nullptr) {
    return failed;
  }
  for (Gpadl& gpadl : entries_) {
    if (gpadl.state != GpadlState::kFree) {
      continue;
    }
    const std::span<std::uint64_t> values = storage_.allocate(header.range_bytes / kWord);
    if (values.empty()) {
      return failed;
    }
    gpadl.state = GpadlState::kInProgress;
    gpadl.channel = channel;
    gpadl.id = id;
    gpadl.range_count = header.range_count;
    gpadl.values = values;
    return append(gpadl, data);
  }
  return failed;
}

GpadlStep GpadlTable::add_body(GpadlId id, std::span<const std::byte> data) {
  Gpadl* const gpadl = find_in_progress(id);
  if (gpadl == nullptr) {
    return {GpadlProgress::kUnknown, ChannelId(), id};
  }
  return append(*gpadl, data);
}

GpadlStep GpadlTable::append(Gpadl& gpadl, std::span<const std::byte> data) {
  GpadlStep step{GpadlProgress::kInProgress, gpadl.channel, gpadl.id};
  const auto count = static_cast<std::uint32_t>(data.size() / kWord);
  const auto announced = static_cast<std::uint32_t>(gpadl.values.size());
  const std::span<std::uint64_t> rest = gpadl.values.subspan(gpadl.received);
  if (!vmbus::gpadl::may_follow(gpadl.received, count, announced)) {
    forget(gpadl);
    step.progress = GpadlProgress::kFailed;
    return step;
  }
  copy_bytes(std::as_writable_bytes(rest), data.first(count * kWord));
  gpadl.received += count;
  if (count != rest.size()) {
    return step;
  }
  if (!ranges_are_valid(gpadl.values, gpadl.range_count)) {
    forget(gpadl);
    step.progress = GpadlProgress::kFailed;
    return step;
  }
  gpadl.state = GpadlState::kOffered;
  step.progress = GpadlProgress::kComplete;
  return step;
}

std::optional<RingPages> split_ring(const Gpadl& gpadl, std::uint32_t downstream_page_offset) {
  std::span<const std::uint64_t> values = gpadl.values;
  const std::optional<GpaRange> range = take_range(values);
  if (!range || gpadl.range_count != 1 || range->byte_offset != 0 ||
      range->byte_count % machine::kPageSize != 0) {
    return std::nullopt;
  }
  const auto pages = static_cast<std::uint32_t>(range->pages.size());
  if (!vmbus::gpadl::splits_into_rings(downstream_page_offset, pages)) {
    return std::nullopt;
  }
  return RingPages{range->pages.first(downstream_page_offset),
                   range->pages.subspan(downstream_page_offset)};
}

}  // namespace vmbus
