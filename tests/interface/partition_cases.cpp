// CreatePartition to DeletePartition, GetPartitionId and GetNextChildPartition (TLFS "Partition
// Management").
#include <array>

#include "tests/hv/test_kernel.h"
#include "tests/interface/case_tables.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::PartitionId;
using hv::Status;
using machine::Gpn;

Status on_partition(CallCode code, PartitionId id) {
  return call(HypercallControl(code), hv::PartitionInput{id}).status();
}
Status initialize(PartitionId id) { return on_partition(CallCode::kInitializePartition, id); }
Status finalize(PartitionId id) { return on_partition(CallCode::kFinalizePartition, id); }
Status delete_it(PartitionId id) { return on_partition(CallCode::kDeletePartition, id); }

Status create(const hv::CreatePartitionInput& input = {}) {
  return call(HypercallControl(CallCode::kCreatePartition), input).status();
}
PartitionId created() {
  GUEST_CHECK(create() == Status::kSuccess);
  return output<hv::PartitionIdOutput>().partition;
}

void deposit(PartitionId id, std::uint64_t count = 40) {
  for (std::uint64_t page = 0; page < count; ++page) {
    const std::array<Gpn, 1> pages{Gpn(0x8000 + page)};
    GUEST_CHECK(call(HypercallControl(CallCode::kDepositMemory), hv::DepositMemoryInput{id},
                     std::span<const Gpn>(pages))
                    .status() == Status::kSuccess);
  }
}
PartitionId active() {
  const PartitionId id = created();
  deposit(id);
  GUEST_CHECK(initialize(id) == Status::kSuccess);
  return id;
}
/// Its pages are still its own.
PartitionId finalized() {
  const PartitionId id = active();
  GUEST_CHECK(finalize(id) == Status::kSuccess);
  return id;
}
void withdraw_all(PartitionId id) {
  const hv::MemoryPoolInput input{id, {}};
  machine::write_memory(kInputPage, std::as_bytes(std::span(&input, 1)));
  GUEST_CHECK(call(HypercallControl(CallCode::kWithdrawMemory).with_reps(200)).status() ==
              Status::kNoResources);
}

PartitionId next_child(PartitionId parent, PartitionId previous) {
  const hv::GetNextChildPartitionInput input{parent, previous};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetNextChildPartition), input).status() ==
              Status::kSuccess);
  return output<hv::GetNextChildPartitionOutput>().next_child;
}
Status try_next_child(PartitionId parent, PartitionId previous) {
  const hv::GetNextChildPartitionInput input{parent, previous};
  return call(HypercallControl(CallCode::kGetNextChildPartition), input).status();
}

constexpr PartitionId kSelf = hv::kPartitionIdSelf;
constexpr PartitionId kFirst{};

