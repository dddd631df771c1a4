// MapGpaPages, MapSparseGpaPages, ModifySparseGpaPages and UnmapGpaPages (TLFS "Guest Physical
// Address Spaces").
#include <algorithm>

#include "tests/interface/case_tables.h"
#include "tests/interface/memory_steps.h"

namespace interface_test {
namespace {

using namespace memory;

constexpr std::uint32_t kAll = kReadWrite | hv::kMapExecute;
constexpr std::uint32_t kLarge = hv::kMapLargePage;

/// Maps a page with flags and checks what the child may do with it.
Status map_for(std::uint32_t flags, bool reads, bool writes) {
  const Child child = make_child();
  const Status status = map_one(child.id, flags);
  GUEST_CHECK(has_rights(child, kPlace, reads, writes));
  return status;
}
/// A call that is refused has mapped nothing.
Status refused_map(std::uint32_t flags, Gpn target = kPlace, Gpn source = kFree) {
  const Child child = make_child();
  const Status status = map_one(child.id, flags, target, source);
  GUEST_CHECK(!is_mapped(child, kPlace));
  return status;
}
/// The child sees the same byte everywhere in a page.
Status map_special(std::uint32_t flags, std::byte content) {
  const Child child = make_child();
  const Status status = map_one(child.id, flags);
  const hv::ReadGpaOutput seen = read_gpa(child, machine::Gpa(kPlace) + 4080, 16);
  GUEST_CHECK(std::ranges::all_of(seen.data, [&](std::byte byte) { return byte == content; }));
  GUEST_CHECK(has_rights(child, kPlace, true, false));
  GUEST_CHECK(modify(child.id, kAll, {kPlace}).status() == Status::kInvalidParameter);
  return status;
}
/// The pool runs dry in the midst of a list; the rest is mapped once there is memory.
Status map_without_memory() {
  const Child child = make_child();
  drain(child.id);
  // A table that exists, and one that does not.
  const std::vector<hv::SparseMapping> pairs{{Gpn(5), kFree}, {kPlace, kFree}};
  const auto result = map_sparse(child.id, hv::kMapRead, pairs);
  GUEST_CHECK(result.reps_completed() == 1);
  GUEST_CHECK(map_one(child.id, hv::kMapRead) == Status::kInsufficientMemory);
  GUEST_CHECK(deposit(child.id, {kSpare, kSpare + 1}).status() == Status::kSuccess);
  GUEST_CHECK(map_one(child.id, hv::kMapRead) == Status::kSuccess);
  return result.status();
}
Status map_over_overlay(auto make) {
  const Child child = make_child();
  GUEST_CHECK(map_one(child.id, kReadWrite) == Status::kSuccess);
  show_overlay(child, kPlace);
  return make(child);
}

constexpr CallCase kMapCases[] = {
    {CallCode::kMapGpaPages, "pages to be read, written and executed", Status::kSuccess,
     [] {
       const Child child = make_child();
       const auto result = map(child.id, kPlace, kAll, {kFree + 3, kFree + 1});
       GUEST_CHECK(result.reps_completed() == 2);
       machine::store_u64(machine::Gpa(kFree + 1), 0x1234);
       const std::array<std::byte, 2> seen{std::byte{0x34}, std::byte{0x12}};
       const auto read = read_gpa(child, machine::Gpa(kPlace + 1));
       GUEST_CHECK(std::equal(seen.begin(), seen.end(), read.data.begin()));
       return result.status();
     }},
    {CallCode::kMapGpaPages, "a page to be read only", Status::kSuccess,
     [] { return map_for(hv::kMapRead, true, false); }},
    {CallCode::kMapGpaPages, "execution in the kernel alone, as all callers once asked for it",
     Status::kSuccess, [] { return map_for(hv::kMapRead | hv::kMapKernelExecute, true, false); }},
    {CallCode::kMapGpaPages, "no right at all", Status::kSuccess,
     [] { return map_for(0, false, false); }},
    {CallCode::kMapGpaPages, "no access", Status::kSuccess,
     [] { return map_for(hv::kMapNoAccess, false, false); }},
    {CallCode::kMapGpaPages, "adjustable, and the range left unaccessed", Status::kSuccess,
     [] {
       return map_for(hv::kMapRead | hv::kMapAdjustable | hv::kMapLeaveRangeUnaccessed, true,
                      false);
     }},
    {CallCode::kMapGpaPages, "uncached, as a device's registers", Status::kSuccess,
     [] { return map_for(kReadWrite | hv::kMapUncached, true, true); }},
    {CallCode::kMapGpaPages, "a page of zeros", Status::kSuccess,
     [] { return map_special(hv::kMapZeroPage, std::byte{0}); }},
    {CallCode::kMapGpaPages, "a page of ones, to be read", Status::kSuccess,
     [] { return map_special(hv::kMapOnesPage | hv::kMapRead, std::byte{0xFF}); }},
    {CallCode::kMapGpaPages, "a large page", Status::kSuccess,
     [] {
       const Child child = make_child();
       const auto result = map(child.id, kPlace, kReadWrite | kLarge, {kFree});
       GUEST_CHECK(result.reps_completed() == 1);
       GUEST_CHECK(has_rights(child, kPlace + 511, true, true));
       GUEST_CHECK(!is_mapped(child, kPlace + 512));
       // Part of it with other rights: the rest stays as it was.
       GUEST_CHECK(map_one(child.id, hv::kMapRead, kPlace + 9, kFree + 9) == Status::kSuccess);
       GUEST_CHECK(has_rights(child, kPlace + 9, true, false));
       GUEST_CHECK(has_rights(child, kPlace + 8, true, true));
       // And all of it again.
       GUEST_CHECK(map_one(child.id, hv::kMapRead | kLarge) == Status::kSuccess);
       GUEST_CHECK(has_rights(child, kPlace + 8, true, false));
       return result.status();
     }},
    {CallCode::kMapGpaPages, "over another mapping, which is gone", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(map_one(child.id, kReadWrite, Gpn(7), kFree) == Status::kSuccess);
       machine::store_u64(machine::Gpa(kFree), 77);
       return read_gpa(child, machine::Gpa(Gpn(7))).data[0] == std::byte{77}
                  ? Status::kSuccess
                  : Status::kOperationFailed;
     }},
    {CallCode::kMapGpaPages, "marked as accessed and dirty", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(track(child.id) == Status::kSuccess);
       const Status status = map_one(child.id, kReadWrite | hv::kMapSetAccessed | hv::kMapSetDirty);
       GUEST_CHECK(noted(child, kPlace) == (kAccessed | kDirty));
       return status;
     }},
    {CallCode::kMapGpaPages, "the root's own page to be read only: it may be deposited no more",
     Status::kSuccess,
     [] {
       const Status status = map_one(kSelf, hv::kMapRead, kFree, kFree);
       GUEST_CHECK(machine::load_u32(machine::Gpa(kFree)) == 0);
       const PartitionId child = create();
       GUEST_CHECK(deposit(child, {kFree}).status() == Status::kOperationDenied);
       GUEST_CHECK(map_one(kSelf, kAll, kFree, kFree) == Status::kSuccess);
       GUEST_CHECK(deposit(child, {kFree}).status() == Status::kSuccess);
       return status;
     }},
    {CallCode::kMapGpaPages, "the root's own page in another place", Status::kAccessDenied,
     [] { return map_one(kSelf, kReadWrite, kFree + 1, kFree); }},
    {CallCode::kMapGpaPages, "a page of the hypervisor's, by the root on itself",
     Status::kAccessDenied,
     [] {
       static_cast<void>(make_child());
       return map_one(kSelf, kReadWrite, Gpn(0x6000), Gpn(0x6000));  // deposited
     }},
    {CallCode::kMapGpaPages, "more than rights, by the root on itself", Status::kInvalidParameter,
     [] { return map_one(kSelf, kReadWrite | hv::kMapUncached, kFree, kFree); }},
    {CallCode::kMapGpaPages, "a child without the privilege", Status::kAccessDenied,
     [] { return map_one(kSelf, kReadWrite); }, Caller::kChild},
    {CallCode::kMapGpaPages, "no partition's id", Status::kInvalidPartitionId,
     [] { return map_one(kNobody, kReadWrite); }},
    {CallCode::kMapGpaPages, "no partition's id, and flags that do not exist",
     Status::kInvalidPartitionId, [] { return map_one(kNobody, 1u << 30); }},
    {CallCode::kMapGpaPages, "a flag that does not exist", Status::kInvalidParameter,
     [] { return refused_map(kReadWrite | 1u << 30); }},
    {CallCode::kMapGpaPages, "write without read", Status::kInvalidParameter,
     [] { return refused_map(hv::kMapWrite); }},
    {CallCode::kMapGpaPages, "execute without read", Status::kInvalidParameter,
     [] { return refused_map(hv::kMapExecute); }},
    {CallCode::kMapGpaPages, "execution by users alone", Status::kInvalidParameter,
     [] { return refused_map(hv::kMapRead | hv::kMapUserExecute); }},
    {CallCode::kMapGpaPages, "no access, and rights", Status::kInvalidParameter,
     [] { return refused_map(hv::kMapNoAccess | hv::kMapRead); }},
    {CallCode::kMapGpaPages, "a page of zeros to be written", Status::kInvalidParameter,
     [] { return refused_map(hv::kMapZeroPage | kReadWrite); }},
    {CallCode::kMapGpaPages, "a large page of ones", Status::kInvalidParameter,
     [] { return refused_map(hv::kMapOnesPage | kLarge); }},
    {CallCode::kMapGpaPages, "dirty both set and cleared", Status::kInvalidParameter,
     [] { return refused_map(kReadWrite | hv::kMapSetDirty | hv::kMapClearDirty); }},
    {CallCode::kMapGpaPages, "a page beyond the space", Status::kInvalidParameter,
     [] { return refused_map(kReadWrite, kBeyond); }},
    {CallCode::kMapGpaPages, "the last page number, whose successor would be 0",
     Status::kInvalidParameter,
     [] {
       const Child child = make_child();
       const auto result = map(child.id, Gpn(~0ull), hv::kMapRead, {kFree, kFree});
       GUEST_CHECK(result.reps_completed() == 0 && has_rights(child, Gpn(0), true, true));
       return result.status();
     }},
    {CallCode::kMapGpaPages, "a large page in an odd place", Status::kInvalidParameter,
     [] { return refused_map(kReadWrite | kLarge, kPlace + 1); }},
    {CallCode::kMapGpaPages, "a large page from an odd place", Status::kInvalidParameter,
     [] { return refused_map(kReadWrite | kLarge, kPlace, kFree + 1); }},
    {CallCode::kMapGpaPages, "a large page where RAM ends and devices begin",
     Status::kOperationDenied,
     [] { return refused_map(kReadWrite | kLarge, kPlace, Gpn(0xFEE00)); }},
    {CallCode::kMapGpaPages, "a large page of RAM, of nothing and of devices",
     Status::kOperationDenied, [] { return refused_map(kReadWrite | kLarge, kPlace, Gpn(0)); }},
    {CallCode::kMapGpaPages, "a large page whose first page is deposited", Status::kOperationDenied,
     [] {
       const Child child = make_child();
       GUEST_CHECK(deposit(child.id, {kFree}).status() == Status::kSuccess);
       const Status status = map_one(child.id, kReadWrite | kLarge);
       GUEST_CHECK(!is_mapped(child, kPlace) && !is_mapped(child, kPlace + 1));
       return status;
     }},
    {CallCode::kMapGpaPages, "a source that is deposited, as the second of three",
     Status::kOperationDenied,
     [] {
       const Child child = make_child();
       const auto result = map(child.id, kPlace, kReadWrite, {kFree, Gpn(0x6000), kFree});
       GUEST_CHECK(result.reps_completed() == 1 && is_mapped(child, kPlace));
       GUEST_CHECK(!is_mapped(child, kPlace + 1) && !is_mapped(child, kPlace + 2));
       return result.status();
     }},
    {CallCode::kMapGpaPages, "a source that does not exist", Status::kOperationDenied,
     [] { return refused_map(kReadWrite, kPlace, kBeyond); }},
    {CallCode::kMapGpaPages, "into a partition that is not initialized",
     Status::kInvalidPartitionState, [] { return map_one(create(), kReadWrite); }},
    {CallCode::kMapGpaPages, "into a finalized partition", Status::kInvalidPartitionState,
     [] { return map_one(finalized(), kReadWrite); }},
    {CallCode::kMapGpaPages, "a pool that is dry", Status::kInsufficientMemory,
     [] {
       const Child child = make_child();
       drain(child.id);
       const Status status = map_one(child.id, kReadWrite);
       GUEST_CHECK(!is_mapped(child, kPlace));
       return status;
     }},
    {CallCode::kMapGpaPages, "not to be overlaid, where an overlay is", Status::kObjectInUse,
     [] {
       return map_over_overlay(
           [](const Child& child) { return map_one(child.id, hv::kMapRead | hv::kMapNoOverlay); });
     }},
    {CallCode::kMapGpaPages, "beneath an overlay, which stays in sight", Status::kSuccess,
     [] {
       return map_over_overlay([](const Child& child) {
         const Status status = map_one(child.id, 0);
         GUEST_CHECK(has_rights(child, kPlace, true, false));
         return status;
       });
     }},

