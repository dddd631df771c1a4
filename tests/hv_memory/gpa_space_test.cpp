#include "hv/memory/gpa_space.h"

#include <rapidcheck.h>
#include <rapidcheck/catch.h>
#include <rapidcheck/state.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <vector>

#include "tests/support/fake_spa_memory.h"

namespace {

using hv::EptEntry;
using hv::GpaCaching;
using hv::GpaMapping;
using hv::GpaNotes;
using hv::GpaRights;
using hv::GpaSpace;
using hv::OverlayId;
using hv::OverlayKind;
using hv::PagePool;
using hv::Status;
using hv::VpIndex;
using machine::Gpn;
using machine::Spn;
using test_support::FakeSpaMemory;

constexpr std::uint64_t kSpacePages = 1 << 16;
constexpr std::uint64_t kPoolFirstPage = 0x100000;

struct System {
  explicit System(std::uint64_t pool_pages = 200) {
    for (std::uint64_t page = 0; page < pool_pages; ++page) {
      pool.deposit(Spn(kPoolFirstPage + page));
    }
    space.emplace(pool, *pool.take(), kSpacePages, nullptr);
  }
  FakeSpaMemory memory;
  PagePool pool;
  std::optional<GpaSpace> space;
};

GpaMapping ram(std::uint64_t page, GpaRights rights = GpaRights::all()) {
  return GpaMapping{Spn(page), rights, GpaCaching::kWriteBack};
}

constexpr OverlayId kHypercallPage{OverlayKind::kHypercall, VpIndex{0}};
constexpr OverlayId kMessages{OverlayKind::kMessagePage, VpIndex{3}};

// --- A model: a map for what is mapped, and a stack of overlays ----------------------------------

struct ModelOverlay {
  OverlayId id;
  std::uint64_t gpn = 0;
  GpaMapping shown;
};

struct Model {
  std::map<std::uint64_t, GpaMapping> mapped;
  /// What was accessed and written since that was last forgotten.
  std::map<std::uint64_t, GpaNotes> noted;
  std::vector<ModelOverlay> overlays;  // oldest first

