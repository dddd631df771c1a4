// The tables of a GPA space, as an algorithm over a memory policy.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "hv/memory/ept_entry.h"
#include "hv/memory/gpa_rights.h"
#include "hv/tlfs/status.h"
#include "machine/address.h"
#include "machine/invariant.h"

namespace hv {

/// Where tables live. Entries are read and written whole; compare_exchange() answers what it found,
/// allocate() a zeroed page.
template <class T>
concept TableMemory = requires(T memory, machine::Spa entry, machine::Spn page) {
  { memory.load(entry) } -> std::same_as<std::uint64_t>;
  memory.store(entry, std::uint64_t{});
  {
    memory.compare_exchange(entry, std::uint64_t{}, std::uint64_t{})
  } -> std::same_as<std::uint64_t>;
  { memory.allocate() } -> std::same_as<std::optional<machine::Spn>>;
  memory.free(page);
};

/// A four-level EPT hierarchy with 4 KiB and 2 MiB pages.
///
/// Processors walk the tables while they change: every state in between is a valid hierarchy that
/// translates each page as before or as after. A call that lacks memory changes nothing. A table
/// that falls out of use may still be cached by a processor, so it is *retired*: it keeps its page
/// until the caller has invalidated and calls release_retired().
///
/// A processor may set the accessed and dirty notes of an entry at any moment (SDM vol. 3 28.2.4).
/// An entry that it may know is therefore only ever exchanged, and what was noted until then is
/// kept, or answered by last_change().
template <TableMemory Memory>
class EptTable {
 public:
  static constexpr std::size_t kLevels = 4;
  static constexpr std::uint64_t kEntries = 512;
  static constexpr std::uint64_t kPageCount = 1ull << (9 * kLevels);

  EptTable(Memory memory, machine::Spn root) : memory_(memory), root_(root) {}

  [[nodiscard]] machine::Spn root() const { return root_; }

  /// What the last map(), unmap() or prepare() did to the one entry that translated the page.
  struct Change {
    /// What it said before, in 4 KiB if it was split for this.
    EptEntry replaced;
    bool split = false;
    /// Where the 2 MiB page lies that was split.
    machine::Spn split_page;
  };
  [[nodiscard]] const Change& last_change() const { return change_; }

  /// Whether a processor may hold a translation that is no longer true. The caller invalidates on
  /// every processor that may run the partition, then calls release_retired().
  [[nodiscard]] bool invalidation_needed() const { return invalidation_needed_; }
  void release_retired();

  [[nodiscard]] std::optional<GpaMapping> lookup(machine::Gpn gpn) const;
  /// The leaf entry that translates `gpn`, with what the processor noted there.
  [[nodiscard]] EptEntry entry(machine::Gpn gpn) const;
  /// Whether a 2 MiB entry translates `gpn`.
  [[nodiscard]] bool is_large(machine::Gpn gpn) const;
  /// Whether the 2 MiB around `gpn` have a table of 4 KiB entries.
  [[nodiscard]] bool has_small(machine::Gpn gpn) const;
  /// What translates the pages from `first` on, all in the same 2 MiB, as entries of 4 KiB.
  void read_leaves(machine::Gpn first, std::span<EptEntry> leaves) const;
  /// Calls `visit(entry, large)` for each page that is mapped.
  template <class Visit>
  void for_each_leaf(Visit visit) const {
    visit_table(root_, kRootLevel, visit);
  }

  /// Replaces whatever translated the page. kInsufficientMemory, or success.
  [[nodiscard]] Status map(machine::Gpn gpn, const GpaMapping& mapping);
  /// Replaces what translated the pages from `first` on, all in the same 2 MiB, each by its leaf of
  /// 4 KiB, after prepare(). The leaves become what was there before; the answer is how many of
  /// those were mapped.
  [[nodiscard]] std::uint64_t exchange_leaves(machine::Gpn first, std::span<EptEntry> leaves);
  /// Replaces whatever translated the 512 pages from `gpn`, which is 512-aligned, as is the page.
  [[nodiscard]] Status map_large(machine::Gpn gpn, const GpaMapping& mapping);
  /// Needs memory only to split a 2 MiB page.
  [[nodiscard]] Status unmap(machine::Gpn gpn);
  void unmap_large(machine::Gpn gpn);
  /// Makes sure that map() and unmap() of any page in the 2 MiB around `gpn` need no memory.
  [[nodiscard]] Status prepare(machine::Gpn gpn);

