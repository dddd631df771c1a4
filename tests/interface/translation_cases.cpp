// TranslateVirtualAddress and TranslateVirtualAddressEx: a child's VP that was not started yet, on
// page tables that the root has written.
#include <array>

#include "machine/guest.h"
#include "machine/x86.h"
#include "tests/hv/test_kernel.h"
#include "tests/interface/case_tables.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::RegisterName;
using hv::Status;
using hv::TranslateCode;
using machine::Gpn;

constexpr std::uint64_t kTables = 0x70'0000;
constexpr std::uint64_t kTarget = 0x60'0000;
constexpr std::uint64_t kPage = 5;  // of the address space that the tables make
constexpr std::uint64_t kPresent = 1, kWrite = 2, kUser = 4, kCacheDisable = 16;
constexpr std::uint64_t kAccessedDirty = 0x60;
constexpr std::uint64_t kAll = kPresent | kWrite | kUser;

struct Answer {
  std::uint64_t result = 0;
  Gpn gpn;
  [[nodiscard]] TranslateCode code() const { return static_cast<TranslateCode>(result); }
  [[nodiscard]] std::uint8_t cache_type() const {
    return static_cast<std::uint8_t>(result >> hv::kTranslateCacheTypeShift);
  }
};

Status translate(const hv::TranslateVirtualAddressInput& input, Answer& answer) {
  const Status status = call(HypercallControl(CallCode::kTranslateVirtualAddress), input).status();
  const auto out = output<hv::TranslateVirtualAddressOutput>();
  answer = {out.result, out.gpn};
  return status;
}
Status translate(const Child& child, std::uint64_t flags, std::uint64_t page, Answer& answer) {
  return translate({child.id, hv::VpIndex{0}, 0, flags, page}, answer);
}
Status translate(const hv::TranslateVirtualAddressInput& input) {
  Answer unused;
  return translate(input, unused);
}

/// A child whose VP has four levels of tables, with `leaf` for kPage.
Child paging_child(std::uint64_t leaf) {
  const Child child = make_child();
  for (std::uint64_t level = 0; level < 3; ++level) {
    const std::uint64_t table = kTables + level * machine::kPageSize;
    machine::store_u64(child.memory + table, (table + machine::kPageSize) | kAll);
  }
  machine::store_u64(child.memory + kTables + 3 * machine::kPageSize + kPage * 8, leaf);
  namespace x86 = machine::x86;
  child_maker::set_register(child, 0, RegisterName::kCr3, kTables);
  child_maker::set_register(child, 0, RegisterName::kCr4, x86::kCr4Pae);
  child_maker::set_register(child, 0, RegisterName::kEfer, x86::kEferLme | x86::kEferNxe);
  child_maker::set_register(child, 0, RegisterName::kCr0,
                            x86::kCr0Pe | x86::kCr0Ne | x86::kCr0Wp | x86::kCr0Pg);
  return child;
}
std::uint64_t leaf_of(const Child& child) {
  return machine::load_u64(child.memory + kTables + 3 * machine::kPageSize + kPage * 8);
}

Status expect(const Child& child, std::uint64_t flags, TranslateCode code) {
  Answer answer;
  const Status status = translate(child, flags, kPage, answer);
  GUEST_CHECK(answer.code() == code);
  return status;
}

constexpr std::uint64_t kReadIt = hv::kTranslateValidateRead;
constexpr std::uint64_t kWriteIt = hv::kTranslateValidateWrite;