  [[nodiscard]] std::optional<GpaMapping> beneath(std::uint64_t gpn) const {
    const auto entry = mapped.find(gpn);
    return entry == mapped.end() ? std::nullopt : std::optional(entry->second);
  }
  [[nodiscard]] std::optional<GpaMapping> seen(std::uint64_t gpn) const {
    std::optional<GpaMapping> visible = beneath(gpn);
    for (const ModelOverlay& overlay : overlays) {
      visible = overlay.gpn == gpn ? overlay.shown : visible;
    }
    return visible;
  }
  void hide(OverlayId id) {
    std::erase_if(overlays, [&](const ModelOverlay& overlay) { return overlay.id == id; });
  }
};

using Command = rc::state::Command<Model, System>;

/// The pages where everything happens: two large pages' worth, a few of them often.
std::uint64_t any_page() {
  return *rc::gen::oneOf(rc::gen::elementOf(std::vector<std::uint64_t>{512, 513, 700, 1023, 1024}),
                         rc::gen::inRange<std::uint64_t>(512, 1536));
}

GpaRights any_rights() {
  return *rc::gen::element(GpaRights::none(), GpaRights::read(), GpaRights::read_write(),
                           GpaRights::read_execute(), GpaRights::all());
}

OverlayId any_overlay() {
  return OverlayId{*rc::gen::element(OverlayKind::kHypercall, OverlayKind::kReferenceTsc,
                                     OverlayKind::kMessagePage, OverlayKind::kVpAssist),
                   VpIndex{*rc::gen::inRange(0u, 2u)}};
}

/// Every page looks as the model says.
void check_all(const Model& model, System& system) {
  for (std::uint64_t page = 510; page < 1540; ++page) {
    RC_ASSERT(system.space->lookup(Gpn(page)) == model.seen(page));
    const std::optional<GpaMapping> beneath = system.space->lookup_beneath_overlays(Gpn(page));
    RC_ASSERT(beneath == model.beneath(page));
    // A page of 2 MiB may know of more than was noted of each of its pages, never of less.
    const auto noted = model.noted.find(page);
    if (noted != model.noted.end()) {
      RC_ASSERT(beneath->notes.accessed || !noted->second.accessed);
      RC_ASSERT(beneath->notes.dirty || !noted->second.dirty);
    }
  }
  const hv::GpaSpaceFigures& figures = system.space->figures();
  RC_ASSERT(figures.small_pages + 512 * figures.large_pages == model.mapped.size());
}

struct Map : Command {
  std::uint64_t gpn = any_page();
  GpaMapping mapping = ram(*rc::gen::inRange<std::uint64_t>(1, 100), any_rights());
  void apply(Model& model) const override {
    model.mapped[gpn] = mapping;
    model.noted.erase(gpn);
  }
  void run(const Model& model, System& system) const override {
    RC_ASSERT(system.space->map(Gpn(gpn), mapping) == Status::kSuccess);
    check_all(nextState(model), system);
  }
};

/// Pages one behind the other, with what is in their way; and what they are is read in one go.
struct MapRun : Command {
  std::uint64_t gpn = any_page();
  std::uint64_t count = std::min(*rc::gen::inRange<std::uint64_t>(1, 20), 512 - gpn % 512);
  GpaMapping first = ram(*rc::gen::inRange<std::uint64_t>(1, 100), any_rights());
  bool reversed = *rc::gen::arbitrary<bool>();
  [[nodiscard]] GpaMapping part(std::uint64_t index) const {
    GpaMapping mapping = first;
    mapping.page = mapping.page + (reversed ? count - 1 - index : index);
    return mapping;
  }
  void apply(Model& model) const override {
    for (std::uint64_t index = 0; index < count; ++index) {
      model.mapped[gpn + index] = part(index);
      model.noted.erase(gpn + index);
    }
  }
  void run(const Model& model, System& system) const override {
    std::vector<EptEntry> leaves;
    for (std::uint64_t index = 0; index < count; ++index) {
      leaves.push_back(EptEntry::leaf(part(index), false));
    }
    const GpaSpace::RunOutcome outcome = system.space->map_leaves(Gpn(gpn), leaves);
    RC_ASSERT(outcome.status == Status::kSuccess);
    RC_ASSERT(outcome.completed == count);
    const Model next = nextState(model);
    check_all(next, system);
    std::vector<EptEntry> read(512);
    system.space->read_leaves(Gpn(512), read);
    for (std::uint64_t index = 0; index < read.size(); ++index) {
      const std::optional<GpaMapping> beneath = next.beneath(512 + index);
      RC_ASSERT(read[index].mapped() == beneath.has_value());
      if (beneath) {
        RC_ASSERT(read[index].mapping() == *beneath);
      }
    }
  }
};

struct MapLarge : Command {
  std::uint64_t gpn = 512 * *rc::gen::inRange<std::uint64_t>(1, 3);
  GpaMapping mapping = ram(512 * *rc::gen::inRange<std::uint64_t>(1, 9), any_rights());
  void apply(Model& model) const override {
    for (std::uint64_t index = 0; index < 512; ++index) {
      GpaMapping part = mapping;
      part.page = part.page + index;
      model.mapped[gpn + index] = part;
      model.noted.erase(gpn + index);
    }
  }
  void run(const Model& model, System& system) const override {
    RC_ASSERT(system.space->map_large(Gpn(gpn), mapping) == Status::kSuccess);
    check_all(nextState(model), system);
  }
};

struct Unmap : Command {
  std::uint64_t gpn = any_page();
  void apply(Model& model) const override {
    model.mapped.erase(gpn);
    model.noted.erase(gpn);
  }
  void run(const Model& model, System& system) const override {
    RC_ASSERT(system.space->unmap(Gpn(gpn)) == Status::kSuccess);
    check_all(nextState(model), system);
  }
};

struct UnmapLarge : Command {
  std::uint64_t gpn = 512 * *rc::gen::inRange<std::uint64_t>(1, 3);
  void apply(Model& model) const override {
    for (std::uint64_t index = 0; index < 512; ++index) {
      model.mapped.erase(gpn + index);
      model.noted.erase(gpn + index);
    }
  }
  void run(const Model& model, System& system) const override {
    RC_ASSERT(system.space->unmap_large(Gpn(gpn)) == Status::kSuccess);
    check_all(nextState(model), system);
  }
};

struct ChangeRights : Command {
  std::uint64_t gpn = any_page();
  GpaRights rights = any_rights();
  void apply(Model& model) const override {
    if (model.mapped.contains(gpn)) {
      model.mapped[gpn].rights = rights;
    }
  }
  void run(const Model& model, System& system) const override {
    const Status expected =
        model.mapped.contains(gpn) ? Status::kSuccess : Status::kOperationDenied;
    RC_ASSERT(system.space->change_rights(Gpn(gpn), rights) == expected);
    check_all(nextState(model), system);
  }
};

struct ChangeRightsLarge : Command {
  std::uint64_t gpn = 512 * *rc::gen::inRange<std::uint64_t>(1, 3);
  GpaRights rights = any_rights();
  [[nodiscard]] bool all_mapped(const Model& model) const {
    const auto first = model.mapped.lower_bound(gpn);
    return std::distance(first, model.mapped.lower_bound(gpn + 512)) == 512;
  }
  void apply(Model& model) const override {
    if (all_mapped(model)) {
      for (std::uint64_t index = 0; index < 512; ++index) {
        model.mapped[gpn + index].rights = rights;
      }
    }
  }
  void run(const Model& model, System& system) const override {
    const Status expected = all_mapped(model) ? Status::kSuccess : Status::kOperationDenied;
    RC_ASSERT(system.space->change_rights_large(Gpn(gpn), rights) == expected);
    check_all(nextState(model), system);
  }
};

/// Somebody accesses what the partition sees: the notes of an overlay are nobody's business.
struct Access : Command {
  std::uint64_t gpn = any_page();
  bool write = *rc::gen::arbitrary<bool>();
  void apply(Model& model) const override {
    if (model.mapped.contains(gpn) && model.seen(gpn) == model.beneath(gpn)) {
      model.noted[gpn].accessed = true;
      model.noted[gpn].dirty = model.noted[gpn].dirty || write;
    }
  }
  void run(const Model& model, System& system) const override {
    system.space->note_access(Gpn(gpn), write);
    check_all(nextState(model), system);
  }
};

struct ExchangeNotes : Command {
  std::uint64_t gpn = any_page();
  GpaNotes clear{*rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>()};
  GpaNotes set{*rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>()};
  void apply(Model& model) const override {
    if (model.mapped.contains(gpn)) {
      GpaNotes& notes = model.noted[gpn];
      notes.dirty = (notes.dirty && !clear.dirty && !clear.accessed) || set.dirty;
      notes.accessed = (notes.accessed && !clear.accessed) || set.accessed;
    }
  }
  void run(const Model& model, System& system) const override {
    const auto before = system.space->exchange_notes(Gpn(gpn), {clear, set});
    RC_ASSERT(before.has_value());
    const auto noted = model.noted.find(gpn);
    if (noted != model.noted.end()) {
      RC_ASSERT(before->accessed || !noted->second.accessed);
      RC_ASSERT(before->dirty || !noted->second.dirty);
    }
    const Model after = nextState(model);
    if (const auto mapping = system.space->lookup_beneath_overlays(Gpn(gpn))) {
      // What was cleared is cleared, for this page.
      RC_ASSERT(!clear.accessed || mapping->notes == set);
      RC_ASSERT(!clear.dirty || mapping->notes.dirty == set.dirty);
    }
    check_all(after, system);
  }
};

struct ShowOverlay : Command {
  OverlayId id = any_overlay();
  std::uint64_t gpn = any_page();
  GpaMapping shown = ram(*rc::gen::inRange<std::uint64_t>(5000, 5100), any_rights());
  void apply(Model& model) const override {
    for (ModelOverlay& overlay : model.overlays) {
      if (overlay.id == id && overlay.gpn == gpn) {
        overlay.shown = shown;
        return;
      }
    }
    model.hide(id);
    model.overlays.push_back({id, gpn, shown});
  }
  void run(const Model& model, System& system) const override {
    RC_ASSERT(system.space->show_overlay(id, Gpn(gpn), shown.page, shown.rights) ==
              Status::kSuccess);
    check_all(nextState(model), system);
  }
};

struct HideOverlay : Command {
  OverlayId id = any_overlay();
  void apply(Model& model) const override { model.hide(id); }
  void run(const Model& model, System& system) const override {
    system.space->hide_overlay(id);
    check_all(nextState(model), system);
  }
};

struct Invalidate : Command {
  void run(const Model& model, System& system) const override {
    system.space->invalidation_done();
    check_all(model, system);
  }
};

}  // namespace

