// DepositMemory, WithdrawMemory and GetMemoryBalance (TLFS "Physical Hardware Management"), and
// what partitions accessed, GetGpaPagesAccessStates.
#include "tests/interface/case_tables.h"
#include "tests/interface/memory_steps.h"

namespace interface_test {
namespace {

using namespace memory;

/// A list that is refused leaves everything as it was: its good pages can be deposited after.
Status refused_deposit(const std::vector<Gpn>& pages) {
  const Child child = make_child();
  const std::uint64_t before = balance(child.id).pages_available;
  const auto result = deposit(child.id, pages);
  GUEST_CHECK(result.reps_completed() == 0 && balance(child.id).pages_available == before);
  machine::store_u32(machine::Gpa(kFree), 1);
  GUEST_CHECK(deposit(child.id, {kFree}).status() == Status::kSuccess);
  return result.status();
}

constexpr hv::ProximityDomainInfo kNowhere{7, hv::ProximityDomainInfo::kValid};

constexpr CallCase kPoolCases[] = {
    {CallCode::kDepositMemory, "three pages for a child, in no order", Status::kSuccess,
     [] {
       const PartitionId child = create();
       const auto result = deposit(child, {kFree + 5, kSpare, kFree});
       GUEST_CHECK(result.reps_completed() == 3 && balance(child).pages_available == 3);
       return result.status();
     }},
    {CallCode::kDepositMemory, "as many pages as one call can name", Status::kSuccess,
     [] {
       std::vector<Gpn> pages;
       for (std::uint64_t page = 0; page < 511; ++page) {
         pages.push_back(kFree + page);
       }
       const PartitionId child = create();
       const auto result = deposit(child, pages);
       GUEST_CHECK(result.reps_completed() == 511 && balance(child).pages_available == 511);
       return result.status();
     }},
    {CallCode::kDepositMemory, "a page for the root itself", Status::kSuccess,
     [] {
       const std::uint64_t before = balance(kSelf).pages_available;
       const Status status = deposit(kSelf, {kSpare}).status();
       // It may have cost a table to take the page out of a large one.
       GUEST_CHECK(balance(kSelf).pages_available + 2 >= before);
       GUEST_CHECK(map_one(kSelf, kReadWrite, kSpare, kSpare) == Status::kAccessDenied);
       return status;
     }},
    {CallCode::kDepositMemory, "a child without the privilege", Status::kAccessDenied,
     [] { return deposit(kSelf, {kFree}).status(); }, Caller::kChild},
    {CallCode::kDepositMemory, "no partition's id", Status::kInvalidPartitionId,
     [] { return deposit(kNobody, {kFree}).status(); }},
    {CallCode::kDepositMemory, "a page that is deposited, behind good ones",
     Status::kOperationDenied, [] { return refused_deposit({kFree, kSpare, Gpn(0x6000)}); }},
    {CallCode::kDepositMemory, "a page that the list names twice", Status::kOperationDenied,
     [] { return refused_deposit({kFree, kSpare, kFree}); }},
    {CallCode::kDepositMemory, "a page that a child has", Status::kOperationDenied,
     [] { return refused_deposit({kFree, Gpn(0x7005)}); }},
    {CallCode::kDepositMemory, "a page that does not exist", Status::kOperationDenied,
     [] { return refused_deposit({kFree, kBeyond}); }},
    {CallCode::kDepositMemory, "a device's page", Status::kOperationDenied,
     [] { return refused_deposit({kFree, Gpn(0xFEC00)}); }},
    {CallCode::kDepositMemory, "a page that the root may only read", Status::kOperationDenied,
     [] {
       GUEST_CHECK(map_one(kSelf, hv::kMapRead, kSpare, kSpare) == Status::kSuccess);
       return refused_deposit({kFree, kSpare});
     }},
    {CallCode::kDepositMemory, "a page that an overlay hides", Status::kObjectInUse,
     [] { return refused_deposit({kFree, test_kernel::kHypercallPage.page()}); }},
    {CallCode::kDepositMemory, "for a finalized partition", Status::kInvalidPartitionState,
     [] { return deposit(finalized(), {kFree}).status(); }},

    {CallCode::kWithdrawMemory, "some of what is free: zeroed, and the root's again",
     Status::kSuccess,
     [] {
       const PartitionId child = create();
       machine::store_u64(machine::Gpa(kFree), 0x1234);
       GUEST_CHECK(deposit(child, {kFree}).status() == Status::kSuccess);
       const auto result = withdraw(child, 1);
       GUEST_CHECK(result.reps_completed() == 1 && output<Gpn>() == kFree);
       GUEST_CHECK(machine::load_u64(machine::Gpa(kFree)) == 0);
       GUEST_CHECK(deposit(child, {kFree}).status() == Status::kSuccess);  // with all rights
       return result.status();
     }},
    {CallCode::kWithdrawMemory, "from the root's own pool", Status::kSuccess,
     [] {
       GUEST_CHECK(deposit(kSelf, {kSpare}).status() == Status::kSuccess);
       return withdraw(kSelf, 1).status();
     }},
    {CallCode::kWithdrawMemory, "more than is free: what there is, and no resources",
     Status::kNoResources,
     [] {
       const PartitionId child = create();
       GUEST_CHECK(deposit(child, {kFree, kSpare}).status() == Status::kSuccess);
       const auto result = withdraw(child, 5);
       GUEST_CHECK(result.reps_completed() == 2 && balance(child).pages_available == 0);
       return result.status();
     }},
    {CallCode::kWithdrawMemory, "from an empty pool", Status::kNoResources,
     [] { return withdraw(create(), 1).status(); }},
    {CallCode::kWithdrawMemory, "from a partition that uses its pool: what is free",
     Status::kNoResources,
     [] {
       const Child child = make_child();
       const auto before = balance(child.id);
       const auto result = withdraw(child.id, 300);
       GUEST_CHECK(result.reps_completed() == before.pages_available);
       GUEST_CHECK(balance(child.id).pages_in_use == before.pages_in_use);
       return result.status();
     }},
    {CallCode::kWithdrawMemory, "a child without the privilege", Status::kAccessDenied,
     [] { return withdraw(kSelf, 1).status(); }, Caller::kChild},
    {CallCode::kWithdrawMemory, "no partition's id", Status::kInvalidPartitionId,
     [] { return withdraw(kNobody, 1).status(); }},
    {CallCode::kWithdrawMemory, "from a node that does not exist", Status::kInvalidParameter,
     [] { return withdraw(make_child().id, 1, kNowhere).status(); }},

    {CallCode::kGetMemoryBalance, "a child: what is free and what is in use", Status::kSuccess,
     [] {
       const Child child = make_child();
       const auto before = balance(child.id);
       GUEST_CHECK(before.pages_available + before.pages_in_use == child.deposited_pages);
       GUEST_CHECK(map_one(child.id, kReadWrite) == Status::kSuccess);  // a table
       const auto after = balance(child.id);
       GUEST_CHECK(after.pages_in_use == before.pages_in_use + 1);
       GUEST_CHECK(after.pages_available == before.pages_available - 1);
       return Status::kSuccess;
     }},
    {CallCode::kGetMemoryBalance, "a finalized partition: all is free", Status::kSuccess,
     [] {
       GUEST_CHECK(balance(finalized()).pages_in_use == 0);
       return Status::kSuccess;
     }},
    {CallCode::kGetMemoryBalance, "a child without the privilege", Status::kAccessDenied,
     [] {
       return call(HypercallControl(CallCode::kGetMemoryBalance), hv::MemoryPoolInput{kSelf, {}})
           .status();
     },
     Caller::kChild},
    {CallCode::kGetMemoryBalance, "no partition's id", Status::kInvalidPartitionId,
     [] {
       return call(HypercallControl(CallCode::kGetMemoryBalance), hv::MemoryPoolInput{kNobody, {}})
           .status();
     }},
    {CallCode::kGetMemoryBalance, "of a node that does not exist", Status::kInvalidParameter,
     [] {
       return call(HypercallControl(CallCode::kGetMemoryBalance),
                   hv::MemoryPoolInput{kSelf, kNowhere})
           .status();
     }},
};

using States = hv::GetGpaPagesAccessStatesInput;

constexpr CallCase kAccessStateCases[] = {
    {CallCode::kGetGpaPagesAccessStates, "pages read, written, and not touched", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(track(child.id) == Status::kSuccess);
       static_cast<void>(read_gpa(child, machine::Gpa(Gpn(5))));
       static_cast<void>(write_gpa(child, machine::Gpa(Gpn(6))));
       const auto result = access_states(child.id, Gpn(4), 0, 3);
       const auto states = output<std::array<std::uint8_t, 3>>();
       GUEST_CHECK(states[0] == 0 && states[1] == kAccessed && states[2] == (kAccessed | kDirty));
       GUEST_CHECK(result.reps_completed() == 3);
       return result.status();
     }},
    {CallCode::kGetGpaPagesAccessStates, "more pages than are answered at once, forgotten",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(track(child.id) == Status::kSuccess);
       static_cast<void>(write_gpa(child, machine::Gpa(Gpn(1500))));
       const auto result = access_states(child.id, Gpn(0), States::kClearDirty, 2000);
       GUEST_CHECK(result.reps_completed() == 2000);
       GUEST_CHECK(machine::load_u8(test_kernel::kOutputPage + 1500) == (kAccessed | kDirty));
       GUEST_CHECK(machine::load_u8(test_kernel::kOutputPage + 1499) == 0);
       GUEST_CHECK(noted(child, Gpn(1500)) == kAccessed);
       return result.status();
     }},
    {CallCode::kGetGpaPagesAccessStates, "forgetting the access forgets the write",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(track(child.id) == Status::kSuccess);
       static_cast<void>(write_gpa(child, machine::Gpa(Gpn(5))));
       const Status status = access_states(child.id, Gpn(5), States::kClearAccessed).status();
       GUEST_CHECK(output<std::uint8_t>() == (kAccessed | kDirty) && noted(child, Gpn(5)) == 0);
       return status;
     }},
    {CallCode::kGetGpaPagesAccessStates, "setting what was not noted", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(track(child.id) == Status::kSuccess);
       const Status status =
           access_states(child.id, Gpn(5), States::kSetAccessed | States::kSetDirty).status();
       GUEST_CHECK(output<std::uint8_t>() == 0 && noted(child, Gpn(5)) == (kAccessed | kDirty));
       return status;
     }},
    {CallCode::kGetGpaPagesAccessStates, "a page that is not mapped: nothing is noted",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(track(child.id) == Status::kSuccess);
       const Status status = access_states(child.id, kPlace, States::kSetDirty).status();
       GUEST_CHECK(output<std::uint8_t>() == 0 && noted(child, kPlace) == 0);
       return status;
     }},
    {CallCode::kGetGpaPagesAccessStates, "a page beneath an overlay: what was noted of it",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(track(child.id) == Status::kSuccess);
       static_cast<void>(write_gpa(child, machine::Gpa(Gpn(5))));
       show_overlay(child, Gpn(5));
       GUEST_CHECK(noted(child, Gpn(5)) == (kAccessed | kDirty));
       const Status status = access_states(child.id, Gpn(5), States::kClearAccessed).status();
       child_maker::set_register(child, 0, hv::RegisterName::kReferenceTsc, 0);
       GUEST_CHECK(noted(child, Gpn(5)) == 0);
       return status;
     }},
    {CallCode::kGetGpaPagesAccessStates, "one page of a large one, forgotten", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(map_one(child.id, kReadWrite | hv::kMapLargePage) == Status::kSuccess);
       GUEST_CHECK(track(child.id) == Status::kSuccess);
       static_cast<void>(write_gpa(child, machine::Gpa(kPlace + 3)));
       const Status status = access_states(child.id, kPlace, States::kClearAccessed).status();
       GUEST_CHECK(noted(child, kPlace) == 0 && noted(child, kPlace + 3) == (kAccessed | kDirty));
       return status;
     }},
    {CallCode::kGetGpaPagesAccessStates, "a large page without memory to forget part of it",
     Status::kInsufficientMemory,
     [] {
       const Child child = make_child();
       GUEST_CHECK(map_one(child.id, kReadWrite | hv::kMapLargePage) == Status::kSuccess);
       GUEST_CHECK(track(child.id) == Status::kSuccess);
       static_cast<void>(write_gpa(child, machine::Gpa(kPlace + 3)));
       drain(child.id);
       const auto result = access_states(child.id, kPlace, States::kClearAccessed, 5);
       GUEST_CHECK(result.reps_completed() == 0 && noted(child, kPlace) == (kAccessed | kDirty));
       return result.status();
     }},
    {CallCode::kGetGpaPagesAccessStates, "a child that is not tracked", Status::kOperationDenied,
     [] { return access_states(make_child().id, Gpn(5)).status(); }},
    {CallCode::kGetGpaPagesAccessStates, "a child that is tracked no more",
     Status::kOperationDenied,
     [] {
       const Child child = make_child();
       GUEST_CHECK(track(child.id) == Status::kSuccess && track(child.id, 0) == Status::kSuccess);
       return access_states(child.id, Gpn(5)).status();
     }},
    {CallCode::kGetGpaPagesAccessStates, "the root itself", Status::kAccessDenied,
     [] { return access_states(kSelf, kFree).status(); }},
    {CallCode::kGetGpaPagesAccessStates, "a child without the privilege", Status::kAccessDenied,
     [] { return access_states(kSelf, Gpn(5)).status(); }, Caller::kChild},
    {CallCode::kGetGpaPagesAccessStates, "no partition's id", Status::kInvalidPartitionId,
     [] { return access_states(kNobody, Gpn(5)).status(); }},
    {CallCode::kGetGpaPagesAccessStates, "a flag that does not exist", Status::kInvalidParameter,
     [] { return access_states(make_child().id, Gpn(5), 1u << 4).status(); }},
    {CallCode::kGetGpaPagesAccessStates, "dirty both set and cleared", Status::kInvalidParameter,
     [] {
       return access_states(make_child().id, Gpn(5), States::kSetDirty | States::kClearDirty)
           .status();
     }},
    {CallCode::kGetGpaPagesAccessStates, "a page beyond the space", Status::kInvalidParameter,
     [] {
       const Child child = make_child();
       GUEST_CHECK(track(child.id) == Status::kSuccess);
       return access_states(child.id, kBeyond).status();
     }},
    {CallCode::kGetGpaPagesAccessStates, "a finalized partition", Status::kInvalidPartitionState,
     [] { return access_states(finalized(), Gpn(5)).status(); }},
};

}  // namespace

std::span<const CallCase> pool_call_cases() { return kPoolCases; }
std::span<const CallCase> access_state_call_cases() { return kAccessStateCases; }

}  // namespace interface_test
