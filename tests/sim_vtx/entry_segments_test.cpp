// SDM vol. 3 26.3.1.2.
#include <catch2/catch.hpp>

#include "tests/sim_vtx/broken_state.h"

using namespace sim_vtx_test;
using P = TestProcessor&;

namespace {

enum Segment : std::uint32_t { kEs, kCs, kSs, kDs, kFs, kGs, kLdtr, kTr };

constexpr std::uint32_t kPresent = 1u << 7;
constexpr std::uint32_t kCodeOrData = 1u << 4;
constexpr std::uint64_t kNotCanonical = 0x0000'8000'0000'0000;
constexpr std::uint32_t kLdtRights = 0x82;

template <Segment segment>
void selector(P p, std::uint32_t value) {
  p.write(0x0800 + 2 * segment, value);
}
template <Segment segment>
void limit(P p, std::uint32_t value) {
  p.write(0x4800 + 2 * segment, value);
}
template <Segment segment>
void rights(P p, std::uint32_t value) {
  p.write(0x4814 + 2 * segment, value);
}
template <Segment segment>
void base(P p, std::uint64_t value) {
  p.write(0x6806 + 2 * segment, value);
}

template <Segment segment>
constexpr std::uint32_t kGood = segment == kCs     ? kCodeRights
                                : segment == kTr   ? kTssRights
                                : segment == kLdtr ? kLdtRights
                                                   : kDataRights;

template <Segment segment>
void base_too_high(P p) {
  rights<segment>(p, kGood<segment>);
  base<segment>(p, std::uint64_t{1} << 32);
}
template <Segment segment>
void base_not_canonical(P p) {
  rights<segment>(p, kGood<segment>);
  base<segment>(p, kNotCanonical);
}
template <Segment segment>
void no_virtual_8086_rights(P p) {
  p.make_virtual_8086();
  rights<segment>(p, 0x93);
}
template <Segment segment>
void no_virtual_8086_limit(P p) {
  p.make_virtual_8086();
  limit<segment>(p, 0xF'FFFF);
}
template <Segment segment>
void not_accessed(P p) {
  rights<segment>(p, kGood<segment> & ~1u);
}
template <Segment segment>
void system_segment(P p) {
  rights<segment>(p, kGood<segment> & ~kCodeOrData);
}
template <Segment segment>
void dpl_below_rpl(P p) {
  selector<segment>(p, 0x13);
}
template <Segment segment>
void not_present(P p) {
  rights<segment>(p, kGood<segment> & ~kPresent);
}
template <Segment segment>
void reserved_right(P p) {
  rights<segment>(p, kGood<segment> | (1u << 8));
}
template <Segment segment>
void pages_with_odd_limit(P p) {
  rights<segment>(p, kGood<segment> | (1u << 15));
  limit<segment>(p, 0x1000);
}
template <Segment segment>
void bytes_with_long_limit(P p) {
  rights<segment>(p, kGood<segment> & ~(1u << 15));
  limit<segment>(p, 0x10'0000);
}

}  // namespace

TEST_CASE("each check on guest segments refuses what it is there to refuse", "[vtx][entry]") {
  static constexpr auto kRows = std::to_array<Broken>({
      {"TR selects from the GDT", [](P p) { selector<kTr>(p, 0x1C); }},
      {"LDTR selects from the GDT",
       [](P p) {
         rights<kLdtr>(p, kLdtRights);
         selector<kLdtr>(p, 0x14);
       }},
      {"SS has the RPL of CS", [](P p) { selector<kCs>(p, 0x0B); }},
      {"CS base fits", base_too_high<kCs>},
      {"SS base fits", base_too_high<kSs>},
      {"DS base fits", base_too_high<kDs>},
      {"ES base fits", base_too_high<kEs>},
      {"ES base fits",
       [](P p) {
         p.make_virtual_8086();
         base<kEs>(p, 0x1'0010);
       }},
      {"FS base fits", base_not_canonical<kFs>},
      {"GS base fits", base_not_canonical<kGs>},
      {"TR base is canonical", base_not_canonical<kTr>},
      {"LDTR base is canonical", base_not_canonical<kLdtr>},
      {"CS has the shape of virtual-8086 mode", no_virtual_8086_rights<kCs>},
      {"SS has the shape of virtual-8086 mode", no_virtual_8086_limit<kSs>},
      {"DS has the shape of virtual-8086 mode", no_virtual_8086_rights<kDs>},
      {"ES has the shape of virtual-8086 mode", no_virtual_8086_limit<kEs>},
      {"FS has the shape of virtual-8086 mode", no_virtual_8086_rights<kFs>},
      {"GS has the shape of virtual-8086 mode", no_virtual_8086_limit<kGs>},
      {"CS is accessed code", not_accessed<kCs>},
      {"CS is accessed code", [](P p) { rights<kCs>(p, 0xA093); }},
      {"SS is accessed writable data", not_accessed<kSs>},
      {"SS is accessed writable data", [](P p) { rights<kSs>(p, 0xC091); }},
      {"DS is accessed and readable", not_accessed<kDs>},
      {"DS is accessed and readable", [](P p) { rights<kDs>(p, 0xC099); }},
      {"ES is accessed and readable", not_accessed<kEs>},
      {"FS is accessed and readable", not_accessed<kFs>},
      {"GS is accessed and readable", not_accessed<kGs>},
      {"CS is a code or data segment", system_segment<kCs>},
      {"SS is a code or data segment", system_segment<kSs>},
      {"DS is a code or data segment", system_segment<kDs>},
      {"ES is a code or data segment", system_segment<kEs>},
      {"FS is a code or data segment", system_segment<kFs>},
      {"GS is a code or data segment", system_segment<kGs>},
      {"CS DPL fits SS DPL", [](P p) { rights<kCs>(p, kCodeRights | (1u << 5)); }},
      {"CS DPL fits SS DPL",  // conforming: at most the DPL of SS
       [](P p) { rights<kCs>(p, 0xA09F | (1u << 5)); }},
      {"SS DPL is its RPL",  // SS.RPL = CS.RPL = 0, CS is conforming
       [](P p) {
         rights<kCs>(p, 0xA09F);
         rights<kSs>(p, kDataRights | (3u << 5));
       }},
      {"SS DPL is its RPL",
       [](P p) {
         p.make_unrestricted_real_mode();
         rights<kSs>(p, 0x93 | (1u << 5));
         rights<kCs>(p, 0x9B | (1u << 5));
       }},
      {"DS DPL is at least its RPL", dpl_below_rpl<kDs>},
      {"ES DPL is at least its RPL", dpl_below_rpl<kEs>},
      {"FS DPL is at least its RPL", dpl_below_rpl<kFs>},
      {"GS DPL is at least its RPL", dpl_below_rpl<kGs>},
      {"CS is present", not_present<kCs>},
      {"SS is present", not_present<kSs>},
      {"DS is present", not_present<kDs>},
      {"ES is present", not_present<kEs>},
      {"FS is present", not_present<kFs>},
      {"GS is present", not_present<kGs>},
      {"CS access rights have their reserved bits clear", reserved_right<kCs>},
      {"SS access rights have their reserved bits clear", reserved_right<kSs>},
      {"DS access rights have their reserved bits clear", reserved_right<kDs>},
      {"ES access rights have their reserved bits clear", reserved_right<kEs>},
      {"FS access rights have their reserved bits clear", reserved_right<kFs>},
      {"GS access rights have their reserved bits clear",
       [](P p) { rights<kGs>(p, kDataRights | (1u << 17)); }},
      {"CS is 64-bit or 32-bit, not both", [](P p) { rights<kCs>(p, kCodeRights | (1u << 14)); }},
      {"CS granularity fits its limit", pages_with_odd_limit<kCs>},
      {"CS granularity fits its limit", bytes_with_long_limit<kCs>},
      {"SS granularity fits its limit", pages_with_odd_limit<kSs>},
      {"DS granularity fits its limit", bytes_with_long_limit<kDs>},
      {"ES granularity fits its limit", pages_with_odd_limit<kEs>},
      {"FS granularity fits its limit", bytes_with_long_limit<kFs>},
      {"GS granularity fits its limit", pages_with_odd_limit<kGs>},
      {"TR is usable", [](P p) { rights<kTr>(p, kTssRights | kUnusable); }},
      {"TR is a busy TSS", [](P p) { rights<kTr>(p, 0x89); }},
      {"TR is a busy TSS", [](P p) { rights<kTr>(p, 0x83); }},
      {"TR is a system segment", [](P p) { rights<kTr>(p, kTssRights | kCodeOrData); }},
      {"TR is present", not_present<kTr>},
      {"TR access rights have their reserved bits clear", reserved_right<kTr>},
      {"TR granularity fits its limit", pages_with_odd_limit<kTr>},
      {"LDTR is an LDT", [](P p) { rights<kLdtr>(p, 0x83); }},
      {"LDTR is a system segment", [](P p) { rights<kLdtr>(p, kLdtRights | kCodeOrData); }},
      {"LDTR is present", not_present<kLdtr>},
      {"LDTR access rights have their reserved bits clear", reserved_right<kLdtr>},
      {"LDTR granularity fits its limit", bytes_with_long_limit<kLdtr>},
  });
  require_refusals(CheckGroup::kGuestSegments, kRows);
}

TEST_CASE("unusable data segments have no rules but those on their bases", "[vtx][entry]") {
  TestProcessor p;
  rights<kDs>(p, kUnusable);
  rights<kEs>(p, kUnusable);
  rights<kFs>(p, kUnusable);
  rights<kGs>(p, kUnusable);
  limit<kDs>(p, 0x1234);
  base<kDs>(p, kNotCanonical);
  selector<kDs>(p, 3);
  base<kGs>(p, 0xFFFF'8000'0000'0000);
  CHECK(p.launch().outcome == EntryOutcome::kEntered);
}

TEST_CASE("an unrestricted guest may run with what a restricted one may not", "[vtx][entry]") {
  TestProcessor p;
  p.make_unrestricted_real_mode();
  rights<kCs>(p, 0x93);  // data as code, as after reset
  selector<kDs>(p, 0x13);
  CHECK(p.launch().outcome == EntryOutcome::kEntered);
}