TEST_CASE("a GPA space with overlays behaves as a map with a stack of overlays above",
          "[hv][gpa_space]") {
  rc::prop("GPA space", [] {
    System system;
    system.space->set_tracking(true);
    rc::state::check(
        Model(), system,
        rc::state::gen::execOneOfWithArgs<Map, MapRun, MapLarge, Unmap, UnmapLarge, ChangeRights,
                                          ChangeRightsLarge, Access, ExchangeNotes, ShowOverlay,
                                          HideOverlay, Invalidate>());
    system.space->invalidation_done();
    system.space->destroy();
    RC_ASSERT(system.pool.in_use() == 0u);
    RC_ASSERT(system.pool.available() == 200u);
  });
}

TEST_CASE("a call without memory for its tables changes nothing", "[hv][gpa_space]") {
  System system(3);  // the root and two tables
  GpaSpace& space = *system.space;
  REQUIRE(space.map_large(Gpn(512), ram(1024)) == Status::kSuccess);
  REQUIRE(system.pool.available() == 0);
  CHECK(space.map(Gpn(513), ram(7)) == Status::kInsufficientMemory);
  CHECK(space.unmap(Gpn(513)) == Status::kInsufficientMemory);
  CHECK(space.change_rights(Gpn(513), GpaRights::read()) == Status::kInsufficientMemory);
  CHECK(space.show_overlay(kHypercallPage, Gpn(513), Spn(9), GpaRights::all()) ==
        Status::kInsufficientMemory);
  CHECK(space.lookup(Gpn(513)) == ram(1025));
  CHECK_FALSE(space.is_overlaid(Gpn(513)));
  CHECK_FALSE(space.invalidation_needed());
}