    {CallCode::kMapSparseGpaPages, "two pages far apart", Status::kSuccess,
     [] {
       const Child child = make_child();
       const std::vector<hv::SparseMapping> pairs{{kPlace + 1000, kFree}, {kPlace, kFree + 1}};
       const auto result = map_sparse(child.id, hv::kMapRead, pairs);
       GUEST_CHECK(result.reps_completed() == 2);
       GUEST_CHECK(has_rights(child, kPlace, true, false) && !is_mapped(child, kPlace + 1));
       GUEST_CHECK(has_rights(child, kPlace + 1000, true, false));
       return result.status();
     }},
    {CallCode::kMapSparseGpaPages, "a large page", Status::kSuccess,
     [] {
       const Child child = make_child();
       const Status status = map_sparse(child.id, kReadWrite | kLarge, {{kPlace, kFree}}).status();
       GUEST_CHECK(has_rights(child, kPlace + 511, true, true));
       return status;
     }},
    {CallCode::kMapSparseGpaPages, "the root's own page, its rights", Status::kSuccess,
     [] {
       const Status status = map_sparse(kSelf, hv::kMapRead, {{kFree, kFree}}).status();
       GUEST_CHECK(map_sparse(kSelf, kAll, {{kFree, kFree}}).status() == Status::kSuccess);
       machine::store_u32(machine::Gpa(kFree), 1);
       return status;
     }},
    {CallCode::kMapSparseGpaPages, "the root's own page elsewhere", Status::kAccessDenied,
     [] { return map_sparse(kSelf, kAll, {{kFree, kFree + 1}}).status(); }},
    {CallCode::kMapSparseGpaPages, "a child without the privilege", Status::kAccessDenied,
     [] { return map_sparse(kSelf, kAll, {{kPlace, kFree}}).status(); }, Caller::kChild},
    {CallCode::kMapSparseGpaPages, "no partition's id", Status::kInvalidPartitionId,
     [] { return map_sparse(kNobody, kAll, {{kPlace, kFree}}).status(); }},
    {CallCode::kMapSparseGpaPages, "write without read", Status::kInvalidParameter,
     [] { return map_sparse(make_child().id, hv::kMapWrite, {{kPlace, kFree}}).status(); }},
    {CallCode::kMapSparseGpaPages, "a page beyond the space", Status::kInvalidParameter,
     [] { return map_sparse(make_child().id, hv::kMapRead, {{kBeyond, kFree}}).status(); }},
    {CallCode::kMapSparseGpaPages, "a large page in an odd place", Status::kInvalidParameter,
     [] {
       return map_sparse(make_child().id, hv::kMapRead | kLarge, {{kPlace + 1, kFree}}).status();
     }},
    {CallCode::kMapSparseGpaPages, "a source that is deposited", Status::kOperationDenied,
     [] { return map_sparse(make_child().id, hv::kMapRead, {{kPlace, Gpn(0x6000)}}).status(); }},
    {CallCode::kMapSparseGpaPages, "into a finalized partition", Status::kInvalidPartitionState,
     [] { return map_sparse(finalized(), hv::kMapRead, {{kPlace, kFree}}).status(); }},
    {CallCode::kMapSparseGpaPages, "a pool that runs dry in the midst of the list",
     Status::kInsufficientMemory, [] { return map_without_memory(); }},
    {CallCode::kMapSparseGpaPages, "not to be overlaid, where an overlay is", Status::kObjectInUse,
     [] {
       return map_over_overlay([](const Child& child) {
         return map_sparse(child.id, hv::kMapRead | hv::kMapNoOverlay, {{kPlace, kFree}}).status();
       });
     }},
};

