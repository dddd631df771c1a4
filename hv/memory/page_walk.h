// A guest's own page tables, walked as its processor does (SDM vol. 3 chapter 4): 32-bit, PAE, and
// four or five levels, every page size, the rights of the access, accessed and dirty bits.
//
// A template over the memory that the tables lie in, so that tests walk tables of their own. The
// tables belong to the guest: every entry is read once, checked, then used, and a walk reads at
// most as many entries as there are levels, whatever they say.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>

#include "hv/tlfs/translation.h"
#include "machine/address.h"
#include "machine/x86.h"

namespace hv {

/// The registers that govern translation.
struct PagingState {
  std::uint64_t cr0 = 0;
  std::uint64_t cr3 = 0;
  std::uint64_t cr4 = 0;
  std::uint64_t efer = 0;
  /// RFLAGS.AC lets a supervisor reach user pages in spite of SMAP.
  bool alignment_check = false;
  /// MAXPHYADDR: address bits from here up are reserved in entries.
  std::uint32_t physical_address_bits = 52;
};

/// What the address is wanted for. Rights are checked for what is set alone.
struct WalkAccess {
  bool read = false;
  bool write = false;
  bool execute = false;
  /// With the rights of user code (CPL 3).
  bool user = false;
  /// Whose page it is does not count.
  bool privilege_exempt = false;
  /// SMAP holds whatever RFLAGS.AC says; or it does not hold at all.
  bool enforce_smap = false;
  bool override_smap = false;
  /// Sets the accessed bits, and for a write the dirty bit.
  bool set_page_table_bits = false;
};

struct PageWalk {
  TranslateCode code = TranslateCode::kSuccess;
  /// The tables changed while their bits were set, and nothing else is valid: walk again.
  bool changed = false;
  /// The byte that the address names; if an entry was out of reach, that entry.
  machine::Gpa gpa;
  std::uint32_t page_shift = 12;
  /// Which entry of the PAT says how the page is cached; with paging off the page is write-back.
  std::uint8_t pat_index = 0;
  bool paging = false;
};

/// Tables has
///   std::expected<std::uint64_t, TranslateCode> load(Gpa entry, std::uint32_t size_bytes);
///   std::expected<bool, TranslateCode> exchange(Gpa entry, std::uint32_t size_bytes,
///                                               std::uint64_t expected, std::uint64_t desired);
/// with naturally aligned entries of 4 or 8 bytes; false: the entry was not as expected.
template <class Tables>
class PageWalker {
 public:
  PageWalker(Tables& tables, const PagingState& state) : tables_(tables), state_(state) {}

  [[nodiscard]] PageWalk walk(std::uint64_t gva, const WalkAccess& access) {
    if ((state_.cr0 & machine::x86::kCr0Pg) == 0) {
      return {.gpa = machine::Gpa(gva & kLow32), .paging = false};
    }
    const Format format = choose_format();
    if (format.wide ? !is_canonical(gva, format) : (gva >> 32) != 0) {
      return failed(TranslateCode::kPageNotPresent);
    }
    return walk_levels(gva, access, format);
  }

 private:
  static constexpr std::uint64_t kPresent = 1u << 0;
  static constexpr std::uint64_t kWritable = 1u << 1;
  static constexpr std::uint64_t kUser = 1u << 2;
  static constexpr std::uint64_t kPwt = 1u << 3;
  static constexpr std::uint64_t kPcd = 1u << 4;
  static constexpr std::uint64_t kAccessed = 1u << 5;
  static constexpr std::uint64_t kDirty = 1u << 6;
  static constexpr std::uint64_t kLarge = 1u << 7;     // PS, in entries that have children
  static constexpr std::uint64_t kSmallPat = 1u << 7;  // PAT, in entries of 4 KiB pages
  static constexpr std::uint64_t kLargePat = 1u << 12;
  static constexpr std::uint64_t kNoExecute = 1ull << 63;
  static constexpr std::uint64_t kLow32 = 0xFFFF'FFFF;
  static constexpr std::uint64_t kAddressMask = 0x000F'FFFF'FFFF'F000;
  static constexpr std::uint64_t kCr4Pse = 1u << 4;
  static constexpr std::uint64_t kCr4La57 = 1u << 12;
  static constexpr std::uint64_t kCr4Smep = 1u << 20;
  static constexpr std::uint64_t kCr4Smap = 1u << 21;
  static constexpr std::uint32_t kMaxLevels = 5;