  /// Clears and sets bits of the leaf entry, be it large, in one step, and answers what it said
  /// before; the page must be mapped, and stays so.
  EptEntry modify(machine::Gpn gpn, std::uint64_t clear_bits, std::uint64_t set_bits);

  /// Frees every table, the root included. The object must not be used afterwards.
  void destroy();

 private:
  // Level 3 is the root, level 0 has the 4 KiB entries.
  static constexpr std::size_t kRootLevel = kLevels - 1;
  struct Walk {
    std::array<machine::Spa, kLevels> entries;
    /// The level where the walk ended: a leaf, an absent entry, or level 0.
    std::size_t level = 0;
    EptEntry entry;
  };

  [[nodiscard]] static machine::Spa entry_address(machine::Spn table, machine::Gpn gpn,
                                                  std::size_t level) {
    const std::uint64_t index = (gpn.value() >> (9 * level)) % kEntries;
    return machine::Spa(table) + index * sizeof(std::uint64_t);
  }
  [[nodiscard]] EptEntry load(machine::Spa address) const {
    return EptEntry(memory_.load(address));
  }
  /// To the leaf, or as far as there is a way.
  [[nodiscard]] const Walk& walk(machine::Gpn gpn) const;
  [[nodiscard]] Walk walk_from_root(machine::Gpn gpn, std::size_t to_level) const;
  /// A table comes or goes.
  void forget_walk() { walked_frame_ = kNoFrame; }
  [[nodiscard]] Status build(const Walk& from, machine::Gpn gpn, std::size_t to_level);
  void fill_split(machine::Spn table, EptEntry large);
  EptEntry replace(const Walk& found, std::size_t level, EptEntry old, EptEntry entry);
  [[nodiscard]] EptEntry exchange(machine::Spa where, EptEntry old, EptEntry entry);
  void count_in_table(const Walk& found, std::size_t level, std::uint64_t came, std::uint64_t went);
  void prune(const Walk& found);
  void retire(machine::Spn table);
  void destroy_table(machine::Spn table, std::size_t level);
  template <class Visit>
  void visit_table(machine::Spn table, std::size_t level, Visit& visit) const;

