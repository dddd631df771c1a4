// What a logical processor caches of EPT: guest-physical mappings (translations and EPT
// paging-structure entries) by EP4TA, and combined mappings by VPID and EP4TA (SDM vol. 3 28.4).
//
// It keeps everything until an instruction or event must drop it. It never evicts by conflict,
// which would hide a missing INVEPT by luck; at its bound it drops the oldest half.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "machine/address.h"
#include "sim/vtx/exits.h"

namespace sim::vtx {

/// Rights of a mapping: the bits of an EPT entry (read, write, execute), and whether a write needs
/// no walk to set a dirty flag first.
inline constexpr std::uint8_t kRightRead = 1u << 0;
inline constexpr std::uint8_t kRightWrite = 1u << 1;
inline constexpr std::uint8_t kRightExecute = 1u << 2;
inline constexpr std::uint8_t kRightsAll = kRightRead | kRightWrite | kRightExecute;
inline constexpr std::uint8_t kDirtyKnown = 1u << 3;

/// A cached translation of one page of 4 KiB, 2 MiB or 1 GiB (level 0, 1, 2).
struct CachedPage {
  std::uint64_t frame = 0;  // page number of the first 4 KiB
  std::uint8_t rights = 0;
  std::uint8_t level = 0;

  /// The frame that holds a guest page within the mapping.
  [[nodiscard]] std::uint64_t frame_of(std::uint64_t guest_page) const {
    return frame + (guest_page & ((std::uint64_t{1} << (9 * level)) - 1));
  }
};

/// A cached non-leaf entry: the table that entries of `level` stand in (0 page table, 1 page
/// directory, 2 page-directory-pointer table), and the rights of the path to it.
struct CachedTable {
  std::uint64_t frame = 0;
  std::uint8_t rights = 0;
  std::uint8_t level = 0;
};

class Tlb {
 public:
  static constexpr std::size_t kDefaultBound = std::size_t{1} << 16;

  explicit Tlb(std::size_t bound_slots = kDefaultBound);

  /// The tags that lookups and insertions use from here on.
  void use(std::uint16_t vpid, std::uint64_t ep4ta);
  [[nodiscard]] std::uint16_t vpid() const { return vpid_; }

  /// The small cache in front: hits are translations of the current tags.
  [[nodiscard]] std::optional<machine::Spa> find_fast(machine::Gpa address, Access access) const {
    const std::uint64_t page = address.page().value();
    const FastEntry& entry = fast_.data()[page % kFastEntries];
    const auto wanted = static_cast<std::uint64_t>(access);
    if (entry.key != (epoch_ | page) || (entry.value & wanted) != wanted) {
      return std::nullopt;
    }
    return machine::Spa((entry.value & ~std::uint64_t{0xFFF}) | address.offset_in_page());
  }
  /// Lets find_fast() hit for `rights` (no kDirtyKnown).
  void remember_fast(std::uint64_t guest_page, std::uint64_t frame, std::uint8_t rights);

  [[nodiscard]] std::optional<CachedPage> find_combined(std::uint64_t guest_page) const;
  [[nodiscard]] std::optional<CachedPage> find_physical(std::uint64_t guest_page) const;
  /// The cached paging-structure entry that shortens a walk the most.
  [[nodiscard]] std::optional<CachedTable> find_table(std::uint64_t guest_page) const;
  void add_combined(std::uint64_t guest_page, const CachedPage& page);
  void add_physical(std::uint64_t guest_page, const CachedPage& page);
  void add_table(std::uint64_t guest_page, const CachedTable& table);

  /// An EPT violation drops the guest-physical mappings of the address under the current EP4TA and,
  /// if it had a linear address, that address's combined mappings (SDM vol. 3 28.4.3.1).
  void drop_after_violation(std::uint64_t guest_page, bool linear);
  /// INVVPID of one address, INVLPG: combined mappings of the address, any EP4TA.
  void drop_linear(std::uint16_t vpid, std::uint64_t linear_page);
  /// INVVPID of one context, MOV to CR3, transitions without VPID: the VPID's combined mappings.
  void drop_vpid(std::uint16_t vpid);
  /// INVVPID of all contexts: combined mappings of every VPID but 0.
  void drop_all_vpids();
  /// INVEPT of one context: every mapping of the EP4TA.
  void drop_ep4ta(std::uint64_t ep4ta);
  /// INVEPT of all contexts; also what a processor may do at any time.
  void drop_everything();

  /// Live and dead entries: what bounds memory.
  [[nodiscard]] std::size_t slots() const { return slots_.size(); }

 private:
  enum class Kind : std::uint8_t {
    kPhysical4K,
    kPhysical2M,
    kPhysical1G,
    kCombined4K,
    kCombined2M,
    kCombined1G,
    kTableOfPages,
    kTableOfDirectory,
    kTableOfPointers,
  };
  static constexpr std::size_t kKinds = 9;
  static constexpr std::size_t kFastEntries = 256;
  static constexpr std::uint32_t kPageBits = 36;

  struct FastEntry {
    std::uint64_t key = ~std::uint64_t{0};
    std::uint64_t value = 0;  // frame address | rights
  };
  /// `born` 0 is an empty slot; an entry is valid if it was born after whatever dropped its tags.
  struct Slot {
    std::uint64_t tag = 0;    // page number 35:0, VPID 51:36, kind 55:52, rights 63:56
    std::uint64_t where = 0;  // frame 39:0, context 63:40
    std::uint64_t born = 0;
  };
  struct Context {
    std::uint64_t ep4ta = 0;
    std::uint64_t valid_since = 0;
  };
  struct Key {
    Kind kind{};
    std::uint64_t page = 0;
    std::uint16_t vpid = 0;
    std::uint32_t context = 0;
  };

  [[nodiscard]] std::uint32_t context_of(std::uint64_t ep4ta);
  [[nodiscard]] const Slot* find(const Key& key) const;
  [[nodiscard]] std::optional<CachedPage> find_page(std::uint64_t guest_page, Kind smallest) const;
  [[nodiscard]] bool is_valid(const Slot& slot) const;
  [[nodiscard]] Key key_of(Kind kind, std::uint64_t guest_page) const;
  [[nodiscard]] std::size_t home_of(Kind kind, std::uint64_t page, std::uint16_t vpid,
                                    std::uint32_t context) const;
  void insert(const Key& key, std::uint64_t frame, std::uint8_t rights);
  void place(const Slot& fresh);
  void drop(const Key& key);
  void make_room();
  void forget_fast();
  [[nodiscard]] std::uint64_t& vpid_valid_since(std::uint16_t vpid);

  /// Apart: who schedules processors by the thousand touches other pages.
  std::vector<FastEntry> fast_ = std::vector<FastEntry>(kFastEntries);
  std::uint64_t epoch_ = 0;  // in bits 63:36
  std::uint64_t clock_ = 1;
  std::uint64_t everything_valid_since_ = 0;
  std::uint64_t vpids_valid_since_ = 0;
  std::uint16_t vpid_ = 0;
  std::uint64_t ep4ta_ = ~std::uint64_t{0};
  std::uint32_t context_ = 0;
  std::vector<Context> contexts_;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> context_index_;  // ascending by EP4TA
  std::vector<std::uint64_t> vpid_valid_since_;
  /// How many entries of each kind there may be: a lookup skips kinds that do not occur.
  std::array<std::size_t, kKinds> kind_counts_{};
  std::size_t used_ = 0;
  std::size_t bound_ = 0;
  std::vector<Slot> slots_;  // open addressing, size a power of two
};

}  // namespace sim::vtx
