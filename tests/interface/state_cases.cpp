// MapVpStatePage and UnmapVpStatePage (TLFS HvCallMapVpStatePage).
#include "tests/interface/case_tables.h"
#include "tests/interface/memory_steps.h"
#include "tests/interface/partition_steps.h"

namespace interface_test {
namespace {

using namespace memory;
using namespace test_kernel;
using hv::MapVpStatePageInput;
using hv::RegisterName;
using hv::VpIndex;
using hv::VpStatePageType;
using machine::Gpa;

constexpr Gpn kShown{0x9400};
constexpr VpStatePageType kRegisters = VpStatePageType::kRegisters;
constexpr VpStatePageType kMessage = VpStatePageType::kInterceptMessage;

MapVpStatePageInput page_of(PartitionId id, VpStatePageType type = kRegisters) {
  MapVpStatePageInput input;
  input.partition = id;
  input.type = type;
  return input;
}
Status map_page(const MapVpStatePageInput& input) {
  return call(HypercallControl(CallCode::kMapVpStatePage), input).status();
}
Status unmap_page(PartitionId id, VpStatePageType type = kRegisters, std::uint32_t vp = 0) {
  const hv::UnmapVpStatePageInput input{id, VpIndex{vp}, type, 0, 0};
  return call(HypercallControl(CallCode::kUnmapVpStatePage), input).status();
}
Gpn mapped(const MapVpStatePageInput& input) {
  GUEST_CHECK(map_page(input) == Status::kSuccess);
  return output<hv::MapVpStatePageOutput>().place;
}

PartitionId with_vp() {
  const PartitionId id = active_partition();
  create_vp(id, 0);
  return id;
}
PartitionId with_message_pages() {
  hv::CreatePartitionInput creation;
  creation.flags = hv::kCreateExoPartition | hv::kCreateInterceptMessagePage;
  const PartitionId id = created_partition(creation);
  initialize_with_memory(id);
  create_vp(id, 0);
  return id;
}
std::uint64_t register_page_of(PartitionId id) {
  hv::VpRegistersInput header;
  header.partition = id;
  const std::array<RegisterName, 1> names{RegisterName::kRegisterPage};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const RegisterName>(names))
                  .status() == Status::kSuccess);
  return output<hv::RegisterValue>().low;
}
/// Until its pool has nothing left.
void drain(PartitionId id) {
  constexpr std::uint32_t kAtOnce = 64;
  for (Status status = Status::kSuccess; status == Status::kSuccess;) {
    const hv::MemoryPoolInput input{id, {}};
    machine::write_memory(kInputPage, std::as_bytes(std::span(&input, 1)));
    status = call(HypercallControl(CallCode::kWithdrawMemory).with_reps(kAtOnce)).status();
  }
}

