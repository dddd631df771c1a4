// One entry of an EPT table (SDM vol. 3 28.2.2), as a value.
#pragma once

#include <cstdint>

#include "hv/memory/gpa_rights.h"
#include "machine/address.h"
#include "machine/vmx_architecture.h"

namespace hv {

/// The processor ignores bits 62:52 and takes an entry without any right for absent. Bit 52 is
/// ours: it tells a page that is mapped without rights from one that is not mapped. An entry that
/// refers to a table keeps in 62:53 how many entries of that table are mapped; one of a page keeps
/// there what the mapping asks for and the processor does not know.
class EptEntry {
 public:
  static constexpr std::uint64_t kMapped = 1ull << 52;
  static constexpr unsigned kPopulationShift = 53;
  static constexpr std::uint64_t kPopulationMask = 0x3FF;
  static constexpr std::uint64_t kNoOverlay = 1ull << 53;
  static constexpr std::uint64_t kReadOnly = 1ull << 54;
  static constexpr std::uint64_t kRightsMask =
      machine::vmx::kEptRead | machine::vmx::kEptWrite | machine::vmx::kEptExecute;
  static constexpr std::uint64_t kNotesMask = machine::vmx::kEptAccessed | machine::vmx::kEptDirty;

  constexpr EptEntry() = default;
  constexpr explicit EptEntry(std::uint64_t bits) : bits_(bits) {}

  [[nodiscard]] static constexpr EptEntry table(machine::Spn page, std::uint64_t population) {
    return EptEntry(machine::Spa(page).value() | kRightsMask | kMapped |
                    (population << kPopulationShift));
  }
  [[nodiscard]] static constexpr EptEntry leaf(const GpaMapping& mapping, bool large) {
    const std::uint64_t type = mapping.caching == GpaCaching::kWriteBack
                                   ? machine::vmx::kMemoryTypeWriteBack
                                   : machine::vmx::kMemoryTypeUncacheable;
    return EptEntry(machine::Spa(mapping.page).value() | mapping.rights.bits() | kMapped |
                    (type << machine::vmx::kEptMemoryTypeShift) |
                    (large ? machine::vmx::kEptLargePage : 0) | note_bits(mapping.notes) |
                    (mapping.no_overlay ? kNoOverlay : 0) | (mapping.read_only ? kReadOnly : 0));
  }
  /// The same mapping of another page: that of `source`, a leaf of 4 KiB, and cached as it is there
  /// unless this one is uncached.
  [[nodiscard]] constexpr EptEntry of_page(EptEntry source) const {
    constexpr std::uint64_t kType = 7ull << machine::vmx::kEptMemoryTypeShift;
    const std::uint64_t taken =
        machine::vmx::kEptAddressMask | (mapping().caching == GpaCaching::kUncached ? 0 : kType);
    return EptEntry((bits_ & ~taken) | (source.bits_ & taken));
  }
  [[nodiscard]] static constexpr std::uint64_t note_bits(GpaNotes notes) {
    return (notes.accessed ? machine::vmx::kEptAccessed : 0) |
           (notes.dirty ? machine::vmx::kEptDirty : 0);
  }

  [[nodiscard]] static constexpr std::uint64_t cleared_by(const GpaNoteChange& change) {
    GpaNotes clear = change.clear;
    clear.dirty = clear.dirty || clear.accessed;
    return note_bits(clear) & ~note_bits(change.set);
  }

  [[nodiscard]] constexpr std::uint64_t bits() const { return bits_; }
  [[nodiscard]] constexpr EptEntry with(std::uint64_t clear_bits, std::uint64_t set_bits) const {
    return EptEntry((bits_ & ~clear_bits) | set_bits);
  }
  [[nodiscard]] constexpr std::uint64_t population() const {
    return (bits_ >> kPopulationShift) & kPopulationMask;
  }
  [[nodiscard]] constexpr EptEntry with_population(std::uint64_t population) const {
    return EptEntry((bits_ & ~(kPopulationMask << kPopulationShift)) |
                    (population << kPopulationShift));
  }
  [[nodiscard]] constexpr bool mapped() const { return (bits_ & kMapped) != 0; }
  /// Whether the processor may have cached it.
  [[nodiscard]] constexpr bool present() const { return (bits_ & kRightsMask) != 0; }
  [[nodiscard]] constexpr bool large() const { return (bits_ & machine::vmx::kEptLargePage) != 0; }
  [[nodiscard]] constexpr GpaNotes notes() const {
    return {.accessed = (bits_ & machine::vmx::kEptAccessed) != 0,
            .dirty = (bits_ & machine::vmx::kEptDirty) != 0};
  }
  [[nodiscard]] constexpr machine::Spn page() const {
    return machine::Spa(bits_ & machine::vmx::kEptAddressMask).page();
  }
  [[nodiscard]] constexpr GpaMapping mapping() const {
    const std::uint64_t type = (bits_ >> machine::vmx::kEptMemoryTypeShift) & 7;
    return GpaMapping{.page = page(),
                      .rights = GpaRights(static_cast<std::uint8_t>(bits_ & kRightsMask)),
                      .caching = type == machine::vmx::kMemoryTypeWriteBack ? GpaCaching::kWriteBack
                                                                            : GpaCaching::kUncached,
                      .no_overlay = (bits_ & kNoOverlay) != 0,
                      .read_only = (bits_ & kReadOnly) != 0,
                      .notes = notes()};
  }
  friend constexpr bool operator==(EptEntry, EptEntry) = default;

 private:
  std::uint64_t bits_ = 0;
};
static_assert(machine::vmx::kEptRead == GpaRights::kReadBit);
static_assert(machine::vmx::kEptWrite == GpaRights::kWriteBit);
static_assert(machine::vmx::kEptExecute == GpaRights::kExecuteBit);

}  // namespace hv
