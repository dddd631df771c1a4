#include "sim/vtx/tlb.h"

#include <algorithm>

namespace sim::vtx {

namespace {

constexpr std::uint64_t kDead = 1;  // born before everything that can be valid
constexpr std::size_t kInitialSlots = 256;
constexpr std::uint64_t kFrameBits = 40;

constexpr std::uint64_t mask(std::uint32_t bits) { return (std::uint64_t{1} << bits) - 1; }

constexpr std::uint64_t mix(std::uint64_t value) {
  value *= 0x9E37'79B9'7F4A'7C15;
  return value ^ (value >> 32);
}

}  // namespace

Tlb::Tlb(std::size_t bound_slots) : bound_(std::max(bound_slots, kInitialSlots)) {
  use(0, 0);
  forget_fast();
}

void Tlb::forget_fast() {
  epoch_ += std::uint64_t{1} << kPageBits;
  if (epoch_ == 0) {  // all 2^28 epochs were used: none of their entries may come back
    std::ranges::fill(fast_, FastEntry{});
    epoch_ = std::uint64_t{1} << kPageBits;
  }
}

std::uint32_t Tlb::context_of(std::uint64_t ep4ta) {
  const auto at =
      std::ranges::lower_bound(context_index_, ep4ta, {}, [](const auto& e) { return e.first; });
  if (at != context_index_.end() && at->first == ep4ta) {
    return at->second;
  }
  const auto context = static_cast<std::uint32_t>(contexts_.size());
  contexts_.push_back({.ep4ta = ep4ta, .valid_since = 0});
  context_index_.insert(at, {ep4ta, context});
  return context;
}

std::uint64_t& Tlb::vpid_valid_since(std::uint16_t vpid) {
  if (vpid >= vpid_valid_since_.size()) {
    vpid_valid_since_.resize(vpid + std::size_t{1}, 0);
  }
  return vpid_valid_since_[vpid];
}

void Tlb::use(std::uint16_t vpid, std::uint64_t ep4ta) {
  if (vpid == vpid_ && ep4ta == ep4ta_) {
    return;
  }
  vpid_ = vpid;
  ep4ta_ = ep4ta;
  context_ = context_of(ep4ta);
  (void)vpid_valid_since(vpid);  // there from now on, so that lookups need no check
  forget_fast();
}

void Tlb::remember_fast(std::uint64_t guest_page, std::uint64_t frame, std::uint8_t rights) {
  fast_[guest_page % kFastEntries] = {.key = epoch_ | guest_page,
                                      .value = (frame << machine::kPageShift) | rights};
}

Tlb::Key Tlb::key_of(Kind kind, std::uint64_t guest_page) const {
  switch (kind) {
    case Kind::kPhysical4K:
      return {kind, guest_page, 0, context_};
    case Kind::kPhysical2M:
    case Kind::kTableOfPages:
      return {kind, guest_page >> 9, 0, context_};
    case Kind::kPhysical1G:
    case Kind::kTableOfDirectory:
      return {kind, guest_page >> 18, 0, context_};
    case Kind::kTableOfPointers:
      return {kind, guest_page >> 27, 0, context_};
    case Kind::kCombined4K:
      return {kind, guest_page, vpid_, context_};
    case Kind::kCombined2M:
      return {kind, guest_page >> 9, vpid_, context_};
    case Kind::kCombined1G:
      return {kind, guest_page >> 18, vpid_, context_};
  }
  return {};
}

// Combined mappings hash without their context, so that one walk finds an address under any EP4TA.
std::size_t Tlb::home_of(Kind kind, std::uint64_t page, std::uint16_t vpid,
                         std::uint32_t context) const {
  const bool combined = kind >= Kind::kCombined4K && kind <= Kind::kCombined1G;
  const std::uint64_t owner = combined ? vpid : context;
  const std::uint64_t hash =
      mix(page ^ (owner << kPageBits) ^ (static_cast<std::uint64_t>(kind) << 60));
  return hash & (slots_.size() - 1);
}

bool Tlb::is_valid(const Slot& slot) const {
  const auto context = static_cast<std::uint32_t>(slot.where >> kFrameBits);
  const auto kind = static_cast<Kind>((slot.tag >> 52) & 0xF);
  std::uint64_t since = std::max(everything_valid_since_, contexts_[context].valid_since);
  if (kind >= Kind::kCombined4K && kind <= Kind::kCombined1G) {
    const auto vpid = static_cast<std::uint16_t>(slot.tag >> kPageBits);
    since = std::max(since, vpid_valid_since_[vpid]);
    since = std::max(since, vpid != 0 ? vpids_valid_since_ : 0);
  }
  return slot.born > kDead && slot.born >= since;
}

namespace {

constexpr std::uint64_t tag_of(std::uint64_t page, std::uint16_t vpid, std::uint64_t kind) {
  return page | (static_cast<std::uint64_t>(vpid) << 36) | (kind << 52);
}
constexpr std::uint64_t kTagMask = mask(56);

}  // namespace

const Tlb::Slot* Tlb::find(const Key& key) const {
  if (kind_counts_[static_cast<std::size_t>(key.kind)] == 0) {
    return nullptr;
  }
  const std::uint64_t tag = tag_of(key.page, key.vpid, static_cast<std::uint64_t>(key.kind));
  std::size_t at = home_of(key.kind, key.page, key.vpid, key.context);
  for (; slots_[at].born != 0; at = (at + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[at];
    if ((slot.tag & kTagMask) == tag && slot.where >> kFrameBits == key.context) {
      return &slot;
    }
  }
  return nullptr;
}

std::optional<CachedPage> Tlb::find_page(std::uint64_t guest_page, Kind smallest) const {
  for (std::uint8_t level = 0; level < 3; ++level) {
    const auto kind = static_cast<Kind>(static_cast<std::uint8_t>(smallest) + level);
    const Slot* slot = find(key_of(kind, guest_page));
    if (slot != nullptr && is_valid(*slot)) {
      return CachedPage{.frame = slot->where & mask(kFrameBits),
                        .rights = static_cast<std::uint8_t>(slot->tag >> 56),
                        .level = level};
    }
  }
  return std::nullopt;
}

std::optional<CachedPage> Tlb::find_combined(std::uint64_t guest_page) const {
  return find_page(guest_page, Kind::kCombined4K);
}

std::optional<CachedPage> Tlb::find_physical(std::uint64_t guest_page) const {
  return find_page(guest_page, Kind::kPhysical4K);
}

std::optional<CachedTable> Tlb::find_table(std::uint64_t guest_page) const {
  for (std::uint8_t level = 0; level < 3; ++level) {
    const auto first = static_cast<std::uint8_t>(Kind::kTableOfPages);
    const Slot* slot = find(key_of(static_cast<Kind>(first + level), guest_page));
    if (slot != nullptr && is_valid(*slot)) {
      return CachedTable{.frame = slot->where & mask(kFrameBits),
                         .rights = static_cast<std::uint8_t>(slot->tag >> 56),
                         .level = level};
    }
  }
  return std::nullopt;
}

void Tlb::insert(const Key& key, std::uint64_t frame, std::uint8_t rights) {
  const Slot fresh = {.tag = tag_of(key.page, key.vpid, static_cast<std::uint64_t>(key.kind)) |
                             (static_cast<std::uint64_t>(rights) << 56),
                      .where = frame | (static_cast<std::uint64_t>(key.context) << kFrameBits),
                      .born = ++clock_};
  if (const Slot* old = find(key); old != nullptr) {
    slots_[static_cast<std::size_t>(old - slots_.data())] = fresh;
    return;
  }
  if ((used_ + 1) * 4 > slots_.size() * 3) {
    make_room();
  }
  place(fresh);
}

void Tlb::place(const Slot& fresh) {
  const auto kind = static_cast<Kind>((fresh.tag >> 52) & 0xF);
  std::size_t at =
      home_of(kind, fresh.tag & mask(kPageBits), static_cast<std::uint16_t>(fresh.tag >> kPageBits),
              static_cast<std::uint32_t>(fresh.where >> kFrameBits));
  while (slots_[at].born != 0) {
    at = (at + 1) & (slots_.size() - 1);
  }
  slots_[at] = fresh;
  ++used_;
  ++kind_counts_[static_cast<std::size_t>(kind)];
}

// Drops the dead; grows if half the table lives on; at the bound keeps the younger half.
void Tlb::make_room() {
  std::vector<Slot> live;
  std::ranges::copy_if(slots_, std::back_inserter(live),
                       [this](const Slot& slot) { return slot.born != 0 && is_valid(slot); });
  std::size_t size = std::max(slots_.size(), kInitialSlots);
  if (live.size() * 2 >= size && size * 2 <= bound_) {
    size *= 2;
  } else if (live.size() * 2 >= size) {
    std::ranges::sort(live, {}, &Slot::born);
    live.erase(live.begin(), live.begin() + static_cast<std::ptrdiff_t>(live.size() / 2));
    // What the small cache holds may outlive its entry here: both are copies of one mapping, and
    // whatever drops the mapping forgets the small cache too.
  }
  slots_.assign(size, Slot{});
  used_ = 0;
  kind_counts_.fill(0);
  for (const Slot& slot : live) {
    place(slot);
  }
}

void Tlb::add_combined(std::uint64_t guest_page, const CachedPage& page) {
  const auto first = static_cast<std::uint8_t>(Kind::kCombined4K);
  insert(key_of(static_cast<Kind>(first + page.level), guest_page), page.frame, page.rights);
}

void Tlb::add_physical(std::uint64_t guest_page, const CachedPage& page) {
  const auto first = static_cast<std::uint8_t>(Kind::kPhysical4K);
  insert(key_of(static_cast<Kind>(first + page.level), guest_page), page.frame, page.rights);
}

void Tlb::add_table(std::uint64_t guest_page, const CachedTable& table) {
  const auto first = static_cast<std::uint8_t>(Kind::kTableOfPages);
  insert(key_of(static_cast<Kind>(first + table.level), guest_page), table.frame, table.rights);
}

void Tlb::drop(const Key& key) {
  if (const Slot* slot = find(key); slot != nullptr) {
    slots_[static_cast<std::size_t>(slot - slots_.data())].born = kDead;
  }
}

void Tlb::drop_after_violation(std::uint64_t guest_page, bool linear) {
  for (const Kind kind : {Kind::kPhysical4K, Kind::kPhysical2M, Kind::kPhysical1G,
                          Kind::kTableOfPages, Kind::kTableOfDirectory, Kind::kTableOfPointers}) {
    drop(key_of(kind, guest_page));
  }
  if (linear) {
    for (const Kind kind : {Kind::kCombined4K, Kind::kCombined2M, Kind::kCombined1G}) {
      drop(key_of(kind, guest_page));
    }
  }
  forget_fast();
}

void Tlb::drop_linear(std::uint16_t vpid, std::uint64_t linear_page) {
  std::uint32_t shift = 0;
  for (const Kind kind : {Kind::kCombined4K, Kind::kCombined2M, Kind::kCombined1G}) {
    const std::uint64_t page = linear_page >> shift;
    shift += 9;
    if (kind_counts_[static_cast<std::size_t>(kind)] == 0) {
      continue;
    }
    const std::uint64_t tag = tag_of(page, vpid, static_cast<std::uint64_t>(kind));
    std::size_t at = home_of(kind, page, vpid, 0);
    for (; slots_[at].born != 0; at = (at + 1) & (slots_.size() - 1)) {
      if ((slots_[at].tag & kTagMask) == tag) {
        slots_[at].born = kDead;
      }
    }
  }
  forget_fast();
}

void Tlb::drop_vpid(std::uint16_t vpid) {
  vpid_valid_since(vpid) = ++clock_;
  forget_fast();
}

void Tlb::drop_all_vpids() {
  vpids_valid_since_ = ++clock_;
  forget_fast();
}

void Tlb::drop_ep4ta(std::uint64_t ep4ta) {
  contexts_[context_of(ep4ta)].valid_since = ++clock_;
  forget_fast();
}

void Tlb::drop_everything() {
  everything_valid_since_ = ++clock_;
  forget_fast();
}

}  // namespace sim::vtx