TEST_CASE("an overlay that cannot move stays where it was", "[hv][gpa_space]") {
  System system(4);  // root and three tables
  GpaSpace& space = *system.space;
  REQUIRE(space.show_overlay(kMessages, Gpn(700), Spn(9), GpaRights::all()) == Status::kSuccess);
  CHECK(space.show_overlay(kMessages, Gpn(5000), Spn(9), GpaRights::all()) ==
        Status::kInsufficientMemory);
  CHECK(space.lookup(Gpn(700)) == ram(9));
  CHECK(space.overlay_place(kMessages) == Gpn(700));
}

TEST_CASE("pages outside of the space and illegal rights are refused", "[hv][gpa_space]") {
  System system;
  GpaSpace& space = *system.space;
  CHECK(space.map(Gpn(kSpacePages), ram(1)) == Status::kInvalidParameter);
  CHECK(space.unmap(Gpn(kSpacePages)) == Status::kInvalidParameter);
  CHECK(space.map_large(Gpn(kSpacePages), ram(512)) == Status::kInvalidParameter);
  CHECK(space.map_large(Gpn(1), ram(512)) == Status::kInvalidParameter);
  CHECK(space.map_large(Gpn(512), ram(1)) == Status::kInvalidParameter);
  CHECK(space.unmap_large(Gpn(1)) == Status::kInvalidParameter);
  CHECK(space.change_rights(Gpn(~0ull), GpaRights::all()) == Status::kInvalidParameter);
  CHECK(space.show_overlay(kMessages, Gpn(kSpacePages), Spn(1), GpaRights::all()) ==
        Status::kInvalidParameter);
  CHECK(space.map(Gpn(1), ram(1, GpaRights(GpaRights::kWriteBit))) == Status::kInvalidParameter);
  CHECK(space.map(Gpn(1), ram(1, GpaRights(GpaRights::kExecuteBit))) == Status::kInvalidParameter);
  CHECK_FALSE(space.lookup(Gpn(1)));
  CHECK_FALSE(space.lookup(Gpn(~0ull)));
}

TEST_CASE("covering a page that the processor may have cached asks for an invalidation",
          "[hv][gpa_space]") {
  System system;
  GpaSpace& space = *system.space;
  REQUIRE(space.map(Gpn(513), ram(7)) == Status::kSuccess);
  CHECK_FALSE(space.invalidation_needed());
  REQUIRE(space.show_overlay(kMessages, Gpn(513), Spn(9), GpaRights::all()) == Status::kSuccess);
  CHECK(space.invalidation_needed());
  space.invalidation_done();
  space.hide_overlay(kMessages);
  CHECK(space.invalidation_needed());
}

TEST_CASE("reserved overlays need no memory for their records", "[hv][gpa_space]") {
  System system;
  GpaSpace& space = *system.space;
  REQUIRE(space.reserve_overlays(150) == Status::kSuccess);
  REQUIRE(space.map(Gpn(600), ram(1)) == Status::kSuccess);
  while (system.pool.take()) {
  }
  for (std::uint32_t vp = 0; vp < 150; ++vp) {
    const OverlayId id{OverlayKind::kMessagePage, VpIndex{vp}};
    REQUIRE(space.show_overlay(id, Gpn(601), Spn(5000 + vp), GpaRights::all()) == Status::kSuccess);
  }
  CHECK(space.lookup(Gpn(601)) == ram(5149));
}