  mutable Memory memory_;
  machine::Spn root_;
  machine::Spn retired_;
  bool any_retired_ = false;
  bool invalidation_needed_ = false;
  Change change_;
  /// The last walk that found a leaf or its table, which serves all pages of its 2 MiB until a
  /// table comes or goes; the entry is loaded anew each time.
  static constexpr std::uint64_t kNoFrame = ~0ull;
  mutable std::uint64_t walked_frame_ = kNoFrame;
  mutable Walk walk_;
};

template <TableMemory Memory>
inline const typename EptTable<Memory>::Walk& EptTable<Memory>::walk(machine::Gpn gpn) const {
  if (gpn.value() / kEntries != walked_frame_) [[unlikely]] {
    walk_ = walk_from_root(gpn, 0);
    const bool finds_frame = walk_.level == 0 || (walk_.level == 1 && walk_.entry.mapped());
    walked_frame_ = finds_frame ? gpn.value() / kEntries : kNoFrame;
    return walk_;
  }
  if (walk_.level == 0) {
    walk_.entries[0] = entry_address(walk_.entries[0].page(), gpn, 0);
  }
  walk_.entry = load(walk_.entries[walk_.level]);
  return walk_;
}

template <TableMemory Memory>
typename EptTable<Memory>::Walk EptTable<Memory>::walk_from_root(machine::Gpn gpn,
                                                                 std::size_t to_level) const {
  INVARIANT(gpn.value() < kPageCount);
  Walk result;
  machine::Spn table = root_;
  for (std::size_t level = kRootLevel;; --level) {
    result.entries[level] = entry_address(table, gpn, level);
    result.level = level;
    result.entry = load(result.entries[level]);
    const bool is_table = level > 0 && result.entry.mapped() && !result.entry.large();
    if (level == to_level || !is_table) {
      return result;
    }
    table = result.entry.page();
  }
}

template <TableMemory Memory>
EptEntry EptTable<Memory>::entry(machine::Gpn gpn) const {
  return walk(gpn).entry;
}

template <TableMemory Memory>
bool EptTable<Memory>::is_large(machine::Gpn gpn) const {
  const Walk& found = walk(gpn);
  return found.level == 1 && found.entry.mapped();
}

template <TableMemory Memory>
bool EptTable<Memory>::has_small(machine::Gpn gpn) const {
  return walk(gpn).level == 0;
}

template <TableMemory Memory>
void EptTable<Memory>::read_leaves(machine::Gpn first, std::span<EptEntry> leaves) const {
  const Walk& found = walk(first);
  if (found.level == 0) {
    machine::Spa address = found.entries[0];
    for (EptEntry& leaf : leaves) {
      leaf = load(address);
      address = address + sizeof(std::uint64_t);
    }
    return;
  }
  // No way that ends above the last level has an entry of 4 KiB: it is absent, or large.
  const std::uint64_t step = found.entry.mapped() ? machine::kPageSize : 0;
  std::uint64_t bits = found.entry.mapped() ? (found.entry.bits() & ~machine::vmx::kEptLargePage) +
                                                  first.value() % kEntries * step
                                            : 0;
  for (EptEntry& leaf : leaves) {
    leaf = EptEntry(bits);
    bits += step;
  }
}

template <TableMemory Memory>
template <class Visit>
void EptTable<Memory>::visit_table(machine::Spn table, std::size_t level, Visit& visit) const {
  for (std::uint64_t index = 0; index < kEntries; ++index) {
    const EptEntry entry = load(machine::Spa(table) + index * sizeof(std::uint64_t));
    if (entry.mapped() && (level == 0 || entry.large())) {
      visit(entry, level != 0);
    } else if (entry.mapped()) {
      visit_table(entry.page(), level - 1, visit);
    }
  }
}

template <TableMemory Memory>
std::optional<GpaMapping> EptTable<Memory>::lookup(machine::Gpn gpn) const {
  const Walk& found = walk(gpn);
  if (!found.entry.mapped()) {
    return std::nullopt;
  }
  GpaMapping mapping = found.entry.mapping();
  if (found.level == 1) {
    mapping.page = mapping.page + gpn.value() % kEntries;
  }
  return mapping;
}

/// Puts tables below the absent or large entry where `from` ended, down to `to_level`. The new
/// tables are complete before the one store that makes them reachable.
template <TableMemory Memory>
Status EptTable<Memory>::build(const Walk& from, machine::Gpn gpn, std::size_t to_level) {
  forget_walk();
  std::array<machine::Spn, kLevels> tables;
  for (std::size_t level = to_level; level < from.level; ++level) {
    const std::optional<machine::Spn> page = memory_.allocate();
    if (!page) {
      for (std::size_t undo = to_level; undo < level; ++undo) {
        memory_.free(tables[undo]);
      }
      return Status::kInsufficientMemory;
    }
    tables[level] = *page;
  }
  if (from.entry.mapped()) {
    // Splitting a 2 MiB page: the new table says the same in 512 entries.
    INVARIANT(from.level == 1 && to_level == 0);
    EptEntry large = from.entry;
    const EptEntry table = EptEntry::table(tables[0], kEntries);
    for (fill_split(tables[0], large);;) {
      const EptEntry now(memory_.compare_exchange(from.entries[1], large.bits(), table.bits()));
      if (now == large) {
        break;
      }
      large = now;
      fill_split(tables[0], large);
    }
    invalidation_needed_ = invalidation_needed_ || large.present();
    change_.split = true;
    change_.split_page = large.page();
    return Status::kSuccess;
  }
  std::uint64_t population = 0;
  for (std::size_t level = to_level; level + 1 < from.level; ++level) {
    memory_.store(entry_address(tables[level + 1], gpn, level + 1),
                  EptEntry::table(tables[level], population).bits());
    population = 1;
  }
  replace(from, from.level, from.entry, EptEntry::table(tables[from.level - 1], population));
  return Status::kSuccess;
}

template <TableMemory Memory>
void EptTable<Memory>::fill_split(machine::Spn table, EptEntry large) {
  GpaMapping part = large.mapping();
  for (std::uint64_t index = 0; index < kEntries; ++index) {
    const machine::Spa address = machine::Spa(table) + index * sizeof(std::uint64_t);
    memory_.store(address, EptEntry::leaf(part, false).bits());
    part.page = part.page + 1;
  }
}

/// One step makes the change; the one that follows touches only our own count in the entry above.
/// Whoever may have cached the old entry must be told. Answers the old entry as it was at last.
template <TableMemory Memory>
EptEntry EptTable<Memory>::replace(const Walk& found, std::size_t level, EptEntry old,
                                   EptEntry entry) {
  if (level > 0) {
    forget_walk();
  }
  old = exchange(found.entries[level], old, entry);
  if (level < kRootLevel && old.mapped() != entry.mapped()) {
    count_in_table(found, level, entry.mapped() ? 1 : 0, old.mapped() ? 1 : 0);
  }
  return old;
}

/// Replaces `old` where it was found. Answers what it was at last.
template <TableMemory Memory>
[[gnu::noinline]] EptEntry EptTable<Memory>::exchange(machine::Spa where, EptEntry old,
                                                      EptEntry entry) {
  if (!old.present()) {
    memory_.store(where, entry.bits());
    return old;
  }
  for (EptEntry expected = old;; expected = old) {
    old = EptEntry(memory_.compare_exchange(where, expected.bits(), entry.bits()));
    if (old == expected) {
      break;
    }
  }
  invalidation_needed_ = true;
  return old;
}

/// Entries of the table at `level` came to be mapped, or are no longer.
template <TableMemory Memory>
void EptTable<Memory>::count_in_table(const Walk& found, std::size_t level, std::uint64_t came,
                                      std::uint64_t went) {
  const machine::Spa parent = found.entries[level + 1];
  const EptEntry table = load(parent);
  const std::uint64_t population = table.population() + came;
  INVARIANT(population >= went && population - went <= kEntries);
  memory_.store(parent, table.with_population(population - went).bits());
}

template <TableMemory Memory>
Status EptTable<Memory>::prepare(machine::Gpn gpn) {
  change_ = {};
  const Walk found = walk(gpn);
  return found.level == 0 ? Status::kSuccess : build(found, gpn, 0);
}

template <TableMemory Memory>
Status EptTable<Memory>::map(machine::Gpn gpn, const GpaMapping& mapping) {
  change_ = {};
  Walk found = walk(gpn);
  if (found.level > 0) {
    if (const Status status = build(found, gpn, 0); status != Status::kSuccess) {
      return status;
    }
    found = walk(gpn);
  }
  change_.replaced = replace(found, 0, found.entry, EptEntry::leaf(mapping, false));
  return Status::kSuccess;
}

template <TableMemory Memory>
std::uint64_t EptTable<Memory>::exchange_leaves(machine::Gpn first, std::span<EptEntry> leaves) {
  const Walk found = walk(first);
  INVARIANT(found.level == 0 && first.value() % kEntries + leaves.size() <= kEntries);
  machine::Spa address = found.entries[0];
  std::uint64_t went = 0;
  for (EptEntry& leaf : leaves) {
    const EptEntry old = load(address);
    if (old == EptEntry()) [[likely]] {
      memory_.store(address, leaf.bits());
      leaf = EptEntry();
    } else {
      leaf = exchange(address, old, leaf);
      went += leaf.mapped() ? 1 : 0;
    }
    address = address + sizeof(std::uint64_t);
  }
  if (went != leaves.size()) {
    count_in_table(found, 0, leaves.size(), went);
  }
  return went;
}

template <TableMemory Memory>
Status EptTable<Memory>::map_large(machine::Gpn gpn, const GpaMapping& mapping) {
  INVARIANT(gpn.value() % kEntries == 0 && mapping.page.value() % kEntries == 0);
  Walk found = walk_from_root(gpn, 1);
  if (found.level > 1) {
    if (const Status status = build(found, gpn, 1); status != Status::kSuccess) {
      return status;
    }
    found = walk_from_root(gpn, 1);
  }
  replace(found, 1, found.entry, EptEntry::leaf(mapping, true));
  if (found.entry.mapped() && !found.entry.large()) {
    retire(found.entry.page());
  }
  return Status::kSuccess;
}

template <TableMemory Memory>
Status EptTable<Memory>::unmap(machine::Gpn gpn) {
  change_ = {};
  Walk found = walk(gpn);
  if (!found.entry.mapped()) {
    return Status::kSuccess;
  }
  if (found.level == 1) {
    if (const Status status = build(found, gpn, 0); status != Status::kSuccess) {
      return status;
    }
    found = walk(gpn);
  }
  change_.replaced = replace(found, 0, found.entry, EptEntry());
  prune(found);
  return Status::kSuccess;
}

template <TableMemory Memory>
void EptTable<Memory>::unmap_large(machine::Gpn gpn) {
  INVARIANT(gpn.value() % kEntries == 0);
  const Walk found = walk_from_root(gpn, 1);
  if (found.level != 1 || !found.entry.mapped()) {
    return;
  }
  replace(found, 1, found.entry, EptEntry());
  if (!found.entry.large()) {
    retire(found.entry.page());
  }
  prune(found);
}

template <TableMemory Memory>
EptEntry EptTable<Memory>::modify(machine::Gpn gpn, std::uint64_t clear_bits,
                                  std::uint64_t set_bits) {
  const Walk found = walk(gpn);
  INVARIANT(found.entry.mapped());
  EptEntry old = found.entry;
  for (;;) {
    const EptEntry entry = old.with(clear_bits, set_bits);
    if (entry == old) {
      return old;
    }
    const EptEntry expected = old;
    old = EptEntry(
        memory_.compare_exchange(found.entries[found.level], expected.bits(), entry.bits()));
    if (old == expected) {
      break;
    }
  }
  // What a processor has cached may allow more than the entry does now, or spare it a note.
  invalidation_needed_ = invalidation_needed_ || (old.present() && (old.bits() & clear_bits) != 0);
  return old;
}

/// Takes tables that became empty out of the hierarchy, from the walk's level upwards.
template <TableMemory Memory>
void EptTable<Memory>::prune(const Walk& found) {
  for (std::size_t level = found.level; level < kRootLevel; ++level) {
    const EptEntry table = load(found.entries[level + 1]);
    if (table.population() != 0) {
      return;
    }
    replace(found, level + 1, table, EptEntry());
    retire(table.page());
  }
}

/// Retired tables are linked through their first entry. The link has no right set, so a processor
/// that still walks the table finds an absent page there: it may fault on a page that is mapped,
/// and must then simply try again. It may also still set a note in it, beside the link.
template <TableMemory Memory>
void EptTable<Memory>::retire(machine::Spn table) {
  memory_.store(machine::Spa(table), any_retired_ ? machine::Spa(retired_).value() : 0);
  retired_ = table;
  any_retired_ = true;
}

template <TableMemory Memory>
void EptTable<Memory>::release_retired() {
  while (any_retired_) {
    const machine::Spn table = retired_;
    const std::uint64_t next = memory_.load(machine::Spa(table)) & machine::vmx::kEptAddressMask;
    any_retired_ = next != 0;
    retired_ = machine::Spa(next).page();
    memory_.free(table);
  }
  invalidation_needed_ = false;
}

template <TableMemory Memory>
void EptTable<Memory>::destroy() {
  release_retired();
  destroy_table(root_, kRootLevel);
}

template <TableMemory Memory>
void EptTable<Memory>::destroy_table(machine::Spn table, std::size_t level) {
  for (std::uint64_t index = 0; level > 0 && index < kEntries; ++index) {
    const EptEntry entry = load(machine::Spa(table) + index * sizeof(std::uint64_t));
    if (entry.mapped() && !entry.large()) {
      destroy_table(entry.page(), level - 1);
    }
  }
  memory_.free(table);
}

}  // namespace hv
