// A guest's own statistics pages (TLFS HV_X64_MSR_STATS_PARTITION_RETAIL_PAGE and kin).
#include "hv/hypervisor.h"
#include "hv/msr/msr_handlers.h"
#include "hv/statistics/statistics_pages.h"
#include "hv/tlfs/msr.h"

namespace hv::msr {
namespace {

/// Partition retail, partition internal, VP retail, VP internal.
constexpr std::uint32_t kFirstOfVp = 2;

StatisticsObject object_of(const MsrAccess& access) {
  const bool of_vp = access.msr - kMsrStatsPartitionRetail >= kFirstOfVp;
  return {of_vp ? StatisticsObjectType::kVp : StatisticsObjectType::kPartition,
          access.vp.partition.id, of_vp ? static_cast<std::uint32_t>(access.vp.index) : 0};
}

StatisticsView view_of(const MsrAccess& access) {
  return (access.msr - kMsrStatsPartitionRetail) % 2 == 0 ? StatisticsView::kRetailMsr
                                                          : StatisticsView::kInternalMsr;
}

}  // namespace

ReadResult read_statistics_page(const MsrAccess& access) {
  const machine::LockGuard guard(access.hypervisor.management_lock);
  const StatisticsMapping* const mapping =
      find_statistics(access.vp.partition, object_of(access), view_of(access));
  return mapping != nullptr ? OverlayPageRegister(mapping->place, true).value() : 0;
}

WriteResult write_statistics_page(const MsrAccess& access, std::uint64_t value) {
  const OverlayPageRegister wanted(value);
  const machine::LockGuard guard(access.hypervisor.management_lock);
  Hypervisor& hypervisor = access.hypervisor;
  Partition& partition = access.vp.partition;
  const StatisticsObject object = object_of(access);
  const StatisticsView view = view_of(access);
  if (find_statistics(partition, object, view) != nullptr) {
    INVARIANT(unmap_statistics(hypervisor, partition, object, view) == Status::kSuccess);
  }
  if (!wanted.enabled()) {
    return {};
  }
  const auto place = map_statistics(hypervisor, partition, object, view, wanted.page());
  return place ? WriteResult() : fault();
}

}  // namespace hv::msr
