#include "hv/processor/guest_translation.h"

#include <algorithm>
#include <span>

#include "hv/partition.h"
#include "hv/virtual_processor.h"
#include "hv/vtx/guest_context.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"

namespace hv {
namespace {

constexpr std::uint32_t kCpuidAddressSizes = 0x8000'0008;
constexpr std::uint64_t kRflagsAc = 1u << 18;
constexpr std::uint8_t kUserLevel = 3;
/// A guest that changes its tables all the time does so to no purpose of its own.
constexpr unsigned kMaxWalks = 16;

/// The tables of a guest, where its GPA space has them.
class PartitionTables {
 public:
  explicit PartitionTables(Partition& partition) : partition_(partition) {}

  std::expected<std::uint64_t, TranslateCode> load(machine::Gpa entry, std::uint32_t size_bytes) {
    const machine::LockGuard guard(partition_.space_lock);
    const std::optional<GpaMapping> mapping = partition_.space->lookup(entry.page());
    if (!is_memory(mapping)) {
      return std::unexpected(TranslateCode::kGpaUnmapped);
    }
    if (!mapping->rights.can_read()) {
      return std::unexpected(TranslateCode::kGpaNoReadAccess);
    }
    partition_.space->note_access(entry.page(), false);
    const machine::Spa place = machine::Spa(mapping->page) + entry.offset_in_page();
    if (size_bytes == 4) {
      return machine::load_u32(place);
    }
    return machine::load_u64(place);
  }

  std::expected<bool, TranslateCode> exchange(machine::Gpa entry, std::uint32_t size_bytes,
                                              std::uint64_t expected, std::uint64_t desired) {
    const machine::LockGuard guard(partition_.space_lock);
    const std::optional<GpaMapping> mapping = partition_.space->lookup(entry.page());
    if (!is_memory(mapping)) {
      return std::unexpected(TranslateCode::kGpaUnmapped);
    }
    if (!mapping->rights.can_write()) {
      return std::unexpected(TranslateCode::kGpaNoWriteAccess);
    }
    partition_.space->note_access(entry.page(), true);
    const machine::Spa place = machine::Spa(mapping->page) + entry.offset_in_page();
    if (size_bytes == 4) {
      return machine::compare_exchange_u32(place, static_cast<std::uint32_t>(expected),
                                           static_cast<std::uint32_t>(desired)) == expected;
    }
    return machine::compare_exchange_u64(place, expected, desired) == expected;
  }

 private:
  Partition& partition_;
};

WalkAccess access_for(std::uint64_t flags) {
  WalkAccess access;
  access.read = (flags & kTranslateValidateRead) != 0;
  access.write = (flags & kTranslateValidateWrite) != 0;
  access.execute = (flags & kTranslateValidateExecute) != 0;
  access.user = (flags & kTranslateAsUser) != 0 ||
                ((flags & kTranslateAsSupervisor) == 0 && vtx::privilege_level() == kUserLevel);
  access.privilege_exempt = (flags & kTranslatePrivilegeExempt) != 0;
  access.enforce_smap = (flags & kTranslateEnforceSmap) != 0;
  access.override_smap = (flags & kTranslateOverrideSmap) != 0;
  access.set_page_table_bits = (flags & kTranslateSetPageTableBits) != 0;
  return access;
}

/// The type that the PAT gives (SDM vol. 3 11.12.3); with paging off, pages are write-back
/// (28.2.6.2).
std::uint8_t cache_type(const PageWalk& walk, GpaCaching caching) {
  constexpr std::uint64_t kUncachedMinus = 7;
  if (caching == GpaCaching::kUncached) {
    return kCacheTypeUncached;
  }
  if (!walk.paging) {
    return kCacheTypeWriteBack;
  }
  const std::uint64_t type = (vtx::read_pat() >> (8 * walk.pat_index)) & 7;
  return type == kUncachedMinus ? kCacheTypeUncached : static_cast<std::uint8_t>(type);
}

/// What the GPA space says of the page that the guest's tables name.
TranslateCode check_page(const GpaMapping& mapping, bool overlay, const WalkAccess& access) {
  const bool unreadable = (access.read || access.execute) && !mapping.rights.can_read();
  const bool unexecutable = access.execute && !mapping.rights.can_execute();
  const bool unwritable = access.write && !mapping.rights.can_write();
  if (overlay && (unreadable || unexecutable || unwritable)) {
    return TranslateCode::kGpaIllegalOverlayAccess;
  }
  if (unreadable || unexecutable) {
    return TranslateCode::kGpaNoReadAccess;
  }
  return unwritable ? TranslateCode::kGpaNoWriteAccess : TranslateCode::kSuccess;
}

}  // namespace

PagingState read_paging_state() {
  PagingState state;
  state.cr0 = vtx::read_cr0();
  state.cr3 = vtx::read_cr3();
  state.cr4 = vtx::read_cr4();
  state.efer = vtx::read_efer();
  state.alignment_check = (vtx::read_rflags() & kRflagsAc) != 0;
  state.physical_address_bits = std::min(machine::cpuid(kCpuidAddressSizes, 0).eax & 0xFF, 52u);
  return state;
}

std::optional<PageWalk> walk_guest_tables(VirtualProcessor& vp, std::uint64_t gva,
                                          const WalkAccess& access) {
  PartitionTables tables(vp.partition);
  PageWalker<PartitionTables> walker(tables, read_paging_state());
  for (unsigned walks = 0; walks < kMaxWalks; ++walks) {
    const PageWalk found = walker.walk(gva, access);
    if (!found.changed) {
      return found;
    }
  }
  return std::nullopt;
}

std::optional<Translation> translate_guest_address(VirtualProcessor& vp, std::uint64_t gva,
                                                   std::uint64_t flags) {
  const WalkAccess access = access_for(flags);
  const std::optional<PageWalk> found = walk_guest_tables(vp, gva, access);
  if (!found) {
    return std::nullopt;
  }
  Translation translation;
  translation.code = found->code;
  if (found->code != TranslateCode::kSuccess) {
    return translation;
  }
  translation.gpn = found->gpa.page();
  const machine::LockGuard guard(vp.partition.space_lock);
  const std::optional<GpaMapping> mapping = vp.partition.space->lookup(translation.gpn);
  if (!mapping) {
    translation.code = TranslateCode::kGpaUnmapped;
    return translation;
  }
  translation.overlay = vp.partition.space->is_overlaid(translation.gpn);
  translation.cache_type = cache_type(*found, mapping->caching);
  translation.code = check_page(*mapping, translation.overlay, access);
  return translation;
}

InstructionBytes fetch_instruction(VirtualProcessor& vp) {
  InstructionBytes fetched;
  std::uint64_t address = vtx::read_rip();
  if (!vtx::in_64_bit_code()) {
    address = (vtx::read_segment(vtx::SegmentName::kCs).base + address) & 0xFFFF'FFFF;
  }
  WalkAccess access;
  access.execute = true;
  access.user = vtx::privilege_level() == kUserLevel;
  const std::optional<PageWalk> found = walk_guest_tables(vp, address, access);
  if (!found || found->code != TranslateCode::kSuccess) {
    return fetched;
  }
  const std::uint64_t left = machine::kPageSize - found->gpa.offset_in_page();
  const std::size_t count = std::min<std::uint64_t>(left, kMaxInstructionBytes);
  if (vp.partition.read_memory(found->gpa,
                               std::as_writable_bytes(std::span(fetched.bytes)).first(count))) {
    fetched.count = static_cast<std::uint8_t>(count);
  }
  return fetched;
}

}  // namespace hv
