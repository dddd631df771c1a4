#include "hv/memory/page_references.h"

#include <rapidcheck.h>
#include <rapidcheck/catch.h>
#include <rapidcheck/state.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <vector>

#include "hv/memory/gpa_space.h"
#include "machine/vmx_root.h"
#include "tests/support/fake_spa_memory.h"

namespace {

using hv::GpaCaching;
using hv::GpaMapping;
using hv::GpaRights;
using hv::GpaSpace;
using hv::OverlayId;
using hv::OverlayKind;
using hv::PagePool;
using hv::PageReferences;
using hv::Status;
using hv::VpIndex;
using machine::Gpn;
using machine::MemoryRange;
using machine::Spn;
using test_support::FakeSpaMemory;

constexpr std::uint64_t kPage = machine::kPageSize;
/// Two ranges: frame 1 is all in the first, frame 2 has a part of both and a gap, the frames at the
/// ends are not all there.
constexpr std::array<MemoryRange, 2> kRam{
    {{256 * kPage, 1000 * kPage}, {1300 * kPage, 536 * kPage}}};
constexpr std::uint64_t kStorage = 0x200000;
constexpr std::uint64_t kPool = 0x100000;
constexpr std::uint64_t kPoolPages = 400;
constexpr std::size_t kChildren = 2;

bool is_ram(std::uint64_t page) {
  return (page >= 256 && page < 1256) || (page >= 1300 && page < 1836);
}

struct System {
  System() {
    const std::uint64_t counts = PageReferences::pages_needed(kRam) * kPage;
    machine::fill_memory(machine::Spa(kStorage * kPage), counts, 0);
    references.cover(kRam, Spn(kStorage));
    for (std::uint64_t page = 0; page < kPoolPages; ++page) {
      pool.deposit(Spn(kPool + page));
    }
    for (std::optional<GpaSpace>& space : spaces) {
      build(space);
    }
  }
  void build(std::optional<GpaSpace>& space) {
    space.emplace(pool, *pool.take(), 1 << 16, &references);
  }
  FakeSpaMemory memory;
  PageReferences references;
  PagePool pool;
  std::array<std::optional<GpaSpace>, kChildren> spaces;
};

GpaMapping ram(std::uint64_t page) {
  return GpaMapping{Spn(page), GpaRights::all(), GpaCaching::kWriteBack};
}

/// What each child has where, and which pages the hypervisor took because nobody had them.
struct Model {
  std::array<std::map<std::uint64_t, std::uint64_t>, kChildren> mapped;
  std::set<std::uint64_t> deposited;

