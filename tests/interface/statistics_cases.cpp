// MapStatsPage, UnmapStatsPage, MapStatsPage2 and the MSRs of a guest's own pages (TLFS
// "Statistics").
#include "tests/interface/case_tables.h"
#include "tests/interface/memory_steps.h"

namespace interface_test {
namespace {

using namespace memory;
using hv::MapStatsPageInput;
using hv::StatisticsArea;
using hv::StatisticsObjectType;
using hv::StatisticsPageInput;
using machine::Gpa;

constexpr Gpn kShown{0x9400};
constexpr std::uint64_t kShownInChild = 0x5'0000;

StatisticsPageInput hypervisor_page() { return {StatisticsObjectType::kHypervisor, 0, {}}; }
StatisticsPageInput processor_page(std::uint64_t lp) {
  return {StatisticsObjectType::kLogicalProcessor, 0, {lp, {}, 0, 0, {}}};
}
StatisticsPageInput partition_page(PartitionId id, StatisticsArea area = StatisticsArea::kSelf) {
  return {StatisticsObjectType::kPartition, 0, {static_cast<std::uint64_t>(id), {}, 0, 0, area}};
}
StatisticsPageInput vp_page(PartitionId id, std::uint32_t vp = 0,
                            StatisticsArea area = StatisticsArea::kSelf) {
  return {
      StatisticsObjectType::kVp, 0, {static_cast<std::uint64_t>(id), hv::VpIndex{vp}, 0, 0, area}};
}

Status map_page(const StatisticsPageInput& page) {
  return call(HypercallControl(CallCode::kMapStatsPage), MapStatsPageInput{page, {}}).status();
}
Status map_page2(const StatisticsPageInput& page, Gpn place = kShown) {
  return call(HypercallControl(CallCode::kMapStatsPage2), MapStatsPageInput{page, place}).status();
}
Status unmap_page(const StatisticsPageInput& page) {
  return call(HypercallControl(CallCode::kUnmapStatsPage), page).status();
}
std::uint64_t counter(Gpn page, auto id) {
  return machine::load_u64(Gpa(page) + static_cast<std::uint64_t>(id) * 8);
}
/// Maps the page of an object where the hypervisor chooses.
Gpn mapped(const StatisticsPageInput& page) {
  GUEST_CHECK(map_page(page) == Status::kSuccess);
  return output<hv::MapStatsPageOutput>().place;
}
/// Waits for a processor that is another one's to bring its counters up to date.
void await(Gpn page, auto id, std::uint64_t least) {
  while (counter(page, id) < least) {
    machine::pause();
  }
}

constexpr CallCase kCases[] = {
    {CallCode::kMapStatsPage, "the hypervisor, by the root", Status::kSuccess,
     [] {
       const Gpn page = mapped(hypervisor_page());
       using enum hv::HypervisorCounter;
       GUEST_CHECK(counter(page, kLogicalProcessors) == 2 && counter(page, kPartitions) == 1);
       const std::uint64_t pages = counter(page, kTotalPages);
       const std::uint64_t vps = counter(page, kVirtualProcessors);
       const Child child = make_child();
       GUEST_CHECK(counter(page, kPartitions) == 2);
       GUEST_CHECK(counter(page, kTotalPages) == pages + child.deposited_pages);
       GUEST_CHECK(counter(page, kVirtualProcessors) == vps + 1);
       return Status::kSuccess;
     }},
    {CallCode::kMapStatsPage, "a logical processor, which another one is", Status::kSuccess,
     [] {
       const Gpn page = mapped(processor_page(1));
       await(page, hv::LogicalProcessorCounter::kGlobalTime, 1);
       const Child child = make_child();
       child_maker::start(child, 0);
       await(page, hv::LogicalProcessorCounter::kGlobalTime,
             counter(page, hv::LogicalProcessorCounter::kGlobalTime) + 1);
       return Status::kSuccess;
     }},
    {CallCode::kMapStatsPage, "a child: deposited and mapped pages", Status::kSuccess,
     [] {
       const Child child = make_child();
       const Gpn page = mapped(partition_page(child.id));
       using enum hv::PartitionCounter;
       GUEST_CHECK(counter(page, kPartitionId) == static_cast<std::uint64_t>(child.id));
       GUEST_CHECK(counter(page, kDepositedPages) == child.deposited_pages);
       GUEST_CHECK(counter(page, kGpaPages) == child.memory_pages);
       GUEST_CHECK(counter(page, kVirtualProcessors) == 1);
       GUEST_CHECK(map_one(child.id, kReadWrite | hv::kMapLargePage) == Status::kSuccess);
       GUEST_CHECK(counter(page, kGpaPages) == child.memory_pages + 512);
       GUEST_CHECK(counter(page, kGpaPages2M) == 1);
       GUEST_CHECK(unmap(child.id, kPlace).status() == Status::kSuccess);
       GUEST_CHECK(counter(page, kGpaPages4K) == child.memory_pages + 511);
       GUEST_CHECK(counter(page, kGpaPages2M) == 0 && counter(page, kPagesShattered) == 1);
       GUEST_CHECK(deposit(child.id, {kSpare}).status() == Status::kSuccess);
       GUEST_CHECK(counter(page, kDepositedPages) == child.deposited_pages + 1);
       return Status::kSuccess;
     }},
    {CallCode::kMapStatsPage, "the caller's own VP: its hypercalls", Status::kSuccess,
     [] {
       const Gpn page = mapped(vp_page(kSelf));
       const std::uint64_t before = counter(page, hv::VpCounter::kHypercalls);
       GUEST_CHECK(before > 0);
       static_cast<void>(balance(kSelf));
       await(page, hv::VpCounter::kHypercalls, before + 1);
       await(page, hv::VpCounter::kTotalRunTime, 1);
       return Status::kSuccess;
     }},
    {CallCode::kMapStatsPage, "a child's VP, both areas", Status::kSuccess,
     [] {
       const Child child = make_child();
       const Gpn self = mapped(vp_page(child.id));
       const Gpn parent = mapped(vp_page(child.id, 0, StatisticsArea::kParent));
       GUEST_CHECK(self != parent && counter(self, hv::VpCounter::kHltInstructions) == 0);
       child_maker::start(child, 0);
       await(self, hv::VpCounter::kHltInstructions, 1);
       await(parent, hv::VpCounter::kLogicalProcessorDispatches, 1);
       GUEST_CHECK(counter(self, hv::VpCounter::kRootDispatchThreadBlocked) == 0);
       return Status::kSuccess;
     }},
    {CallCode::kMapStatsPage, "a child's page, gone when it is finalized", Status::kSuccess,
     [] {
       const Child child = make_child();
       const std::uint64_t before = balance(kSelf).pages_in_use;
       const Gpn page = mapped(vp_page(child.id));
       GUEST_CHECK(map_page(partition_page(child.id)) == Status::kSuccess);
       child_maker::destroy(child);
       GUEST_CHECK(unmap_page(vp_page(child.id)) == Status::kInvalidPartitionId);
       // Records of mappings and of overlays stay, for the next; the partition's own page is back.
       GUEST_CHECK(balance(kSelf).pages_in_use <= before + 2 - 1);
       GUEST_CHECK(map_one(kSelf, kReadWrite, page, page) == Status::kAccessDenied);
       return Status::kSuccess;
     }},
    {CallCode::kMapStatsPage, "a child without the privilege", Status::kAccessDenied,
     [] { return map_page(vp_page(kSelf)); }, Caller::kChild},
    {CallCode::kMapStatsPage, "the root's parent area, which has no parent", Status::kAccessDenied,
     [] { return map_page(vp_page(kSelf, 0, StatisticsArea::kParent)); }},
    {CallCode::kMapStatsPage, "no partition's id", Status::kInvalidPartitionId,
     [] { return map_page(vp_page(kNobody)); }},
    {CallCode::kMapStatsPage, "a VP that does not exist", Status::kInvalidVpIndex,
     [] { return map_page(vp_page(make_child().id, 9)); }},
    {CallCode::kMapStatsPage, "a page that is mapped already", Status::kOperationDenied,
     [] {
       static_cast<void>(mapped(hypervisor_page()));
       return map_page(hypervisor_page());
     }},
    {CallCode::kMapStatsPage, "a type that does not exist", Status::kInvalidParameter,
     [] { return map_page({StatisticsObjectType{3}, 0, {}}); }},
    {CallCode::kMapStatsPage, "a logical processor that does not exist", Status::kInvalidParameter,
     [] { return map_page(processor_page(2)); }},
    {CallCode::kMapStatsPage, "reserved bytes", Status::kInvalidParameter,
     [] {
       StatisticsPageInput page = hypervisor_page();
       page.identity.reserved = 1;
       return map_page(page);
     }},
    {CallCode::kMapStatsPage,
     "the internal areas, of a child and the root's own, beside the others", Status::kSuccess,
     [] {
       const Child child = make_child();
       const Gpn self = mapped(vp_page(child.id));
       const Gpn internal = mapped(vp_page(child.id, 0, StatisticsArea::kInternal));
       GUEST_CHECK(self != internal);
       child_maker::start(child, 0);
       await(internal, hv::VpCounter::kLogicalProcessorDispatches, 1);
       const Gpn own = mapped(partition_page(kSelf, StatisticsArea::kInternal));
       GUEST_CHECK(counter(own, hv::PartitionCounter::kVirtualProcessors) == 1);
       GUEST_CHECK(unmap_page(vp_page(child.id, 0, StatisticsArea::kInternal)) == Status::kSuccess);
       return unmap_page(vp_page(child.id));
     }},
    {CallCode::kMapStatsPage, "an area that does not exist", Status::kInvalidParameter,
     [] { return map_page(vp_page(make_child().id, 0, StatisticsArea{3})); }},
    {CallCode::kUnmapStatsPage, "the internal area, where only the own is mapped",
     Status::kOperationDenied,
     [] {
       static_cast<void>(mapped(vp_page(kSelf)));
       return unmap_page(vp_page(kSelf, 0, StatisticsArea::kInternal));
     }},
    {CallCode::kMapStatsPage, "a finalized partition", Status::kInvalidPartitionState,
     [] { return map_page(partition_page(finalized())); }},
    {CallCode::kMapStatsPage, "in registers, where the root's answer has no place",
     Status::kInvalidHypercallInput,
     [] {
       const Status status =
           test_kernel::call_fast(HypercallControl(CallCode::kMapStatsPage).fast(),
                                  MapStatsPageInput{hypervisor_page(), {}})
               .status();
       // R8, which is 0, is a part of the input and no address.
       GUEST_CHECK(map_page(hypervisor_page()) == Status::kSuccess);
       return status;
     }},
    {CallCode::kMapStatsPage, "a pool that is dry", Status::kInsufficientMemory,
     [] {
       drain(kSelf);
       const std::uint64_t before = balance(kSelf).pages_in_use;
       const Status status = map_page(hypervisor_page());
       GUEST_CHECK(balance(kSelf).pages_in_use == before);
       return status;
     }},

    {CallCode::kMapStatsPage2, "where the root wants it, and no longer", Status::kSuccess,
     [] {
       machine::store_u64(Gpa(kShown), 0x1234);
       const Status status = map_page2(hypervisor_page());
       GUEST_CHECK(counter(kShown, hv::HypervisorCounter::kPartitions) == 1);
       GUEST_CHECK(unmap_page(hypervisor_page()) == Status::kSuccess);
       GUEST_CHECK(machine::load_u64(Gpa(kShown)) == 0x1234);
       return status;
     }},
    {CallCode::kMapStatsPage2, "beyond the space: nobody sees it", Status::kSuccess,
     [] { return map_page2(hypervisor_page(), kBeyond); }},
    {CallCode::kMapStatsPage2, "a child without the privilege", Status::kAccessDenied,
     [] { return map_page2(vp_page(kSelf)); }, Caller::kChild},
    {CallCode::kMapStatsPage2, "no partition's id", Status::kInvalidPartitionId,
     [] { return map_page2(partition_page(kNobody)); }},
    {CallCode::kMapStatsPage2, "a VP that does not exist", Status::kInvalidVpIndex,
     [] { return map_page2(vp_page(kSelf, 63)); }},
    {CallCode::kMapStatsPage2, "a page that is mapped already", Status::kOperationDenied,
     [] {
       GUEST_CHECK(map_page2(hypervisor_page()) == Status::kSuccess);
       return map_page2(hypervisor_page(), kShown + 1);
     }},
    {CallCode::kMapStatsPage2, "a reserved word", Status::kInvalidParameter,
     [] {
       StatisticsPageInput page = hypervisor_page();
       page.reserved = 1;
       return map_page2(page);
     }},
    {CallCode::kMapStatsPage2, "a finalized partition", Status::kInvalidPartitionState,
     [] { return map_page2(partition_page(finalized())); }},
    {CallCode::kMapStatsPage2, "a pool that is dry", Status::kInsufficientMemory,
     [] {
       drain(kSelf);
       return map_page2(hypervisor_page());
     }},

    {CallCode::kUnmapStatsPage, "a page that is mapped: it can be mapped again", Status::kSuccess,
     [] {
       const std::uint64_t before = balance(kSelf).pages_in_use;
       const Gpn page = mapped(hypervisor_page());
       const Status status = unmap_page(hypervisor_page());
       GUEST_CHECK(balance(kSelf).pages_in_use <= before + 1);
       GUEST_CHECK(map_one(kSelf, kReadWrite, page, page) == Status::kAccessDenied);
       static_cast<void>(mapped(hypervisor_page()));
       return status;
     }},
    {CallCode::kUnmapStatsPage, "a child's VP that runs", Status::kSuccess,
     [] {
       const Child child = make_child();
       const Gpn page = mapped(vp_page(child.id));
       child_maker::start(child, 0);
       await(page, hv::VpCounter::kLogicalProcessorDispatches, 1);
       return unmap_page(vp_page(child.id));
     }},
    {CallCode::kUnmapStatsPage, "a page that is not mapped", Status::kOperationDenied,
     [] { return unmap_page(hypervisor_page()); }},
    {CallCode::kUnmapStatsPage, "a child without the privilege", Status::kAccessDenied,
     [] { return unmap_page(vp_page(kSelf)); }, Caller::kChild},
    {CallCode::kUnmapStatsPage, "no partition's id", Status::kInvalidPartitionId,
     [] { return unmap_page(vp_page(kNobody)); }},
    {CallCode::kUnmapStatsPage, "a VP that does not exist", Status::kInvalidVpIndex,
     [] { return unmap_page(vp_page(make_child().id, 9)); }},
    {CallCode::kUnmapStatsPage, "reserved bytes", Status::kInvalidParameter,
     [] {
       StatisticsPageInput page = hypervisor_page();
       page.identity.flags = 1;
       return unmap_page(page);
     }},
    {CallCode::kUnmapStatsPage, "a finalized partition", Status::kInvalidPartitionState,
     [] { return unmap_page(partition_page(finalized())); }},
};

/// Turns a page on, reads the register and a counter, and turns it off.
template <std::uint32_t kMsr, auto kCounter>
MsrOutcome own_page() {
  constexpr std::uint64_t kOn = kShownInChild | 1;
  machine::store_u64(Gpa(kShownInChild) + static_cast<std::uint64_t>(kCounter) * 8, ~0ull);
  const MsrOutcome outcome = write_and_read_back(kMsr, kOn);
  const std::uint64_t count = counter(Gpa(kShownInChild).page(), kCounter);
  GUEST_CHECK(count > 0 && count < ~0ull);
  GUEST_CHECK(write_and_read_back(kMsr, 0) == MsrOutcome::kWorks);
  GUEST_CHECK(counter(Gpa(kShownInChild).page(), kCounter) == ~0ull);
  return outcome;
}
MsrOutcome move_page() {
  GUEST_CHECK(write(hv::kMsrStatsPartitionRetail, kShownInChild | 1) == MsrOutcome::kWorks);
  const std::uint64_t elsewhere = kShownInChild + machine::kPageSize;
  const MsrOutcome outcome = write_and_read_back(hv::kMsrStatsPartitionRetail, elsewhere | 1);
  GUEST_CHECK(counter(Gpa(elsewhere).page(), hv::PartitionCounter::kVirtualProcessors) == 1);
  GUEST_CHECK(counter(Gpa(kShownInChild).page(), hv::PartitionCounter::kVirtualProcessors) != 1);
  return outcome;
}

/// The child starts with an empty pool.
void without_memory(const Child& child) { drain(child.id); }

constexpr MsrCase kMsrCases[] = {
    {hv::kMsrStatsPartitionRetail, "on, read back, off", MsrOutcome::kWorks,
     own_page<hv::kMsrStatsPartitionRetail, hv::PartitionCounter::kVirtualProcessors>,
     Caller::kChild},
    {hv::kMsrStatsPartitionRetail, "moved to another page", MsrOutcome::kWorks, move_page,
     Caller::kChild},
    {hv::kMsrStatsPartitionRetail, "beyond the space: simply not seen", MsrOutcome::kWorks,
     [] { return write(hv::kMsrStatsPartitionRetail, 1ull << 60 | 1); }, Caller::kChild},
    {hv::kMsrStatsPartitionRetail, "without memory for it", MsrOutcome::kFaults,
     [] { return write(hv::kMsrStatsPartitionRetail, kShownInChild | 1); }, Caller::kChild,
     without_memory},
    {hv::kMsrStatsPartitionRetail + 1, "on, read back, off", MsrOutcome::kWorks,
     own_page<hv::kMsrStatsPartitionRetail + 1, hv::PartitionCounter::kDepositedPages>,
     Caller::kChild},
    {hv::kMsrStatsPartitionRetail + 1, "without memory for it", MsrOutcome::kFaults,
     [] { return write(hv::kMsrStatsPartitionRetail + 1, kShownInChild | 1); }, Caller::kChild,
     without_memory},
    {hv::kMsrStatsPartitionRetail + 2, "on, read back, off", MsrOutcome::kWorks,
     own_page<hv::kMsrStatsPartitionRetail + 2, hv::VpCounter::kMsrAccesses>, Caller::kChild},
    {hv::kMsrStatsPartitionRetail + 2, "without memory for it", MsrOutcome::kFaults,
     [] { return write(hv::kMsrStatsPartitionRetail + 2, kShownInChild | 1); }, Caller::kChild,
     without_memory},
    {hv::kMsrStatsVpInternal, "on, read back, off", MsrOutcome::kWorks,
     own_page<hv::kMsrStatsVpInternal, hv::VpCounter::kLogicalProcessorDispatches>, Caller::kChild},
    {hv::kMsrStatsVpInternal, "without memory for it", MsrOutcome::kFaults,
     [] { return write(hv::kMsrStatsVpInternal, kShownInChild | 1); }, Caller::kChild,
     without_memory},
};

}  // namespace

std::span<const CallCase> statistics_call_cases() { return kCases; }
std::span<const MsrCase> statistics_msr_cases() { return kMsrCases; }

}  // namespace interface_test
