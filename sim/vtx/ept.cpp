#include "sim/vtx/ept.h"

#include "machine/vmx_architecture.h"

namespace sim::vtx {

namespace {

namespace vmx = machine::vmx;

constexpr std::uint64_t kSupportsExecuteOnly = 1u << 0;
constexpr std::uint64_t kSupportsUncacheable = 1u << 8;
constexpr std::uint64_t kSupportsWriteBack = 1u << 14;
constexpr std::uint64_t kSupports2M = 1u << 16;
constexpr std::uint64_t kSupports1G = 1u << 17;
constexpr std::uint64_t kSupportsAccessedDirty = 1u << 21;

bool is_leaf(std::uint64_t entry, std::uint8_t level) {
  return level == 0 || (level < 3 && (entry & vmx::kEptLargePage) != 0);
}

}  // namespace

bool is_misconfigured(const Capabilities& capabilities, std::uint64_t entry, std::uint8_t level) {
  const std::uint64_t rights = entry & kRightsAll;
  if ((rights & (vmx::kEptRead | vmx::kEptWrite)) == vmx::kEptWrite) {
    return true;  // writable but not readable
  }
  if (rights == vmx::kEptExecute && (capabilities.ept_vpid & kSupportsExecuteOnly) == 0) {
    return true;
  }
  if (!capabilities.is_physical(entry & vmx::kEptAddressMask)) {
    return true;
  }
  if (!is_leaf(entry, level)) {
    // Bits 6:3 are reserved; so is bit 7 in a PML4 entry.
    return (entry & (level == 3 ? 0xF8u : 0x78u)) != 0;
  }
  if (level > 0) {
    const std::uint64_t supported = level == 1 ? kSupports2M : kSupports1G;
    const std::uint64_t below_page = (machine::kPageSize << (9 * level)) - machine::kPageSize;
    if ((capabilities.ept_vpid & supported) == 0 || (entry & below_page) != 0) {
      return true;
    }
  }
  const std::uint64_t type = (entry >> vmx::kEptMemoryTypeShift) & 7;
  return type == 2 || type == 3 || type == 7;
}

Walk walk_ept(Platform& platform, const Capabilities& capabilities, std::uint64_t guest_page,
              const CachedTable& start) {
  Walk walk;
  CachedTable table = start;
  while (true) {
    const std::uint64_t index = (guest_page >> (9 * table.level)) & 511;
    const machine::Spa address((table.frame << machine::kPageShift) + index * 8);
    const std::uint64_t entry = platform.load_u64(address);
    walk.entries[walk.entry_count++] = address;
    if ((entry & kRightsAll) == 0) {
      walk.outcome = WalkOutcome::kNotPresent;
      return walk;
    }
    if (is_misconfigured(capabilities, entry, table.level)) {
      walk.outcome = WalkOutcome::kMisconfigured;
      return walk;
    }
    const auto rights = static_cast<std::uint8_t>(table.rights & entry & kRightsAll);
    const std::uint64_t frame = (entry & vmx::kEptAddressMask) >> machine::kPageShift;
    if (is_leaf(entry, table.level)) {
      walk.outcome = WalkOutcome::kMapped;
      walk.page = {.frame = frame, .rights = rights, .level = table.level};
      return walk;
    }
    table = {.frame = frame, .rights = rights, .level = static_cast<std::uint8_t>(table.level - 1)};
    walk.tables[walk.table_count++] = table;
  }
}

void set_accessed_and_dirty(Platform& platform, const Walk& walk, bool dirty) {
  for (std::uint8_t i = 0; i < walk.entry_count; ++i) {
    const bool leaf = i + 1 == walk.entry_count;
    const std::uint64_t flags = vmx::kEptAccessed | (leaf && dirty ? vmx::kEptDirty : 0);
    if ((platform.load_u64(walk.entries[i]) & flags) != flags) {
      platform.fetch_or_u64(walk.entries[i], flags);
    }
  }
}

bool is_valid_eptp(const Capabilities& capabilities, std::uint64_t eptp) {
  const std::uint64_t type = eptp & 7;
  const bool type_supported =
      (type == vmx::kMemoryTypeUncacheable &&
       (capabilities.ept_vpid & kSupportsUncacheable) != 0) ||
      (type == vmx::kMemoryTypeWriteBack && (capabilities.ept_vpid & kSupportsWriteBack) != 0);
  const bool accessed_dirty_supported = (capabilities.ept_vpid & kSupportsAccessedDirty) != 0 ||
                                        (eptp & vmx::kEptpEnableAccessedDirty) == 0;
  return type_supported && (eptp & 0x38) == vmx::kEptpWalkLength4 && accessed_dirty_supported &&
         (eptp & 0xF80) == 0 && capabilities.is_physical(eptp);
}

}  // namespace sim::vtx