constexpr CallCase kCases[] = {
    {CallCode::kTranslateVirtualAddress, "no paging: the address itself, write-back",
     Status::kSuccess,
     [] {
       Answer answer;
       const Status status = translate(make_child(), kReadIt | kWriteIt, 0x123, answer);
       GUEST_CHECK(answer.code() == TranslateCode::kSuccess);
       GUEST_CHECK(answer.gpn == Gpn(0x123));
       GUEST_CHECK(answer.cache_type() == hv::kCacheTypeWriteBack);
       return status;
     }},
    {CallCode::kTranslateVirtualAddress, "a mapped page: its GPN and caching, no bits set",
     Status::kSuccess,
     [] {
       const Child child = paging_child(kTarget | kAll | kCacheDisable);
       Answer answer;
       const Status status = translate(child, kWriteIt, kPage, answer);
       GUEST_CHECK(answer.code() == TranslateCode::kSuccess);
       GUEST_CHECK(answer.gpn == Gpn(kTarget / machine::kPageSize));
       GUEST_CHECK(answer.cache_type() == hv::kCacheTypeUncached);
       GUEST_CHECK((leaf_of(child) & kAccessedDirty) == 0);
       return status;
     }},
    {CallCode::kTranslateVirtualAddress, "setting the accessed and dirty bits of a write",
     Status::kSuccess,
     [] {
       const Child child = paging_child(kTarget | kAll);
       const Status status =
           expect(child, kWriteIt | hv::kTranslateSetPageTableBits, TranslateCode::kSuccess);
       GUEST_CHECK((leaf_of(child) & kAccessedDirty) == kAccessedDirty);
       return status;
     }},
    {CallCode::kTranslateVirtualAddress, "an entry that is not present", Status::kSuccess,
     [] { return expect(paging_child(kTarget), kReadIt, TranslateCode::kPageNotPresent); }},
    {CallCode::kTranslateVirtualAddress, "a write to what the tables protect", Status::kSuccess,
     [] {
       return expect(paging_child(kTarget | kPresent), kWriteIt,
                     TranslateCode::kPrivilegeViolation);
     }},
    {CallCode::kTranslateVirtualAddress, "a supervisor's page for a user", Status::kSuccess,
     [] {
       return expect(paging_child(kTarget | kPresent), kReadIt | hv::kTranslateAsUser,
                     TranslateCode::kPrivilegeViolation);
     }},
    {CallCode::kTranslateVirtualAddress, "a supervisor's page for a user, privilege exempt",
     Status::kSuccess,
     [] {
       return expect(paging_child(kTarget | kPresent),
                     kReadIt | hv::kTranslateAsUser | hv::kTranslatePrivilegeExempt,
                     TranslateCode::kSuccess);
     }},
    {CallCode::kTranslateVirtualAddress, "an entry with a reserved bit", Status::kSuccess,
     [] {
       return expect(paging_child(kTarget | kAll | 1ull << 51), kReadIt,
                     TranslateCode::kInvalidPageTableFlags);
     }},
    {CallCode::kTranslateVirtualAddress, "a page that is not in the GPA space", Status::kSuccess,
     [] {
       return expect(paging_child(child_maker::kHole.value() | kAll), kReadIt,
                     TranslateCode::kGpaUnmapped);
     }},
    {CallCode::kTranslateVirtualAddress, "tables that are not in the GPA space", Status::kSuccess,
     [] {
       const Child child = paging_child(kTarget | kAll);
       child_maker::set_register(child, 0, RegisterName::kCr3, child_maker::kHole.value());
       return expect(child, kReadIt, TranslateCode::kGpaUnmapped);
     }},
    {CallCode::kTranslateVirtualAddress, "a page that the parent maps without rights",
     Status::kSuccess,
     [] {
       const Child child = paging_child(child_maker::kHole.value() | kAll);
       const hv::MapGpaPagesInput header{child.id, child_maker::kHole.page(), 0, 0};
       const std::array<Gpn, 1> pages{Gpn(0x7900)};
       GUEST_CHECK(
           call(HypercallControl(CallCode::kMapGpaPages), header, std::span<const Gpn>(pages))
               .status() == Status::kSuccess);
       GUEST_CHECK(expect(child, kWriteIt, TranslateCode::kGpaNoWriteAccess) == Status::kSuccess);
       return expect(child, kReadIt, TranslateCode::kGpaNoReadAccess);
     }},
    {CallCode::kTranslateVirtualAddress, "setting bits in tables that the parent maps read only",
     Status::kSuccess,
     [] {
       const Child child = paging_child(kTarget | kAll);
       constexpr Gpn kLeaves{kTables / machine::kPageSize + 3};
       const hv::MapGpaPagesInput header{child.id, kLeaves, hv::kMapRead, 0};
       const std::array<Gpn, 1> pages{child.memory.page() + kLeaves.value()};
       GUEST_CHECK(
           call(HypercallControl(CallCode::kMapGpaPages), header, std::span<const Gpn>(pages))
               .status() == Status::kSuccess);
       GUEST_CHECK(expect(child, kWriteIt, TranslateCode::kSuccess) == Status::kSuccess);
       const Status status = expect(child, kWriteIt | hv::kTranslateSetPageTableBits,
                                    TranslateCode::kGpaNoWriteAccess);
       GUEST_CHECK((leaf_of(child) & kAccessedDirty) == 0);
       return status;
     }},
    {CallCode::kTranslateVirtualAddress, "a write to a page of the hypervisor's own",
     Status::kSuccess,
     [] {
       const Child child = paging_child(kTarget | kAll);
       child_maker::set_register(child, 0, RegisterName::kReferenceTsc, kTarget | 1);
       Answer answer;
       GUEST_CHECK(translate(child, kReadIt, kPage, answer) == Status::kSuccess);
       GUEST_CHECK(answer.code() == TranslateCode::kSuccess);
       GUEST_CHECK((answer.result & hv::kTranslateOverlayPage) != 0);
       return expect(child, kWriteIt, TranslateCode::kGpaIllegalOverlayAccess);
     }},
    {CallCode::kTranslateVirtualAddress, "the caller itself, with the privilege", Status::kSuccess,
     [] {
       Answer answer;
       const Status status = translate({hv::kPartitionIdSelf, hv::kVpIndexSelf, 0, kReadIt,
                                        kInputPage.value() / machine::kPageSize},
                                       answer);
       GUEST_CHECK(answer.gpn == kInputPage.page());
       return status;
     }},
    {CallCode::kTranslateVirtualAddress, "keeping others from flushing the TLB", Status::kSuccess,
     [] {
       const Child child = make_child();
       return expect(child, kReadIt | hv::kTranslateTlbFlushInhibit, TranslateCode::kSuccess);
     }},
    {CallCode::kTranslateVirtualAddress, "a flag that does not exist", Status::kInvalidParameter,
     [] { return translate({hv::kPartitionIdSelf, hv::kVpIndexSelf, 0, 1u << 12, 1}); }},
    {CallCode::kTranslateVirtualAddress, "as a user and as a supervisor", Status::kInvalidParameter,
     [] {
       return translate({hv::kPartitionIdSelf, hv::kVpIndexSelf, 0,
                         hv::kTranslateAsUser | hv::kTranslateAsSupervisor, 1});
     }},
    {CallCode::kTranslateVirtualAddress, "another trust level", Status::kInvalidParameter,
     [] { return translate({hv::kPartitionIdSelf, hv::kVpIndexSelf, 0, 1ull << 56, 1}); }},
    {CallCode::kTranslateVirtualAddress, "a reserved field", Status::kInvalidParameter,
     [] { return translate({hv::kPartitionIdSelf, hv::kVpIndexSelf, 1, 0, 1}); }},
    {CallCode::kTranslateVirtualAddress, "a page number beyond all addresses",
     Status::kInvalidParameter,
     [] { return translate({hv::kPartitionIdSelf, hv::kVpIndexSelf, 0, 0, 1ull << 52}); }},
    {CallCode::kTranslateVirtualAddress, "no partition's id", Status::kInvalidPartitionId,
     [] { return translate({kNobody, hv::VpIndex{0}, 0, 0, 1}); }},
    {CallCode::kTranslateVirtualAddress, "a VP that the child does not have",
     Status::kInvalidVpIndex, [] { return translate({make_child().id, hv::VpIndex{1}, 0, 0, 1}); }},
    {CallCode::kTranslateVirtualAddress, "a partition that is not active",
     Status::kInvalidPartitionState,
     [] {
       GUEST_CHECK(call(HypercallControl(CallCode::kCreatePartition), hv::CreatePartitionInput{})
                       .status() == Status::kSuccess);
       const auto id = output<hv::PartitionIdOutput>().partition;
       return translate({id, hv::VpIndex{0}, 0, 0, 1});
     }},
    {CallCode::kTranslateVirtualAddress, "the caller itself, without the privilege",
     Status::kAccessDenied,
     [] { return translate({hv::kPartitionIdSelf, hv::kVpIndexSelf, 0, 0, 1}); }, Caller::kChild},

    {CallCode::kTranslateVirtualAddressEx, "a mapped page: its GPN behind 48 bytes of result",
     Status::kSuccess,
     [] {
       const Child child = paging_child(kTarget | kAll);
       const hv::TranslateVirtualAddressInput input{child.id, hv::VpIndex{0}, 0, kReadIt, kPage};
       const Status status =
           call(HypercallControl(CallCode::kTranslateVirtualAddressEx), input).status();
       const auto out = output<hv::TranslateVirtualAddressExOutput>();
       GUEST_CHECK(static_cast<TranslateCode>(out.result) == TranslateCode::kSuccess);
       GUEST_CHECK(out.gpn == Gpn(kTarget / machine::kPageSize));
       return status;
     }},
    {CallCode::kTranslateVirtualAddressEx, "a flag that does not exist", Status::kInvalidParameter,
     [] {
       const hv::TranslateVirtualAddressInput input{hv::kPartitionIdSelf, hv::kVpIndexSelf, 0,
                                                    1u << 12, 1};
       return call(HypercallControl(CallCode::kTranslateVirtualAddressEx), input).status();
     }},
    {CallCode::kTranslateVirtualAddressEx, "no partition's id", Status::kInvalidPartitionId,
     [] {
       const hv::TranslateVirtualAddressInput input{kNobody, hv::VpIndex{0}, 0, 0, 1};
       return call(HypercallControl(CallCode::kTranslateVirtualAddressEx), input).status();
     }},
};

}  // namespace

std::span<const CallCase> translation_call_cases() { return kCases; }

}  // namespace interface_test
