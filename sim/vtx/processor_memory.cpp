// Guest-physical accesses: EPT by way of the TLB (SDM vol. 3 28.2, 28.4).
#include "machine/vmx_architecture.h"
#include "sim/vtx/ept.h"
#include "sim/vtx/processor.h"

namespace sim::vtx {

namespace vmx = machine::vmx;
using machine::Gpa;
using machine::Spa;
using machine::Vmcs64;

namespace {

constexpr std::uint8_t kRootLevel = 3;

constexpr std::uint8_t bits_of(Access access) { return static_cast<std::uint8_t>(access); }

bool has_rights(std::uint8_t rights, Access access) {
  return (rights & bits_of(access)) == bits_of(access);
}

// A write that the mapping allows, but whose dirty flag may not be set yet.
bool needs_dirty_walk(const CachedPage& page, Access access) {
  return (bits_of(access) & page.rights & kRightWrite) != 0 && (page.rights & kDirtyKnown) == 0;
}

Spa address_in(const CachedPage& page, Gpa address) {
  return Spa((page.frame_of(address.page().value()) << machine::kPageShift) |
             address.offset_in_page());
}

// Table 27-7. The rights are those of the translation, 0 if there is none.
Exit ept_violation(Gpa address, Access access, Through through, std::uint8_t rights) {
  const bool linear = through == Through::kLinearAddress;
  const std::uint64_t linear_bits =
      vmx::kEptViolationLinearValid | vmx::kEptViolationLinearTranslated;
  return {.reason = vmx::ExitReason::kEptViolation,
          .qualification = bits_of(access) |
                           (static_cast<std::uint64_t>(rights & kRightsAll) << 3) |
                           (linear ? linear_bits : 0),
          .guest_linear_address = linear ? address.value() : 0,
          .guest_physical_address = address};
}

// Everything find_fast() may grant without looking further.
std::uint8_t fast_rights(const CachedPage& page) {
  const bool writes_need_walk = (page.rights & kDirtyKnown) == 0;
  return page.rights &
         static_cast<std::uint8_t>(writes_need_walk ? kRightRead | kRightExecute : kRightsAll);
}

}  // namespace

void Processor::drop_linear(std::uint64_t linear_address) {
  tlb_.drop_linear(tlb_.vpid(), linear_address >> machine::kPageShift);
}

// Without VPID combined mappings end with the next transition (28.4.3.1), and so does every way to
// tell them from the guest-physical mappings that they were made of: the model does without them,
// and its small cache in front, being of guest-physical mappings then, outlives transitions.
bool Processor::uses_combined(Through through) const {
  return through == Through::kLinearAddress && (secondary_controls_ & vmx::kEnableVpid) != 0;
}

// The page that the access may use: what is cached, however old, else what a walk finds.
std::expected<CachedPage, Exit> Processor::find_page(Gpa address, Access access, Through through) {
  const std::uint64_t guest_page = address.page().value();
  if (uses_combined(through)) {
    if (const std::optional<CachedPage> hit = tlb_.find_combined(guest_page);
        hit && !needs_dirty_walk(*hit, access)) {
      return *hit;
    }
  }
  if (const std::optional<CachedPage> hit = tlb_.find_physical(guest_page);
      hit && !needs_dirty_walk(*hit, access)) {
    return *hit;
  }
  const std::uint64_t eptp = current_->get(Vmcs64::kEptPointer);
  const CachedTable root = {.frame = (eptp & vmx::kEptAddressMask) >> machine::kPageShift,
                            .rights = kRightsAll,
                            .level = kRootLevel};
  Walk walk =
      walk_ept(platform_, capabilities_, guest_page, tlb_.find_table(guest_page).value_or(root));
  if (walk.outcome == WalkOutcome::kMisconfigured) {
    return std::unexpected(
        Exit{.reason = vmx::ExitReason::kEptMisconfiguration, .guest_physical_address = address});
  }
  if (walk.outcome == WalkOutcome::kMapped && has_rights(walk.page.rights, access)) {
    remember(guest_page, walk, access);
  }
  return walk.page;
}

void Processor::remember(std::uint64_t guest_page, Walk& walk, Access access) {
  bool dirty = true;
  if ((current_->get(Vmcs64::kEptPointer) & vmx::kEptpEnableAccessedDirty) != 0) {
    const bool writes = (bits_of(access) & kRightWrite) != 0;
    set_accessed_and_dirty(platform_, walk, writes);
    dirty = (platform_.load_u64(walk.entries[walk.entry_count - 1u]) & vmx::kEptDirty) != 0;
  }
  walk.page.rights |= dirty ? kDirtyKnown : 0;
  for (std::uint8_t i = 0; i < walk.table_count; ++i) {
    tlb_.add_table(guest_page, walk.tables[i]);
  }
  tlb_.add_physical(guest_page, walk.page);
}

std::expected<Spa, Exit> Processor::translate_slow(Gpa address, Access access, Through through) {
  const std::uint64_t guest_page = address.page().value();
  if (!capabilities_.is_physical(address.value())) {
    return std::unexpected(ept_violation(address, access, through, 0));
  }
  if ((secondary_controls_ & vmx::kEnableEpt) == 0) {
    tlb_.remember_fast(guest_page, guest_page, kRightsAll);
    return Spa(address.value());
  }
  const std::expected<CachedPage, Exit> page = find_page(address, access, through);
  if (!page) {
    return std::unexpected(page.error());
  }
  if (!has_rights(page->rights, access)) {
    tlb_.drop_after_violation(guest_page, through == Through::kLinearAddress);
    return std::unexpected(ept_violation(address, access, through, page->rights));
  }
  if (uses_combined(through)) {
    tlb_.add_combined(guest_page, *page);
  }
  if (through == Through::kLinearAddress) {
    tlb_.remember_fast(guest_page, page->frame_of(guest_page), fast_rights(*page));
  }
  return address_in(*page, address);
}

}  // namespace sim::vtx