  struct Format {
    std::uint32_t levels = 2;
    std::uint32_t index_bits = 10;
    std::uint32_t entry_bytes = 4;
    /// Linear addresses of 48 or 57 bits.
    bool wide = false;
    bool pae = false;
  };

  struct Entry {
    machine::Gpa address;
    std::uint64_t value = 0;
  };

  /// What the entries on the way allow together.
  struct Rights {
    bool user = true;
    bool write = true;
    bool execute = true;
  };

  static PageWalk failed(TranslateCode code, machine::Gpa at = {}) {
    return {.code = code, .gpa = at, .paging = true};
  }

  [[nodiscard]] Format choose_format() const {
    if ((state_.efer & machine::x86::kEferLma) != 0) {
      return {.levels = (state_.cr4 & kCr4La57) != 0 ? 5u : 4u,
              .index_bits = 9,
              .entry_bytes = 8,
              .wide = true};
    }
    if ((state_.cr4 & machine::x86::kCr4Pae) != 0) {
      return {.levels = 3, .index_bits = 9, .entry_bytes = 8, .pae = true};
    }
    return {};
  }

  static bool is_canonical(std::uint64_t gva, const Format& format) {
    const std::uint32_t bits = format.levels * format.index_bits + 12;
    const std::uint64_t above = gva >> (bits - 1);
    return above == 0 || above == ~0ull >> (bits - 1);
  }

  [[nodiscard]] machine::Gpa top_table(const Format& format) const {
    constexpr std::uint64_t kPaeTableMask = kLow32 & ~0x1Full;
    return machine::Gpa(state_.cr3 & (format.wide  ? kAddressMask
                                      : format.pae ? kPaeTableMask
                                                   : kAddressMask & kLow32));
  }

  /// PAE's four top entries have no rights, no accessed bit and more reserved bits than others.
  static bool is_pae_top(const Format& format, std::uint32_t level) {
    return format.pae && level == 3;
  }

  [[nodiscard]] bool is_large(const Format& format, std::uint32_t level,
                              std::uint64_t value) const {
    if ((value & kLarge) == 0) {
      return false;
    }
    if (format.entry_bytes == 4) {
      return level == 2 && (state_.cr4 & kCr4Pse) != 0;
    }
    return level == 2 || (level == 3 && format.wide);
  }

  [[nodiscard]] std::uint64_t reserved_bits(const Format& format, std::uint32_t level,
                                            std::uint64_t value) const {
    if (format.entry_bytes == 4) {
      constexpr std::uint64_t kPse36Reserved = 1u << 21;
      return is_large(format, level, value) ? kPse36Reserved : 0;
    }
    std::uint64_t reserved = kAddressMask & (~0ull << state_.physical_address_bits);
    if (format.pae) {
      reserved |= 0x7FF0'0000'0000'0000;
    }
    if (is_pae_top(format, level)) {
      return reserved | kNoExecute | 0x1E6;
    }
    if ((state_.efer & machine::x86::kEferNxe) == 0) {
      reserved |= kNoExecute;
    }
    if (level > 3) {
      reserved |= kLarge;
    } else if (is_large(format, level, value)) {
      reserved |= ((1ull << page_shift(format, level)) - 1) & kAddressMask & ~kLargePat;
    }
    return reserved;
  }

  static std::uint32_t page_shift(const Format& format, std::uint32_t level) {
    return 12 + format.index_bits * (level - 1);
  }