Status modify_one(std::uint32_t flags, Gpn page = Gpn(5)) {
  return modify(make_child().id, flags, {page}).status();
}

constexpr CallCase kModifyCases[] = {
    {CallCode::kModifySparseGpaPages, "fewer rights, and all again", Status::kSuccess,
     [] {
       const Child child = make_child();
       const auto result = modify(child.id, hv::kMapRead, {Gpn(5), Gpn(700)});
       GUEST_CHECK(result.reps_completed() == 2);
       GUEST_CHECK(has_rights(child, Gpn(5), true, false));
       GUEST_CHECK(has_rights(child, Gpn(700), true, false));
       GUEST_CHECK(has_rights(child, Gpn(6), true, true));
       GUEST_CHECK(modify(child.id, hv::kMapNoAccess, {Gpn(5)}).status() == Status::kSuccess);
       GUEST_CHECK(has_rights(child, Gpn(5), false, false) && is_mapped(child, Gpn(5)));
       GUEST_CHECK(modify(child.id, kAll, {Gpn(5)}).status() == Status::kSuccess);
       GUEST_CHECK(has_rights(child, Gpn(5), true, true));
       return result.status();
     }},
    {CallCode::kModifySparseGpaPages, "a large page as a whole", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(map_one(child.id, kReadWrite | kLarge) == Status::kSuccess);
       drain(child.id);  // no table is needed
       const Status status = modify(child.id, hv::kMapRead | kLarge, {kPlace}).status();
       GUEST_CHECK(has_rights(child, kPlace + 300, true, false));
       return status;
     }},
    {CallCode::kModifySparseGpaPages, "512 small pages as one large", Status::kSuccess,
     [] {
       const Child child = make_child();
       const Status status = modify(child.id, hv::kMapRead | kLarge, {Gpn(512)}).status();
       GUEST_CHECK(has_rights(child, Gpn(1023), true, false));
       GUEST_CHECK(has_rights(child, Gpn(1024), true, true));
       return status;
     }},
    {CallCode::kModifySparseGpaPages, "what is noted of a page is forgotten", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(track(child.id) == Status::kSuccess);
       GUEST_CHECK(write_gpa(child, machine::Gpa(Gpn(5))) == hv::AccessGpaResult::kSuccess);
       GUEST_CHECK(noted(child, Gpn(5)) == (kAccessed | kDirty));
       const Status status = modify(child.id, kAll | hv::kMapClearDirty, {Gpn(5)}).status();
       GUEST_CHECK(noted(child, Gpn(5)) == kAccessed);
       return status;
     }},
    {CallCode::kModifySparseGpaPages, "the root's own page", Status::kSuccess,
     [] {
       const Status status = modify(kSelf, hv::kMapRead, {kFree}).status();
       GUEST_CHECK(modify(kSelf, kAll, {kFree}).status() == Status::kSuccess);
       machine::store_u32(machine::Gpa(kFree), 1);
       return status;
     }},
    {CallCode::kModifySparseGpaPages, "a child without the privilege", Status::kAccessDenied,
     [] { return modify(kSelf, kAll, {Gpn(5)}).status(); }, Caller::kChild},
    {CallCode::kModifySparseGpaPages, "no partition's id", Status::kInvalidPartitionId,
     [] { return modify(kNobody, kAll, {Gpn(5)}).status(); }},
    {CallCode::kModifySparseGpaPages, "write without read", Status::kInvalidParameter,
     [] { return modify_one(hv::kMapWrite); }},
    {CallCode::kModifySparseGpaPages, "another caching", Status::kInvalidParameter,
     [] { return modify_one(kAll | hv::kMapUncached); }},
    {CallCode::kModifySparseGpaPages, "a page of zeros", Status::kInvalidParameter,
     [] { return modify_one(hv::kMapZeroPage); }},
    {CallCode::kModifySparseGpaPages, "a page beyond the space", Status::kInvalidParameter,
     [] { return modify_one(kAll, kBeyond); }},
    {CallCode::kModifySparseGpaPages, "a large page in an odd place", Status::kInvalidParameter,
     [] { return modify_one(kAll | kLarge); }},
    {CallCode::kModifySparseGpaPages, "a page that is not mapped, as the second",
     Status::kOperationDenied,
     [] {
       const Child child = make_child();
       const auto result = modify(child.id, hv::kMapRead, {Gpn(5), kPlace, Gpn(6)});
       GUEST_CHECK(result.reps_completed() == 1 && has_rights(child, Gpn(6), true, true));
       return result.status();
     }},
    {CallCode::kModifySparseGpaPages, "a large page of which one page is not mapped",
     Status::kOperationDenied,
     [] {
       const Child child = make_child();
       GUEST_CHECK(unmap(child.id, Gpn(600)).status() == Status::kSuccess);
       const Status status = modify(child.id, hv::kMapRead | kLarge, {Gpn(512)}).status();
       GUEST_CHECK(has_rights(child, Gpn(512), true, true));
       return status;
     }},
    {CallCode::kModifySparseGpaPages, "a finalized partition", Status::kInvalidPartitionState,
     [] { return modify(finalized(), kAll, {Gpn(5)}).status(); }},
    {CallCode::kModifySparseGpaPages, "part of a large page, and no memory for a table",
     Status::kInsufficientMemory,
     [] {
       const Child child = make_child();
       GUEST_CHECK(map_one(child.id, kReadWrite | kLarge) == Status::kSuccess);
       drain(child.id);
       const Status status = modify(child.id, hv::kMapRead, {kPlace + 5}).status();
       GUEST_CHECK(has_rights(child, kPlace + 5, true, true));
       return status;
     }},

    {CallCode::kUnmapGpaPages, "three pages", Status::kSuccess,
     [] {
       const Child child = make_child();
       const auto result = unmap(child.id, Gpn(5), 0, 3);
       GUEST_CHECK(result.reps_completed() == 3 && !is_mapped(child, Gpn(7)));
       GUEST_CHECK(is_mapped(child, Gpn(4)) && is_mapped(child, Gpn(8)));
       return result.status();
     }},
    {CallCode::kUnmapGpaPages, "a page that is not mapped", Status::kSuccess,
     [] { return unmap(make_child().id, kPlace).status(); }},
    {CallCode::kUnmapGpaPages, "a page beneath an overlay, which stays", Status::kSuccess,
     [] {
       return map_over_overlay([](const Child& child) {
         const Status status = unmap(child.id, kPlace).status();
         GUEST_CHECK(has_rights(child, kPlace, true, false));
         child_maker::set_register(child, 0, hv::RegisterName::kReferenceTsc, 0);
         GUEST_CHECK(!is_mapped(child, kPlace));
         return status;
       });
     }},
    {CallCode::kUnmapGpaPages, "keeping what was committed", Status::kSuccess,
     [] {
       const Child child = make_child();
       const Status status = unmap(child.id, Gpn(5), hv::kUnmapKeepPrecommitted).status();
       GUEST_CHECK(!is_mapped(child, Gpn(5)));
       return status;
     }},
    {CallCode::kUnmapGpaPages, "two large pages, one of them in small ones", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(map_one(child.id, kReadWrite | kLarge, Gpn(512)) == Status::kSuccess);
       const auto result = unmap(child.id, Gpn(512), hv::kUnmapLargePage, 2);
       GUEST_CHECK(result.reps_completed() == 2 && !is_mapped(child, Gpn(1535)));
       GUEST_CHECK(is_mapped(child, Gpn(511)) && is_mapped(child, Gpn(1536)));
       return result.status();
     }},
    {CallCode::kUnmapGpaPages, "part of a large page", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(map_one(child.id, kReadWrite | kLarge) == Status::kSuccess);
       const Status status = unmap(child.id, kPlace + 5).status();
       GUEST_CHECK(!is_mapped(child, kPlace + 5) && is_mapped(child, kPlace + 6));
       return status;
     }},
    {CallCode::kUnmapGpaPages, "the root itself", Status::kAccessDenied,
     [] { return unmap(kSelf, kFree).status(); }},
    {CallCode::kUnmapGpaPages, "a child without the privilege", Status::kAccessDenied,
     [] { return unmap(kSelf, Gpn(5)).status(); }, Caller::kChild},
    {CallCode::kUnmapGpaPages, "no partition's id", Status::kInvalidPartitionId,
     [] { return unmap(kNobody, Gpn(5)).status(); }},
    {CallCode::kUnmapGpaPages, "a flag that does not exist", Status::kInvalidParameter,
     [] { return unmap(make_child().id, Gpn(5), 4).status(); }},
    {CallCode::kUnmapGpaPages, "pages that end beyond the space", Status::kInvalidParameter,
     [] { return unmap(make_child().id, kBeyond).status(); }},
    {CallCode::kUnmapGpaPages, "the last page number, whose successor would be 0",
     Status::kInvalidParameter,
     [] {
       const Child child = make_child();
       const auto result = unmap(child.id, Gpn(~0ull), 0, 2);
       GUEST_CHECK(result.reps_completed() == 0 && is_mapped(child, Gpn(0)));
       return result.status();
     }},
    {CallCode::kUnmapGpaPages, "a large page in an odd place", Status::kInvalidParameter,
     [] { return unmap(make_child().id, Gpn(5), hv::kUnmapLargePage).status(); }},
    {CallCode::kUnmapGpaPages, "a finalized partition", Status::kInvalidPartitionState,
     [] { return unmap(finalized(), Gpn(5)).status(); }},
    {CallCode::kUnmapGpaPages, "part of a large page, and no memory for a table",
     Status::kInsufficientMemory,
     [] {
       const Child child = make_child();
       GUEST_CHECK(map_one(child.id, kReadWrite | kLarge) == Status::kSuccess);
       drain(child.id);
       const Status status = unmap(child.id, kPlace + 5).status();
       GUEST_CHECK(is_mapped(child, kPlace + 5));
       return status;
     }},
};

}  // namespace

std::span<const CallCase> map_call_cases() { return kMapCases; }
std::span<const CallCase> modify_call_cases() { return kModifyCases; }

}  // namespace interface_test