constexpr CallCase kCases[] = {
    {CallCode::kCreatePartition, "all zero: a partition that is not initialized", Status::kSuccess,
     [] {
       const Status status = create();
       const PartitionId id = output<hv::PartitionIdOutput>().partition;
       GUEST_CHECK(next_child(kSelf, kFirst) == id);
       GUEST_CHECK(finalize(id) == Status::kInvalidPartitionState);
       return status;
     }},
    {CallCode::kCreatePartition, "a creation flag that does not exist", Status::kInvalidParameter,
     [] {
       hv::CreatePartitionInput input;
       input.flags = 1ull << 40;
       const Status status = create(input);
       GUEST_CHECK(next_child(kSelf, kFirst) == PartitionId{});
       return status;
     }},
    {CallCode::kCreatePartition, "a child without the privilege", Status::kAccessDenied,
     [] { return create(); }, Caller::kChild},

    {CallCode::kInitializePartition, "a partition with memory", Status::kSuccess,
     [] {
       const PartitionId id = created();
       deposit(id);
       return initialize(id);
     }},
    {CallCode::kInitializePartition, "a partition without memory", Status::kInsufficientMemory,
     [] { return initialize(created()); }},
    {CallCode::kInitializePartition, "a partition that is active already",
     Status::kInvalidPartitionState, [] { return initialize(active()); }},
    {CallCode::kInitializePartition, "a finalized partition", Status::kInvalidPartitionState,
     [] { return initialize(finalized()); }},
    {CallCode::kInitializePartition, "no partition's id", Status::kInvalidPartitionId,
     [] { return initialize(kNobody); }},
    {CallCode::kInitializePartition, "the caller itself", Status::kAccessDenied,
     [] { return initialize(kSelf); }},
    {CallCode::kInitializePartition, "a child without the privilege", Status::kAccessDenied,
     [] { return initialize(kNobody); }, Caller::kChild},

    {CallCode::kFinalizePartition, "an active partition", Status::kSuccess,
     [] { return finalize(active()); }},
    {CallCode::kFinalizePartition, "a child whose VP runs", Status::kSuccess,
     [] {
       const Child child = make_child();
       child_maker::start(child, 0);
       return finalize(child.id);
     }},
    {CallCode::kFinalizePartition, "a partition that was never initialized",
     Status::kInvalidPartitionState, [] { return finalize(created()); }},
    {CallCode::kFinalizePartition, "a finalized partition", Status::kInvalidPartitionState,
     [] { return finalize(finalized()); }},
    {CallCode::kFinalizePartition, "no partition's id", Status::kInvalidPartitionId,
     [] { return finalize(kNobody); }},
    {CallCode::kFinalizePartition, "the caller itself", Status::kAccessDenied,
     [] { return finalize(kSelf); }},

    {CallCode::kDeletePartition, "a finalized partition with no page left", Status::kSuccess,
     [] {
       const PartitionId id = finalized();
       withdraw_all(id);
       const Status status = delete_it(id);
       GUEST_CHECK(next_child(kSelf, kFirst) == PartitionId{});
       return status;
     }},
    {CallCode::kDeletePartition, "a partition that was never initialized", Status::kSuccess,
     [] { return delete_it(created()); }},
    {CallCode::kDeletePartition, "a finalized partition with pages in its pool",
     Status::kOperationDenied, [] { return delete_it(finalized()); }},
    {CallCode::kDeletePartition, "an active partition", Status::kInvalidPartitionState,
     [] { return delete_it(active()); }},
    {CallCode::kDeletePartition, "a partition deleted before", Status::kInvalidPartitionId,
     [] {
       const PartitionId id = created();
       GUEST_CHECK(delete_it(id) == Status::kSuccess);
       return delete_it(id);
     }},
    {CallCode::kDeletePartition, "the caller itself", Status::kAccessDenied,
     [] { return delete_it(kSelf); }},

    {CallCode::kGetPartitionId, "the root", Status::kSuccess,
     [] {
       const Status status = call(HypercallControl(CallCode::kGetPartitionId)).status();
       const PartitionId id = output<hv::PartitionIdOutput>().partition;
       // By its id, as by SELF.
       GUEST_CHECK(id != PartitionId{} && id != kSelf);
       GUEST_CHECK(initialize(id) == Status::kAccessDenied);
       return status;
     }},
    {CallCode::kGetPartitionId, "a child without the privilege", Status::kAccessDenied,
     [] { return call(HypercallControl(CallCode::kGetPartitionId)).status(); }, Caller::kChild},

    {CallCode::kGetNextChildPartition, "three children, in the order of their creation",
     Status::kSuccess,
     [] {
       const std::array ids{created(), created(), created()};
       GUEST_CHECK(next_child(kSelf, kFirst) == ids[0]);
       GUEST_CHECK(next_child(kSelf, ids[0]) == ids[1]);
       GUEST_CHECK(delete_it(ids[1]) == Status::kSuccess);
       GUEST_CHECK(next_child(kSelf, ids[0]) == ids[2]);
       const Status status = try_next_child(kSelf, ids[2]);
       GUEST_CHECK(output<hv::GetNextChildPartitionOutput>().next_child == PartitionId{});
       return status;
     }},
    {CallCode::kGetNextChildPartition, "no partition's id", Status::kInvalidPartitionId,
     [] { return try_next_child(kNobody, kFirst); }},
    {CallCode::kGetNextChildPartition, "a child without the privilege", Status::kAccessDenied,
     [] { return try_next_child(kSelf, kFirst); }, Caller::kChild},
};

}  // namespace

std::span<const CallCase> partition_call_cases() { return kCases; }

}  // namespace interface_test