  [[nodiscard]] bool anybody_has(std::uint64_t page) const {
    for (const auto& child : mapped) {
      for (const auto& [gpn, spn] : child) {
        if (spn == page) {
          return true;
        }
      }
    }
    return false;
  }
};

void check_all(const Model& model, System& system) {
  std::set<std::uint64_t> had;
  for (const auto& child : model.mapped) {
    for (const auto& [gpn, spn] : child) {
      had.insert(spn);
    }
  }
  for (std::uint64_t page = 0; page < 2048; ++page) {
    RC_ASSERT(system.references.any(Spn(page)) == (is_ram(page) && had.contains(page)));
  }
}

using Command = rc::state::Command<Model, System>;

struct OnChild : Command {
  std::size_t child = *rc::gen::inRange<std::size_t>(0, kChildren);
  [[nodiscard]] GpaSpace& space(System& system) const { return *system.spaces.at(child); }
};

/// Few enough that several mappings lead to one page.
std::uint64_t any_gpn() {
  return *rc::gen::element<std::uint64_t>(512, 513, 700, 1023, 1024, 1025);
}

std::uint64_t any_spn() {
  return *rc::gen::element<std::uint64_t>(256, 511, 512, 513, 700, 1023, 1024, 1255, 1256, 1300,
                                          1536, 1835, 1836, 9000);
}

struct Map : OnChild {
  std::uint64_t gpn = any_gpn();
  std::uint64_t page = any_spn();
  /// The root has what was deposited no longer, so it cannot map it.
  void checkPreconditions(const Model& model) const override {
    RC_PRE(!model.deposited.contains(page));
  }
  void apply(Model& model) const override { model.mapped.at(child)[gpn] = page; }
  void run(const Model& model, System& system) const override {
    RC_ASSERT(space(system).map(Gpn(gpn), ram(page)) == Status::kSuccess);
    check_all(nextState(model), system);
  }
};

/// Pages one behind the other, some of them beyond the RAM.
struct MapRun : OnChild {
  std::uint64_t gpn = any_gpn();
  std::uint64_t count = std::min(*rc::gen::inRange<std::uint64_t>(1, 20), 512 - gpn % 512);
  std::uint64_t page = any_spn();
  void checkPreconditions(const Model& model) const override {
    const auto first = model.deposited.lower_bound(page);
    RC_PRE(first == model.deposited.end() || *first >= page + count);
  }
  void apply(Model& model) const override {
    for (std::uint64_t index = 0; index < count; ++index) {
      model.mapped.at(child)[gpn + index] = page + index;
    }
  }
  void run(const Model& model, System& system) const override {
    std::vector<hv::EptEntry> leaves;
    for (std::uint64_t index = 0; index < count; ++index) {
      leaves.push_back(hv::EptEntry::leaf(ram(page + index), false));
    }
    const GpaSpace::RunOutcome outcome = space(system).map_leaves(Gpn(gpn), leaves);
    RC_ASSERT(outcome.status == Status::kSuccess);
    RC_ASSERT(outcome.completed == count);
    check_all(nextState(model), system);
  }
};

struct MapLarge : OnChild {
  std::uint64_t gpn = 512 * *rc::gen::inRange<std::uint64_t>(1, 3);
  std::uint64_t page = 512 * *rc::gen::inRange<std::uint64_t>(0, 5);
  void checkPreconditions(const Model& model) const override {
    const auto first = model.deposited.lower_bound(page);
    RC_PRE(first == model.deposited.end() || *first >= page + 512);
  }
  void apply(Model& model) const override {
    for (std::uint64_t index = 0; index < 512; ++index) {
      model.mapped.at(child)[gpn + index] = page + index;
    }
  }
  void run(const Model& model, System& system) const override {
    RC_ASSERT(space(system).map_large(Gpn(gpn), ram(page)) == Status::kSuccess);
    check_all(nextState(model), system);
  }
};

struct Unmap : OnChild {
  std::uint64_t gpn = any_gpn();
  void apply(Model& model) const override { model.mapped.at(child).erase(gpn); }
  void run(const Model& model, System& system) const override {
    RC_ASSERT(space(system).unmap(Gpn(gpn)) == Status::kSuccess);
    check_all(nextState(model), system);
  }
};

struct UnmapLarge : OnChild {
  std::uint64_t gpn = 512 * *rc::gen::inRange<std::uint64_t>(1, 3);
  void apply(Model& model) const override {
    for (std::uint64_t index = 0; index < 512; ++index) {
      model.mapped.at(child).erase(gpn + index);
    }
  }
  void run(const Model& model, System& system) const override {
    RC_ASSERT(space(system).unmap_large(Gpn(gpn)) == Status::kSuccess);
    check_all(nextState(model), system);
  }
};

struct ChangeRights : OnChild {
  std::uint64_t gpn = any_gpn();
  void run(const Model& model, System& system) const override {
    const bool mapped = model.mapped.at(child).contains(gpn);
    RC_ASSERT(space(system).change_rights(Gpn(gpn), GpaRights::read()) ==
              (mapped ? Status::kSuccess : Status::kOperationDenied));
    check_all(model, system);
  }
};

OverlayId any_overlay() {
  return OverlayId{*rc::gen::element(OverlayKind::kHypercall, OverlayKind::kMessagePage),
                   VpIndex{0}};
}

/// The page that an overlay shows is the hypervisor's; the page beneath stays the child's.
struct ShowOverlay : OnChild {
  OverlayId id = any_overlay();
  std::uint64_t gpn = any_gpn();
  void run(const Model& model, System& system) const override {
    RC_ASSERT(space(system).show_overlay(id, Gpn(gpn), Spn(1500), GpaRights::all()) ==
              Status::kSuccess);
    check_all(model, system);
  }
};

struct HideOverlay : OnChild {
  OverlayId id = any_overlay();
  void run(const Model& model, System& system) const override {
    space(system).hide_overlay(id);
    check_all(model, system);
  }
};

/// A child ends, and another takes its place.
struct Replace : OnChild {
  void apply(Model& model) const override { model.mapped.at(child).clear(); }
  void run(const Model& model, System& system) const override {
    space(system).destroy();
    system.build(system.spaces.at(child));
    check_all(nextState(model), system);
  }
};

/// As DepositMemory: what nobody has becomes the hypervisor's, anything else is refused.
struct Deposit : Command {
  std::uint64_t page = any_spn();
  void checkPreconditions(const Model& model) const override {
    RC_PRE(is_ram(page) && !model.deposited.contains(page));
  }
  void apply(Model& model) const override {
    if (!model.anybody_has(page)) {
      model.deposited.insert(page);
    }
  }
  void run(const Model& model, System& system) const override {
    RC_ASSERT(system.references.any(Spn(page)) == model.anybody_has(page));
  }
};

}  // namespace