TEST_CASE("a note that a processor makes at the last moment is not lost", "[hv][gpa_space]") {
  System system;
  GpaSpace& space = *system.space;
  REQUIRE(space.map(Gpn(100), ram(7)) == Status::kSuccess);
  REQUIRE(space.map(Gpn(101), ram(8)) == Status::kSuccess);
  REQUIRE(space.map_large(Gpn(512), ram(1024)) == Status::kSuccess);
  // Right before an entry is exchanged for the first time, a processor writes to its page.
  bool written = false;
  const auto arm = [&] {
    written = false;
    system.memory.before_access = [&](const test_support::SpaAccess& access) {
      const auto entry = system.memory.get<std::uint64_t>(access.address);
      if (access.kind == test_support::SpaAccess::Kind::kLocked && !written && (entry & 7) != 0) {
        written = true;
        system.memory.set(access.address,
                          entry | machine::vmx::kEptAccessed | machine::vmx::kEptDirty);
      }
    };
  };
  const auto dirty = [&](std::uint64_t gpn) {
    return written && space.lookup_beneath_overlays(Gpn(gpn))->notes.dirty;
  };
  arm();
  REQUIRE(space.change_rights(Gpn(100), GpaRights::read()) == Status::kSuccess);
  CHECK(dirty(100));
  CHECK(space.lookup(Gpn(100)) == ram(7, GpaRights::read()));
  arm();
  REQUIRE(space.show_overlay(kMessages, Gpn(101), Spn(9), GpaRights::all()) == Status::kSuccess);
  CHECK(dirty(101));
  space.hide_overlay(kMessages);
  CHECK(dirty(101));
  arm();  // a page of 2 MiB that is split: all of it counts as written
  REQUIRE(space.change_rights(Gpn(600), GpaRights::read()) == Status::kSuccess);
  CHECK(dirty(512));
  CHECK(dirty(600));
  CHECK(dirty(1023));
  CHECK(space.figures().splits == 1);
  arm();
  REQUIRE(space.exchange_notes(Gpn(100), {.clear = {true, true}}).has_value());
  CHECK_FALSE(space.lookup(Gpn(100))->notes.dirty);
}

TEST_CASE("forgetting what was noted of a page asks for an invalidation", "[hv][gpa_space]") {
  System system;
  GpaSpace& space = *system.space;
  space.set_tracking(true);
  REQUIRE(space.map(Gpn(513), ram(7)) == Status::kSuccess);
  space.note_access(Gpn(513), true);
  CHECK_FALSE(space.invalidation_needed());
  CHECK(space.exchange_notes(Gpn(513), {}) == GpaNotes{true, true});
  CHECK_FALSE(space.invalidation_needed());
  CHECK(space.exchange_notes(Gpn(513), {.clear = {false, true}}) == GpaNotes{true, true});
  CHECK(space.invalidation_needed());
  CHECK(space.exchange_notes(Gpn(513), {}) == GpaNotes{true, false});
}

TEST_CASE("one page of a large one is forgotten, the others are not", "[hv][gpa_space]") {
  System system;
  GpaSpace& space = *system.space;
  space.set_tracking(true);
  REQUIRE(space.map_large(Gpn(512), ram(1024)) == Status::kSuccess);
  constexpr GpaNotes kBoth{.accessed = true, .dirty = true};
  constexpr hv::GpaNoteChange kForget{.clear = kBoth};
  CHECK(space.exchange_notes(Gpn(600), kForget) == GpaNotes{});
  CHECK(space.figures().splits == 0);  // there was nothing to forget
  space.note_access(Gpn(700), true);
  CHECK(space.exchange_notes(Gpn(600), kForget) == kBoth);
  CHECK(space.figures().splits == 1);
  CHECK(space.exchange_notes(Gpn(600), {}) == GpaNotes{});
  CHECK(space.exchange_notes(Gpn(700), {}) == kBoth);
}

