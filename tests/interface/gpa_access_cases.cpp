// ReadGpa and WriteGpa (TLFS 2.0a 12.4.5), and the root's access to pages that it lends:
// AcquireSparseSpaPageHostAccess, ReleaseSparseSpaPageHostAccess.
#include "tests/interface/case_tables.h"
#include "tests/interface/memory_steps.h"

namespace interface_test {
namespace {

using namespace memory;
using hv::AccessGpaInput;
using hv::AccessGpaResult;
using machine::Gpa;

constexpr Gpa kWord{0x5120};
constexpr std::uint64_t kWriteBack = 6;

AccessGpaInput access_to(const Child& child, Gpa gpa = kWord, std::uint32_t size = 8) {
  return {child.id, hv::VpIndex{0}, size, gpa, kWriteBack};
}
Gpa kept(const Child& child, Gpa gpa) { return child.memory + gpa.value(); }

Status read(const AccessGpaInput& input) {
  return call(HypercallControl(CallCode::kReadGpa), input).status();
}
Status write(const AccessGpaInput& input) {
  hv::WriteGpaInput full{input, {}};
  full.data.fill(std::byte{0x5A});
  return call(HypercallControl(CallCode::kWriteGpa), full).status();
}
/// The same input for both calls.
template <Status (*make)(const AccessGpaInput&)>
Status with(auto change) {
  const Child child = make_child();
  AccessGpaInput input = access_to(child);
  change(input);
  const std::uint64_t before = machine::load_u64(kept(child, kWord));
  const Status status = make(input);
  GUEST_CHECK(machine::load_u64(kept(child, kWord)) == before);
  return status;
}

constexpr auto kToNobody = [](AccessGpaInput& input) { input.partition = kNobody; };
constexpr auto kToSelf = [](AccessGpaInput& input) { input.partition = kSelf; };
constexpr auto kVpNine = [](AccessGpaInput& input) { input.vp = hv::VpIndex{9}; };
constexpr auto kNoBytes = [](AccessGpaInput& input) { input.byte_count = 0; };
constexpr auto kTooMany = [](AccessGpaInput& input) { input.byte_count = 17; };
constexpr auto kCrossing = [](AccessGpaInput& input) { input.gpa = Gpa(0x5FF9); };
constexpr auto kNoCaching = [](AccessGpaInput& input) { input.control = 3; };
constexpr auto kFlags = [](AccessGpaInput& input) { input.control |= 1u << 8; };

Status on_finalized(Status (*make)(const AccessGpaInput&)) {
  return make({finalized(), hv::VpIndex{0}, 8, kWord, kWriteBack});
}
AccessGpaInput by_child() { return {kSelf, hv::VpIndex{0}, 8, kWord, kWriteBack}; }

constexpr CallCase kAccessCases[] = {
    {CallCode::kReadGpa, "sixteen bytes up to the end of a page", Status::kSuccess,
     [] {
       const Child child = make_child();
       machine::store_u64(kept(child, Gpa(0x5FF8)), 0x1122'3344'5566'7788);
       const Status status = read(access_to(child, Gpa(0x5FF0), 16));
       const auto answer = output<hv::ReadGpaOutput>();
       GUEST_CHECK(answer.result == AccessGpaResult::kSuccess);
       GUEST_CHECK(answer.data[8] == std::byte{0x88} && answer.data[15] == std::byte{0x11});
       return status;
     }},
    {CallCode::kReadGpa, "one byte: the others are zero", Status::kSuccess,
     [] {
       const Child child = make_child();
       machine::store_u64(kept(child, kWord), ~0ull);
       const Status status = read(access_to(child, kWord, 1));
       const auto answer = output<hv::ReadGpaOutput>();
       GUEST_CHECK(answer.data[0] == std::byte{0xFF} && answer.data[1] == std::byte{0});
       return status;
     }},
    {CallCode::kReadGpa, "a page that is not mapped", Status::kSuccess,
     [] {
       const Status status = read(access_to(make_child(), Gpa(kPlace)));
       GUEST_CHECK(output<hv::ReadGpaOutput>().result == AccessGpaResult::kUnmapped);
       return status;
     }},
    {CallCode::kReadGpa, "an address beyond the space", Status::kSuccess,
     [] {
       const Status status = read(access_to(make_child(), Gpa(1ull << 60)));
       GUEST_CHECK(output<hv::ReadGpaOutput>().result == AccessGpaResult::kUnmapped);
       return status;
     }},
    {CallCode::kReadGpa, "a page without the right to read", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(modify(child.id, hv::kMapNoAccess, {kWord.page()}).status() == Status::kSuccess);
       const Status status = read(access_to(child));
       GUEST_CHECK(output<hv::ReadGpaOutput>().result == AccessGpaResult::kReadIntercept);
       return status;
     }},
    {CallCode::kReadGpa, "a page that an overlay hides: the overlay", Status::kSuccess,
     [] {
       const Child child = make_child();
       machine::store_u64(kept(child, Gpa(0x5000)), 0x55);
       show_overlay(child, Gpn(5));
       const Status status = read(access_to(child, Gpa(0x5000), 4));
       // The reference TSC page of a partition that has not run yet is not valid: sequence 0.
       GUEST_CHECK(output<hv::ReadGpaOutput>().data[0] == std::byte{0});
       return status;
     }},
    {CallCode::kReadGpa, "the caller itself", Status::kAccessDenied,
     [] { return with<read>(kToSelf); }},
    {CallCode::kReadGpa, "a child without the privilege", Status::kAccessDenied,
     [] { return read(by_child()); }, Caller::kChild},
    {CallCode::kReadGpa, "no partition's id", Status::kInvalidPartitionId,
     [] { return with<read>(kToNobody); }},
    {CallCode::kReadGpa, "a VP that does not exist", Status::kInvalidVpIndex,
     [] { return with<read>(kVpNine); }},
    {CallCode::kReadGpa, "no byte", Status::kInvalidParameter, [] { return with<read>(kNoBytes); }},
    {CallCode::kReadGpa, "seventeen bytes", Status::kInvalidParameter,
     [] { return with<read>(kTooMany); }},
    {CallCode::kReadGpa, "bytes of two pages", Status::kInvalidParameter,
     [] { return with<read>(kCrossing); }},
    {CallCode::kReadGpa, "a cache type that does not exist", Status::kInvalidParameter,
     [] { return with<read>(kNoCaching); }},
    {CallCode::kReadGpa, "a flag that does not exist", Status::kInvalidParameter,
     [] { return with<read>(kFlags); }},
    {CallCode::kReadGpa, "a finalized partition", Status::kInvalidPartitionState,
     [] { return on_finalized(read); }},

    {CallCode::kWriteGpa, "three bytes, and no more", Status::kSuccess,
     [] {
       const Child child = make_child();
       machine::store_u64(kept(child, kWord), 0);
       const Status status = write(access_to(child, kWord, 3));
       GUEST_CHECK(output<hv::WriteGpaOutput>().result == AccessGpaResult::kSuccess);
       GUEST_CHECK(machine::load_u64(kept(child, kWord)) == 0x5A'5A5A);
       return status;
     }},
    {CallCode::kWriteGpa, "a page that is not mapped", Status::kSuccess,
     [] {
       const Status status = write(access_to(make_child(), Gpa(kPlace)));
       GUEST_CHECK(output<hv::WriteGpaOutput>().result == AccessGpaResult::kUnmapped);
       return status;
     }},
    {CallCode::kWriteGpa, "a page that may only be read", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(modify(child.id, hv::kMapRead, {kWord.page()}).status() == Status::kSuccess);
       const std::uint64_t before = machine::load_u64(kept(child, kWord));
       const Status status = write(access_to(child));
       GUEST_CHECK(output<hv::WriteGpaOutput>().result == AccessGpaResult::kWriteIntercept);
       GUEST_CHECK(machine::load_u64(kept(child, kWord)) == before);
       return status;
     }},
    {CallCode::kWriteGpa, "an overlay that nobody writes to", Status::kSuccess,
     [] {
       const Child child = make_child();
       show_overlay(child, Gpn(5));
       const Status status = write(access_to(child));
       GUEST_CHECK(output<hv::WriteGpaOutput>().result == AccessGpaResult::kIllegalOverlayAccess);
       return status;
     }},
    {CallCode::kWriteGpa, "the caller itself", Status::kAccessDenied,
     [] { return with<write>(kToSelf); }},
    {CallCode::kWriteGpa, "a child without the privilege", Status::kAccessDenied,
     [] { return write(by_child()); }, Caller::kChild},
    {CallCode::kWriteGpa, "no partition's id", Status::kInvalidPartitionId,
     [] { return with<write>(kToNobody); }},
    {CallCode::kWriteGpa, "a VP that does not exist", Status::kInvalidVpIndex,
     [] { return with<write>(kVpNine); }},
    {CallCode::kWriteGpa, "no byte", Status::kInvalidParameter,
     [] { return with<write>(kNoBytes); }},
    {CallCode::kWriteGpa, "seventeen bytes", Status::kInvalidParameter,
     [] { return with<write>(kTooMany); }},
    {CallCode::kWriteGpa, "bytes of two pages", Status::kInvalidParameter,
     [] { return with<write>(kCrossing); }},
    {CallCode::kWriteGpa, "a cache type that does not exist", Status::kInvalidParameter,
     [] { return with<write>(kNoCaching); }},
    {CallCode::kWriteGpa, "a finalized partition", Status::kInvalidPartitionState,
     [] { return on_finalized(write); }},
};

using HostAccess = hv::SpaPageHostAccessInput;
constexpr std::uint32_t kHostBoth = HostAccess::kHostRead | HostAccess::kHostWrite;

HypercallResult host_access(CallCode code, const HostAccess& input, const std::vector<Gpn>& pages) {
  return call(HypercallControl(code), input, std::span<const Gpn>(pages));
}
Status acquire(const HostAccess& input, const std::vector<Gpn>& pages) {
  return host_access(CallCode::kAcquireSparseSpaPageHostAccess, input, pages).status();
}
Status release(const HostAccess& input, const std::vector<Gpn>& pages) {
  return host_access(CallCode::kReleaseSparseSpaPageHostAccess, input, pages).status();
}
HostAccess exclusive(PartitionId id) { return {0, HostAccess::kMakeExclusive, id}; }
constexpr HostAccess kShare{kHostBoth, HostAccess::kMakeShared, {}};

constexpr CallCase kHostAccessCases[] = {
    {CallCode::kAcquireSparseSpaPageHostAccess, "pages that were given up, to read and write",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       machine::store_u32(Gpa(kFree), 5);
       GUEST_CHECK(release(exclusive(child.id), {kFree, kSpare}) == Status::kSuccess);
       const Status status = acquire(kShare, {kFree, kSpare});
       GUEST_CHECK(machine::load_u32(Gpa(kFree)) == 5);
       GUEST_CHECK(deposit(child.id, {kSpare}).status() == Status::kSuccess);
       return status;
     }},
    {CallCode::kAcquireSparseSpaPageHostAccess, "a page to read only", Status::kSuccess,
     [] {
       const Status status = acquire({HostAccess::kHostRead, 0, {}}, {kFree});
       GUEST_CHECK(deposit(create(), {kFree}).status() == Status::kOperationDenied);
       return status;
     }},
    {CallCode::kAcquireSparseSpaPageHostAccess, "a large page", Status::kSuccess,
     [] {
       return acquire({kHostBoth, HostAccess::kMakeShared | HostAccess::kLargePage, {}}, {kFree});
     }},
    {CallCode::kAcquireSparseSpaPageHostAccess, "a child without the privilege",
     Status::kAccessDenied, [] { return acquire(kShare, {kFree}); }, Caller::kChild},
    {CallCode::kAcquireSparseSpaPageHostAccess, "no access", Status::kInvalidParameter,
     [] { return acquire({0, HostAccess::kMakeShared, {}}, {kFree}); }},
    {CallCode::kAcquireSparseSpaPageHostAccess, "write without read", Status::kInvalidParameter,
     [] { return acquire({HostAccess::kHostWrite, HostAccess::kMakeShared, {}}, {kFree}); }},
    {CallCode::kAcquireSparseSpaPageHostAccess, "a huge page", Status::kInvalidParameter,
     [] { return acquire({kHostBoth, HostAccess::kHugePage, {}}, {kFree}); }},
    {CallCode::kAcquireSparseSpaPageHostAccess, "a large page in an odd place",
     Status::kInvalidParameter,
     [] { return acquire({kHostBoth, HostAccess::kLargePage, {}}, {kFree + 1}); }},
    {CallCode::kAcquireSparseSpaPageHostAccess, "no partition's id", Status::kInvalidPartitionId,
     [] { return acquire({kHostBoth, 0, kNobody}, {kFree}); }},
    {CallCode::kAcquireSparseSpaPageHostAccess, "a deposited page, as the second",
     Status::kOperationDenied,
     [] {
       static_cast<void>(make_child());
       const auto result = host_access(CallCode::kAcquireSparseSpaPageHostAccess, kShare,
                                       {kFree, Gpn(0x6000), kSpare});
       GUEST_CHECK(result.reps_completed() == 1);
       return result.status();
     }},
    {CallCode::kReleaseSparseSpaPageHostAccess, "pages for a child alone", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(map_one(child.id, kReadWrite) == Status::kSuccess);
       const Status status = release(exclusive(child.id), {kFree});
       GUEST_CHECK(has_rights(child, kPlace, true, true));
       GUEST_CHECK(unmap(child.id, kPlace).status() == Status::kSuccess);
       GUEST_CHECK(deposit(child.id, {kFree}).status() == Status::kOperationDenied);
       return status;
     }},
    {CallCode::kReleaseSparseSpaPageHostAccess, "a child without the privilege",
     Status::kAccessDenied, [] { return release(exclusive(kSelf), {kFree}); }, Caller::kChild},
    {CallCode::kReleaseSparseSpaPageHostAccess, "for nobody's partition",
     Status::kInvalidPartitionId, [] { return release(exclusive(kNobody), {kFree}); }},
    {CallCode::kReleaseSparseSpaPageHostAccess, "access that stays", Status::kInvalidParameter,
     [] { return release({kHostBoth, 0, {}}, {kFree}); }},
    {CallCode::kReleaseSparseSpaPageHostAccess, "shared", Status::kInvalidParameter,
     [] { return release({0, HostAccess::kMakeShared, {}}, {kFree}); }},
    {CallCode::kReleaseSparseSpaPageHostAccess, "a page that does not exist",
     Status::kInvalidParameter, [] { return release({}, {kBeyond}); }},
    {CallCode::kReleaseSparseSpaPageHostAccess, "a deposited page", Status::kOperationDenied,
     [] {
       static_cast<void>(make_child());
       return release({}, {Gpn(0x6000)});
     }},
};

}  // namespace

std::span<const CallCase> gpa_access_call_cases() { return kAccessCases; }
std::span<const CallCase> host_access_call_cases() { return kHostAccessCases; }

}  // namespace interface_test
