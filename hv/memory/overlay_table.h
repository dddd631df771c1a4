// Which overlay pages are shown where in a GPA space, and what they hide (TLFS "Overlay Pages").
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "hv/memory/gpa_rights.h"
#include "hv/memory/page_pool.h"
#include "hv/memory/record_pages.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/status.h"
#include "machine/address.h"

namespace hv {

enum class OverlayKind : std::uint8_t {
  kHypercall,
  kReferenceTsc,
  kMessagePage,
  kEventFlagsPage,
  kEventRingPage,
  kVpAssist,
  kStatistics,
  kVpState,
  kMonitorOfPort,
  kMonitorOfConnection,
};

/// Overlays of the whole partition have VP 0; those that are named by their page have its number.
struct OverlayId {
  OverlayKind kind{};
  VpIndex vp{};
  friend constexpr bool operator==(OverlayId, OverlayId) = default;
};

struct Overlay {
  OverlayId id;
  machine::Gpn gpn;
  GpaMapping shown;
  /// What was mapped at gpn; every overlay at one page has the same.
  std::optional<GpaMapping> beneath;
  /// The youngest overlay at a page is the one that is seen.
  std::uint64_t age = 0;
  Overlay* next = nullptr;
};

/// The overlays of one GPA space. Records live in pages of the partition's pool, which return to
/// the pool with destroy().
class OverlayTable {
 public:
  explicit OverlayTable(PagePool& pool) : records_(pool) {}
  OverlayTable(const OverlayTable&) = delete;
  OverlayTable& operator=(const OverlayTable&) = delete;

  /// Makes room for `total` overlays, those that are shown included.
  [[nodiscard]] Status reserve(std::uint32_t total);
  /// The pages that reserve() takes from the pool.
  [[nodiscard]] std::size_t pages_to_reserve(std::uint32_t total) const {
    return records_.pages_to_reserve(total);
  }

  [[nodiscard]] Overlay* find(OverlayId id);
  [[nodiscard]] const Overlay* find(OverlayId id) const;
  /// The overlay that is seen at a page.
  [[nodiscard]] const Overlay* visible_at(machine::Gpn gpn) const;
  /// One of those that are shown.
  [[nodiscard]] const Overlay* any() const { return shown_; }
  [[nodiscard]] bool any_in(machine::Gpn first, std::uint64_t page_count) const;
  void set_beneath(machine::Gpn gpn, const std::optional<GpaMapping>& beneath);

  /// Whether an overlay can be added; takes a page from the pool if need be.
  [[nodiscard]] bool has_room() { return records_.has_room(); }
  /// Adds an overlay, the youngest; the id is new and has_room() was true.
  void add(OverlayId id, machine::Gpn gpn, const GpaMapping& shown,
           const std::optional<GpaMapping>& beneath);
  void remove(Overlay& overlay);

  void destroy();

 private:
  /// As many as a partition with one VP can show need no page.
  RecordPages<Overlay, 5> records_;
  Overlay* shown_ = nullptr;
  std::uint64_t last_age_ = 0;
};

}  // namespace hv