TEST_CASE("no overlay covers a page that was mapped to be seen", "[hv][gpa_space]") {
  System system;
  GpaSpace& space = *system.space;
  GpaMapping always = ram(7);
  always.no_overlay = true;
  REQUIRE(space.map(Gpn(600), always) == Status::kSuccess);
  CHECK(space.show_overlay(kMessages, Gpn(600), Spn(9), GpaRights::all()) ==
        Status::kInvalidParameter);
  REQUIRE(space.show_overlay(kMessages, Gpn(601), Spn(9), GpaRights::all()) == Status::kSuccess);
  CHECK(space.map(Gpn(601), always) == Status::kObjectInUse);
  GpaMapping large = ram(1024);
  large.no_overlay = true;
  CHECK(space.map_large(Gpn(512), large) == Status::kObjectInUse);
  CHECK(space.lookup(Gpn(601)) == ram(9));
}

TEST_CASE("a page that all may read is given to nobody to write", "[hv][gpa_space]") {
  System system;
  GpaSpace& space = *system.space;
  GpaMapping shared = ram(7);
  shared.read_only = true;
  CHECK(space.map(Gpn(600), shared) == Status::kInvalidParameter);
  shared.rights = GpaRights::read_execute();
  REQUIRE(space.map(Gpn(600), shared) == Status::kSuccess);
  CHECK(space.change_rights(Gpn(600), GpaRights::all()) == Status::kInvalidParameter);
  REQUIRE(space.show_overlay(kMessages, Gpn(600), Spn(9), GpaRights::all()) == Status::kSuccess);
  CHECK(space.change_rights(Gpn(600), GpaRights::read_write()) == Status::kInvalidParameter);
  CHECK(space.change_rights(Gpn(600), GpaRights::read()) == Status::kSuccess);
  space.hide_overlay(kMessages);
  CHECK(space.lookup(Gpn(600))->rights == GpaRights::read());
}

TEST_CASE("with any amount of memory a call succeeds or changes nothing", "[hv][gpa_space]") {
  rc::prop("scarce memory", [] {
    System system(*rc::gen::inRange<std::uint64_t>(1, 12));
    const std::uint64_t pages = system.pool.available() + system.pool.in_use();
    Model model;
    for (int step = 0; step < 30; ++step) {
      Model next = model;
      Status status = Status::kSuccess;
      const auto attempt = [&](const auto& command, auto call) {
        command.apply(next);
        status = call(*system.space);
      };
      switch (*rc::gen::inRange(0, 4)) {
        case 0: {
          const Map map;
          attempt(map, [&](GpaSpace& space) { return space.map(Gpn(map.gpn), map.mapping); });
          break;
        }
        case 1: {
          const MapLarge map;
          attempt(map, [&](GpaSpace& space) { return space.map_large(Gpn(map.gpn), map.mapping); });
          break;
        }
        case 2: {
          const Unmap unmap;
          attempt(unmap, [&](GpaSpace& space) { return space.unmap(Gpn(unmap.gpn)); });
          break;
        }
        default: {
          const ShowOverlay show;
          attempt(show, [&](GpaSpace& space) {
            return space.show_overlay(show.id, Gpn(show.gpn), show.shown.page, show.shown.rights);
          });
          break;
        }
      }
      RC_ASSERT(status == Status::kSuccess || status == Status::kInsufficientMemory);
      model = status == Status::kSuccess ? next : model;
      check_all(model, system);
      RC_ASSERT(system.pool.available() + system.pool.in_use() == pages);
    }
    system.space->destroy();
    RC_ASSERT(system.pool.available() == pages);
  });
}

TEST_CASE("no page number and no rights that a guest may name break a promise", "[hv][gpa_space]") {
  rc::prop("hostile arguments", [] {
    System system(40);
    for (int step = 0; step < 40; ++step) {
      const Gpn gpn(*rc::gen::oneOf(rc::gen::arbitrary<std::uint64_t>(),
                                    rc::gen::inRange<std::uint64_t>(0, kSpacePages + 1024)));
      const GpaMapping mapping = ram(*rc::gen::inRange<std::uint64_t>(0, 1ull << 40),
                                     GpaRights(*rc::gen::inRange<std::uint8_t>(0, 8)));
      GpaSpace& space = *system.space;
      static_cast<void>(space.map(gpn, mapping));
      static_cast<void>(space.map_large(gpn, mapping));
      static_cast<void>(space.unmap(gpn));
      static_cast<void>(space.unmap_large(gpn));
      static_cast<void>(space.change_rights(gpn, mapping.rights));
      static_cast<void>(space.show_overlay(any_overlay(), gpn, mapping.page, mapping.rights));
      space.hide_overlay(any_overlay());
      static_cast<void>(space.lookup(gpn));
    }
  });
}
