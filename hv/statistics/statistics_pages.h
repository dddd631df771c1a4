// Statistics pages: counters of the hypervisor, of its processors, of partitions and of virtual
// processors, in pages that other partitions read (TLFS "Statistics").
//
// The counters themselves are words of their owners. What is mapped is a copy in a page of the
// mapper's pool, brought up to date by the owner: of a processor when it looks at its scheduler
// slot, of a partition at the end of a call that changed it. Hypercalls and MSRs map and unmap;
// this folder decides nothing about who may.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "hv/tlfs/statistics.h"
#include "hv/tlfs/status.h"
#include "machine/address.h"

namespace hv {

class Hypervisor;
class LogicalProcessor;
class Partition;
class VirtualProcessor;

/// Whose counters; the fields that its type does not use are zero.
struct StatisticsObject {
  StatisticsObjectType type{};
  PartitionId partition{};
  /// Of a VP, or of a logical processor.
  std::uint32_t index = 0;
  friend constexpr bool operator==(const StatisticsObject&, const StatisticsObject&) = default;
};

/// By which way a partition sees a page: each has a page of its own.
enum class StatisticsView : std::uint8_t {
  kSelfArea,
  kParentArea,
  kInternalArea,
  kRetailMsr,
  kInternalMsr,
};

struct StatisticsMapping {
  StatisticsMapping* next = nullptr;
  Partition* mapper = nullptr;
  StatisticsObject object;
  machine::Spn page;
  machine::Gpn place;
  StatisticsView view{};
};

// All under the management lock, but where it says otherwise.

/// Shows the counters of an object, which exists, in the mapper's GPA space: at `place`, or where
/// the page lies in the system. A place outside of the space is simply never seen.
/// kOperationDenied: the mapper has that view already. kInsufficientMemory: in the mapper's pool.
[[nodiscard]] std::expected<machine::Gpn, Status> map_statistics(Hypervisor& hypervisor,
                                                                 Partition& mapper,
                                                                 const StatisticsObject& object,
                                                                 StatisticsView view,
                                                                 std::optional<machine::Gpn> place);
/// kOperationDenied: there is no such mapping.
[[nodiscard]] Status unmap_statistics(Hypervisor& hypervisor, Partition& mapper,
                                      const StatisticsObject& object, StatisticsView view);
/// Null if there is none.
[[nodiscard]] const StatisticsMapping* find_statistics(const Partition& mapper,
                                                       const StatisticsObject& object,
                                                       StatisticsView view);
/// Nobody sees the counters of a VP any more.
void end_statistics(Hypervisor& hypervisor, VirtualProcessor& vp);
/// Nobody sees the counters of the partition any more, and it sees nobody's.
void end_statistics(Hypervisor& hypervisor, Partition& partition);
/// It sees nobody's counters any more, its own included.
void unmap_all_statistics(Hypervisor& hypervisor, Partition& mapper);
/// How many overlays the mappings of a partition take.
[[nodiscard]] std::uint32_t statistics_overlay_count(const Partition& mapper);

/// Something of the partition changed, and of the hypervisor with it.
void publish_statistics(Hypervisor& hypervisor, const Partition& partition);
/// By the logical processor that runs the VP or has just put it down; under the scheduler lock.
void publish_statistics(const VirtualProcessor& vp, std::uint64_t now);
/// By the processor itself; under the scheduler lock.
void publish_statistics(const LogicalProcessor& processor, std::uint64_t now);

}  // namespace hv