  /// Where a leaf's page begins.
  static std::uint64_t page_base(const Format& format, std::uint32_t level, std::uint64_t value) {
    if (format.entry_bytes == 4 && level == 2) {
      return (value & 0xFFC0'0000) | ((value >> 13) & 0xFF) << 32;  // PSE-36
    }
    return value & kAddressMask & ~((1ull << page_shift(format, level)) - 1);
  }

  static std::uint8_t pat_index(std::uint32_t level, std::uint64_t value) {
    const bool pat = (value & (level == 1 ? kSmallPat : kLargePat)) != 0;
    return static_cast<std::uint8_t>(((value & kPwt) != 0 ? 1 : 0) | ((value & kPcd) != 0 ? 2 : 0) |
                                     (pat ? 4 : 0));
  }

  PageWalk walk_levels(std::uint64_t gva, const WalkAccess& access, const Format& format) {
    machine::Gpa table = top_table(format);
    Rights rights;
    for (std::uint32_t level = format.levels; level > 0; --level) {
      const std::uint32_t shift = page_shift(format, level);
      const std::uint64_t index = (gva >> shift) & ((1ull << format.index_bits) - 1);
      Entry& entry = entries_[level - 1];
      entry.address = table + index * format.entry_bytes;
      const auto loaded = tables_.load(entry.address, format.entry_bytes);
      if (!loaded) {
        return failed(loaded.error(), entry.address);
      }
      entry.value = *loaded;
      if ((entry.value & kPresent) == 0) {
        return failed(TranslateCode::kPageNotPresent);
      }
      if ((entry.value & reserved_bits(format, level, entry.value)) != 0) {
        return failed(TranslateCode::kInvalidPageTableFlags);
      }
      if (!is_pae_top(format, level)) {
        rights.user = rights.user && (entry.value & kUser) != 0;
        rights.write = rights.write && (entry.value & kWritable) != 0;
        rights.execute = rights.execute && (entry.value & kNoExecute) == 0;
      }
      if (level == 1 || is_large(format, level, entry.value)) {
        return finish(gva, access, format, level, rights);
      }
      table = machine::Gpa(entry.value & kAddressMask);
    }
    return failed(TranslateCode::kPageNotPresent);
  }

  /// All entries down to that of `leaf_level` are in entries_.
  PageWalk finish(std::uint64_t gva, const WalkAccess& access, const Format& format,
                  std::uint32_t leaf_level, const Rights& rights) {
    if (!allows(access, rights)) {
      return failed(TranslateCode::kPrivilegeViolation);
    }
    if (access.set_page_table_bits) {
      const PageWalk set = set_bits(access, format, leaf_level);
      if (set.changed || set.code != TranslateCode::kSuccess) {
        return set;
      }
    }
    const std::uint64_t value = entries_[leaf_level - 1].value;
    PageWalk found;
    found.paging = true;
    found.page_shift = page_shift(format, leaf_level);
    const std::uint64_t offset = gva & ((1ull << found.page_shift) - 1);
    found.gpa = machine::Gpa(page_base(format, leaf_level, value) + offset);
    found.pat_index = pat_index(leaf_level, value);
    return found;
  }

  /// SDM vol. 3 4.6.
  [[nodiscard]] bool allows(const WalkAccess& access, const Rights& rights) const {
    const bool write_protected = access.user || (state_.cr0 & machine::x86::kCr0Wp) != 0;
    if ((access.write && !rights.write && write_protected) || (access.execute && !rights.execute)) {
      return false;
    }
    if (access.privilege_exempt || !(access.read || access.write || access.execute)) {
      return true;
    }
    if (access.user) {
      return rights.user;
    }
    if (!rights.user) {
      return true;
    }
    const bool smap = (state_.cr4 & kCr4Smap) != 0 && !access.override_smap &&
                      (access.enforce_smap || !state_.alignment_check);
    const bool smep = (state_.cr4 & kCr4Smep) != 0;
    return !(smap && (access.read || access.write)) && !(smep && access.execute);
  }

  PageWalk set_bits(const WalkAccess& access, const Format& format, std::uint32_t leaf_level) {
    for (std::uint32_t level = format.levels; level >= leaf_level; --level) {
      if (is_pae_top(format, level)) {
        continue;
      }
      const Entry& entry = entries_[level - 1];
      const bool dirties = level == leaf_level && access.write;
      const std::uint64_t wanted = entry.value | kAccessed | (dirties ? kDirty : 0);
      if (wanted == entry.value) {
        continue;
      }
      const auto done = tables_.exchange(entry.address, format.entry_bytes, entry.value, wanted);
      if (!done) {
        return failed(done.error(), entry.address);
      }
      if (!*done) {
        PageWalk lost;
        lost.changed = true;
        return lost;
      }
    }
    return {};
  }

  Tables& tables_;
  const PagingState state_;
  std::array<Entry, kMaxLevels> entries_{};
};

}  // namespace hv
