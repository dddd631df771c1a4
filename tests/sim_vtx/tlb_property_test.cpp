// The TLB against the EPT that a hypervisor writes, over random histories: a translation is one
// that the EPT held at some time since the last invalidation that covers it, and after INVEPT the
// current one only.
#include <rapidcheck.h>
#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <vector>

#include "tests/sim_vtx/ept_builder.h"

using namespace sim_vtx_test;

namespace {

constexpr std::uint64_t kPage = machine::kPageSize;
constexpr std::uint64_t kFirstGpa = 0x60'0000;  // 2 MiB aligned
constexpr std::uint64_t kGpas = 6;
constexpr std::array<std::uint64_t, 2> kRoots = {0x10'0000, 0x20'0000};
constexpr std::uint16_t kVpids = 3;

constexpr std::uint64_t eptp_of(std::size_t tables) {
  return kRoots[tables] | vmx::kEptpWalkLength4 | vmx::kMemoryTypeWriteBack;
}

/// What an EPT entry says of a page: where, with which rights. Rights 0 is not present.
struct Mapping {
  std::uint64_t spa = 0;
  std::uint64_t rights = 0;
  auto operator<=>(const Mapping&) const = default;
};

/// The system under test and what it may answer.
class Model {
 public:
  Model() {
    for (auto& tables : current_) {
      tables.fill(Mapping{});
    }
    allowed_ = {};
    for (std::size_t tables = 0; tables < kRoots.size(); ++tables) {
      forget(tables);
    }
    p_.write(Vmcs64::kEptPointer, eptp_of(0));
    RC_ASSERT(p_.launch().outcome == EntryOutcome::kEntered);
  }

  void map(std::size_t tables, std::uint64_t page, Mapping mapping) {
    EptBuilder& ept = builders_[tables];
    if (mapping.rights == 0) {
      ept.unmap(kFirstGpa + page * kPage);
    } else {
      ept.map(kFirstGpa + page * kPage, mapping.spa, mapping.rights);
    }
    current_[tables][page] = mapping;
    allowed_[tables][page].insert(mapping);
  }

  void invept(std::size_t tables) {
    RC_ASSERT(p_.cpu.invept(1, eptp_of(tables)) == VmxResult::kSucceed);
    forget(tables);
  }

  void invept_all() {
    RC_ASSERT(p_.cpu.invept(2, 0) == VmxResult::kSucceed);
    forget(0);
    forget(1);
  }

  /// None of these may be relied upon to drop a guest-physical mapping, and none may invent one.
  void disturb(int what, std::uint16_t vpid, std::uint64_t page) {
    switch (what) {
      case 0:
        (void)p_.cpu.invvpid(0, vpid, kFirstGpa + page * kPage);
        break;
      case 1:
        (void)p_.cpu.invvpid(1, vpid, 0);
        break;
      case 2:
        (void)p_.cpu.invvpid(2, 0, 0);
        break;
      case 3:
        p_.cpu.drop_linear(kFirstGpa + page * kPage);
        break;
      default:
        (void)p_.cpu.write_cr(3, page * kPage);
        break;
    }
  }

  void switch_to(std::size_t tables, std::uint16_t vpid) {
    p_.cpu.exit({.reason = ExitReason::kHlt}, 0);
    p_.write(Vmcs16::kVpid, vpid);
    p_.write(Vmcs64::kEptPointer, eptp_of(tables));
    RC_ASSERT(p_.resume().outcome == EntryOutcome::kEntered);
    tables_ = tables;
  }

  void access(std::uint64_t page, Access access) {
    const std::uint64_t gpa = kFirstGpa + page * kPage + 8;
    const auto result = p_.cpu.translate(Gpa(gpa), access);
    const std::set<Mapping>& allowed = allowed_[tables_][page];
    const auto wanted = static_cast<std::uint64_t>(access);
    bool explained = false;
    for (const Mapping& mapping : allowed) {
      const bool granted = (mapping.rights & wanted) == wanted;
      if (result) {
        explained |= granted && result->value() == mapping.spa + 8;
      } else {
        explained |= !granted && result.error().reason == ExitReason::kEptViolation &&
                     ((result.error().qualification >> 3) & 7) == mapping.rights;
      }
    }
    RC_ASSERT(explained);
  }

 private:
  void forget(std::size_t tables) {
    for (std::uint64_t page = 0; page < kGpas; ++page) {
      allowed_[tables][page] = {current_[tables][page]};
    }
  }