constexpr CallCase kMapCases[] = {
    {CallCode::kMapVpStatePage, "the registers of a VP that never ran", Status::kSuccess,
     [] {
       const PartitionId id = with_vp();
       GUEST_CHECK(register_page_of(id) == 0);
       const Gpn page = mapped(page_of(id));
       GUEST_CHECK(machine::load_u16(Gpa(page)) == hv::RegisterPage::kVersion);
       GUEST_CHECK(machine::load_u8(Gpa(page) + 2) == 0);  // not valid
       GUEST_CHECK(register_page_of(id) == Gpa(page).value() + 1);
       GUEST_CHECK(unmap_page(id) == Status::kSuccess);
       GUEST_CHECK(register_page_of(id) == 0);
       return Status::kSuccess;
     }},
    {CallCode::kMapVpStatePage, "both pages of a VP, at two places", Status::kSuccess,
     [] {
       const PartitionId id = with_message_pages();
       const Gpn registers = mapped(page_of(id));
       const Gpn message = mapped(page_of(id, kMessage));
       GUEST_CHECK(registers != message && machine::load_u64(Gpa(message)) == 0);
       return Status::kSuccess;
     }},
    {CallCode::kMapVpStatePage, "a place that the parent gives", Status::kSuccess,
     [] {
       machine::store_u64(Gpa(kShown), 0x1234'5678);
       MapVpStatePageInput input = page_of(with_vp());
       input.flags = MapVpStatePageInput::kPlaceGiven;
       input.place = kShown;
       GUEST_CHECK(mapped(input) == kShown);
       GUEST_CHECK(machine::load_u64(Gpa(kShown)) == hv::RegisterPage::kVersion);
       GUEST_CHECK(register_page_of(input.partition) == Gpa(kShown).value() + 1);
       GUEST_CHECK(unmap_page(input.partition) == Status::kSuccess);
       GUEST_CHECK(machine::load_u64(Gpa(kShown)) == 0x1234'5678);
       return Status::kSuccess;
     }},
    {CallCode::kMapVpStatePage, "again after it was unmapped", Status::kSuccess,
     [] {
       const PartitionId id = with_vp();
       static_cast<void>(mapped(page_of(id)));
       GUEST_CHECK(unmap_page(id) == Status::kSuccess);
       return map_page(page_of(id));
     }},
    {CallCode::kMapVpStatePage, "a page that is mapped", Status::kOperationDenied,
     [] {
       const PartitionId id = with_vp();
       static_cast<void>(mapped(page_of(id)));
       return map_page(page_of(id));
     }},
    {CallCode::kMapVpStatePage, "the message of a partition made without such pages",
     Status::kOperationDenied, [] { return map_page(page_of(with_vp(), kMessage)); }},
    {CallCode::kMapVpStatePage, "the page of confidential partitions", Status::kInvalidParameter,
     [] { return map_page(page_of(with_vp(), VpStatePageType::kGhcb)); }},
    {CallCode::kMapVpStatePage, "a type that there is not", Status::kInvalidParameter,
     [] { return map_page(page_of(with_vp(), VpStatePageType{3})); }},
    {CallCode::kMapVpStatePage, "another trust level", Status::kInvalidParameter,
     [] {
       MapVpStatePageInput input = page_of(with_vp());
       input.target_vtl = 1;
       return map_page(input);
     }},
    {CallCode::kMapVpStatePage, "a flag that there is not", Status::kInvalidParameter,
     [] {
       MapVpStatePageInput input = page_of(with_vp());
       input.flags = 2;
       return map_page(input);
     }},
    {CallCode::kMapVpStatePage, "a place beyond the parent's space", Status::kInvalidParameter,
     [] {
       MapVpStatePageInput input = page_of(with_vp());
       input.flags = MapVpStatePageInput::kPlaceGiven;
       input.place = Gpn(1ull << 52);
       return map_page(input);
     }},
    {CallCode::kMapVpStatePage, "a VP that there is not", Status::kInvalidVpIndex,
     [] { return map_page(page_of(active_partition())); }},
    {CallCode::kMapVpStatePage, "a partition that is not initialized",
     Status::kInvalidPartitionState, [] { return map_page(page_of(created_partition())); }},
    {CallCode::kMapVpStatePage, "a finalized partition", Status::kInvalidPartitionState,
     [] { return map_page(page_of(finalized_partition())); }},
    {CallCode::kMapVpStatePage, "no partition's id", Status::kInvalidPartitionId,
     [] { return map_page(page_of(kNobody)); }},
    {CallCode::kMapVpStatePage, "a child whose pool is empty", Status::kInsufficientMemory,
     [] {
       const PartitionId id = with_vp();
       drain(id);
       return map_page(page_of(id));
     }},
    {CallCode::kMapVpStatePage, "a parent whose pool is empty", Status::kNoResources,
     [] {
       const PartitionId id = with_vp();
       drain(kSelf);
       const Status status = map_page(page_of(id));
       // The child's page went back to where it came from.
       GUEST_CHECK(unmap_page(id) == Status::kOperationDenied);
       return status;
     }},
    {CallCode::kMapVpStatePage, "the caller's own VP", Status::kAccessDenied,
     [] { return map_page(page_of(kSelf)); }},
    {CallCode::kMapVpStatePage, "by a child", Status::kAccessDenied,
     [] { return map_page(page_of(kSelf)); }, Caller::kChild},

    {CallCode::kUnmapVpStatePage, "pages that are mapped, and the partition's end",
     Status::kSuccess,
     [] {
       const PartitionId id = with_message_pages();
       static_cast<void>(mapped(page_of(id)));
       static_cast<void>(mapped(page_of(id, kMessage)));
       const Status status = unmap_page(id);
       // The other one ends with its VP: every page of the pool comes back.
       GUEST_CHECK(
           call(HypercallControl(CallCode::kFinalizePartition), hv::PartitionInput{id}).status() ==
           Status::kSuccess);
       drain(id);
       GUEST_CHECK(
           call(HypercallControl(CallCode::kDeletePartition), hv::PartitionInput{id}).status() ==
           Status::kSuccess);
       return status;
     }},
    {CallCode::kUnmapVpStatePage, "a page that is not mapped", Status::kOperationDenied,
     [] { return unmap_page(with_vp()); }},
    {CallCode::kUnmapVpStatePage, "a type that there is not", Status::kInvalidParameter,
     [] { return unmap_page(with_vp(), VpStatePageType{3}); }},
    {CallCode::kUnmapVpStatePage, "another trust level", Status::kInvalidParameter,
     [] {
       const hv::UnmapVpStatePageInput input{with_vp(), VpIndex{0}, kRegisters, 1, 0};
       return call(HypercallControl(CallCode::kUnmapVpStatePage), input).status();
     }},
    {CallCode::kUnmapVpStatePage, "a byte that has to be zero", Status::kInvalidParameter,
     [] {
       const hv::UnmapVpStatePageInput input{with_vp(), VpIndex{0}, kRegisters, 0, 1};
       return call(HypercallControl(CallCode::kUnmapVpStatePage), input).status();
     }},
    {CallCode::kUnmapVpStatePage, "a VP that there is not", Status::kInvalidVpIndex,
     [] { return unmap_page(with_vp(), kRegisters, 5); }},
    {CallCode::kUnmapVpStatePage, "a finalized partition", Status::kInvalidPartitionState,
     [] { return unmap_page(finalized_partition()); }},
    {CallCode::kUnmapVpStatePage, "no partition's id", Status::kInvalidPartitionId,
     [] { return unmap_page(kNobody); }},
    {CallCode::kUnmapVpStatePage, "by a child", Status::kAccessDenied,
     [] { return unmap_page(kSelf); }, Caller::kChild},
};

}  // namespace

std::span<const CallCase> state_page_cases() { return kMapCases; }

}  // namespace interface_test