TEST_CASE("a page counts as a child's exactly as long as some child has it mapped",
          "[hv][gpa_space]") {
  rc::prop("references", [] {
    System system;
    rc::state::check(
        Model(), system,
        rc::state::gen::execOneOfWithArgs<Map, MapRun, MapLarge, Unmap, UnmapLarge, ChangeRights,
                                          ShowOverlay, HideOverlay, Replace, Deposit>());
    for (std::optional<GpaSpace>& space : system.spaces) {
      space->destroy();
    }
    check_all(Model(), system);
    RC_ASSERT(system.pool.available() == kPoolPages);
  });
}

TEST_CASE("a mapping that failed for want of memory is not counted", "[hv][gpa_space]") {
  System system;
  GpaSpace& space = *system.spaces[0];
  REQUIRE(space.map_large(Gpn(512), ram(512)) == Status::kSuccess);
  while (system.pool.take()) {
  }
  CHECK(space.map(Gpn(513), ram(700)) == Status::kInsufficientMemory);
  CHECK(space.map(Gpn(5000), ram(256)) == Status::kInsufficientMemory);
  CHECK(space.map_large(Gpn(1 << 15), ram(512)) == Status::kSuccess);
  CHECK(system.spaces[1]->map_large(Gpn(0), ram(512)) == Status::kInsufficientMemory);
  CHECK_FALSE(system.references.any(Spn(256)));
  CHECK(system.references.any(Spn(700)));
  REQUIRE(space.unmap_large(Gpn(512)) == Status::kSuccess);
  CHECK(system.references.any(Spn(700)));
  REQUIRE(space.unmap_large(Gpn(1 << 15)) == Status::kSuccess);
  CHECK_FALSE(system.references.any(Spn(700)));
}

TEST_CASE("a mapping of 2 MiB touches one count", "[hv][gpa_space]") {
  System system;
  REQUIRE(system.spaces[0]->map_large(Gpn(512), ram(512)) == Status::kSuccess);
  system.memory.log.clear();
  REQUIRE(system.spaces[0]->map_large(Gpn(1024), ram(512)) == Status::kSuccess);
  std::size_t stores = 0;
  for (const test_support::SpaAccess& access : system.memory.log) {
    stores +=
        access.kind == test_support::SpaAccess::Kind::kStore && access.address >= kStorage * kPage
            ? 1
            : 0;
  }
  CHECK(stores == 1);
}

TEST_CASE("a count at its limit stays there", "[hv][gpa_space]") {
  System system;
  system.memory.set<std::uint32_t>(kStorage * kPage, ~0u - 1);  // of page 256
  system.references.replace(std::nullopt, Spn(256));
  system.references.replace(std::nullopt, Spn(256));
  for (int times = 0; times < 3; ++times) {
    system.references.replace(Spn(256), std::nullopt);
  }
  CHECK(system.memory.get<std::uint32_t>(kStorage * kPage) == ~0u);
  CHECK(system.references.any(Spn(256)));
}