  TestProcessor p_;
  std::array<EptBuilder, 2> builders_ = {EptBuilder(p_.platform, kRoots[0]),
                                         EptBuilder(p_.platform, kRoots[1])};
  std::array<std::array<Mapping, kGpas>, 2> current_{};
  std::array<std::array<std::set<Mapping>, kGpas>, 2> allowed_{};
  std::size_t tables_ = 0;
};

Mapping draw_mapping() {
  const auto rights = *rc::gen::element<std::uint64_t>(0, 1, 3, 5, 7);
  const auto frame = *rc::gen::inRange<std::uint64_t>(0x300, 0x308);
  return rights == 0 ? Mapping{} : Mapping{.spa = frame * kPage, .rights = rights};
}

void step(Model& model) {
  const auto tables = *rc::gen::inRange<std::size_t>(0, kRoots.size());
  const auto page = *rc::gen::inRange<std::uint64_t>(0, kGpas);
  const auto vpid = *rc::gen::inRange<std::uint16_t>(1, kVpids + 1);
  switch (*rc::gen::weightedElement<int>({{6, 0}, {1, 1}, {1, 2}, {2, 3}, {2, 4}, {12, 5}})) {
    case 0:
      model.map(tables, page, draw_mapping());
      break;
    case 1:
      model.invept(tables);
      break;
    case 2:
      model.invept_all();
      break;
    case 3:
      model.disturb(*rc::gen::inRange(0, 5), vpid, page);
      break;
    case 4:
      model.switch_to(tables, vpid);
      break;
    default:
      model.access(page, *rc::gen::element(Access::kRead, Access::kWrite, Access::kReadWrite,
                                           Access::kFetch));
      break;
  }
}

}  // namespace

TEST_CASE("a translation is one that was valid since the last INVEPT", "[vtx][tlb][property]") {
  const bool holds = rc::check([] {
    Model model;
    const int steps = *rc::gen::inRange(1, 120);
    for (int i = 0; i < steps; ++i) {
      step(model);
    }
  });
  CHECK(holds);
}

TEST_CASE("right after INVEPT every page is translated as the EPT now says",
          "[vtx][tlb][property]") {
  const bool holds = rc::check([] {
    Model model;
    const int steps = *rc::gen::inRange(1, 60);
    for (int i = 0; i < steps; ++i) {
      step(model);
    }
    for (std::size_t tables = 0; tables < kRoots.size(); ++tables) {
      model.switch_to(tables, 1);
      model.invept(tables);
      for (std::uint64_t page = 0; page < kGpas; ++page) {
        model.access(page, Access::kRead);
      }
    }
  });
  CHECK(holds);
}

TEST_CASE("the TLB is a map with invalidation, whatever its size", "[vtx][tlb][property]") {
  // Against a plain map: a hit is what was last inserted and not dropped since. With a roomy bound
  // nothing else is ever lost.
  const bool holds = rc::check([] {
    Tlb tlb;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> physical;
    std::map<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>, std::uint64_t> combined;
    std::uint16_t vpid = 0;
    std::uint64_t ep4ta = 0;
    tlb.use(0, 0);
    const int steps = *rc::gen::inRange(1, 400);
    for (int i = 0; i < steps; ++i) {
      const auto page = *rc::gen::inRange<std::uint64_t>(0, 40);
      const auto frame = *rc::gen::inRange<std::uint64_t>(0, 1000);
      switch (*rc::gen::weightedElement<int>(
          {{3, 0}, {8, 1}, {8, 2}, {1, 3}, {1, 4}, {1, 5}, {1, 6}, {1, 7}, {2, 8}})) {
        case 0:
          vpid = *rc::gen::inRange<std::uint16_t>(0, 3);
          ep4ta = *rc::gen::inRange<std::uint64_t>(0, 3);
          tlb.use(vpid, ep4ta);
          break;
        case 1:
          tlb.add_physical(page, {.frame = frame, .rights = 7, .level = 0});
          physical[{ep4ta, page}] = frame;
          break;
        case 2:
          tlb.add_combined(page, {.frame = frame, .rights = 7, .level = 0});
          combined[{vpid, ep4ta, page}] = frame;
          break;
        case 3:
          tlb.drop_ep4ta(ep4ta);
          std::erase_if(physical, [&](const auto& e) { return e.first.first == ep4ta; });
          std::erase_if(combined, [&](const auto& e) { return std::get<1>(e.first) == ep4ta; });
          break;
        case 4:
          tlb.drop_vpid(vpid);
          std::erase_if(combined, [&](const auto& e) { return std::get<0>(e.first) == vpid; });
          break;
        case 5:
          tlb.drop_all_vpids();
          std::erase_if(combined, [&](const auto& e) { return std::get<0>(e.first) != 0; });
          break;
        case 6:
          tlb.drop_linear(vpid, page);
          std::erase_if(combined, [&](const auto& e) {
            return std::get<0>(e.first) == vpid && std::get<2>(e.first) == page;
          });
          break;
        case 7:
          tlb.drop_everything();
          physical.clear();
          combined.clear();
          break;
        default:
          tlb.drop_after_violation(page, frame % 2 == 0);
          physical.erase({ep4ta, page});
          if (frame % 2 == 0) {
            combined.erase({vpid, ep4ta, page});
          }
          break;
      }
      for (std::uint64_t look = 0; look < 40; ++look) {
        const auto of_physical = physical.find({ep4ta, look});
        const auto of_combined = combined.find({vpid, ep4ta, look});
        const auto hit_physical = tlb.find_physical(look);
        const auto hit_combined = tlb.find_combined(look);
        RC_ASSERT(hit_physical.has_value() == (of_physical != physical.end()));
        RC_ASSERT(hit_combined.has_value() == (of_combined != combined.end()));
        if (hit_physical) {
          RC_ASSERT(hit_physical->frame == of_physical->second);
        }
        if (hit_combined) {
          RC_ASSERT(hit_combined->frame == of_combined->second);
        }
      }
    }
  });
  CHECK(holds);
}
