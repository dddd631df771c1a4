// The table algorithm over a memory that keeps its history: what a processor that walks the tables
// at any moment would see.
#include "hv/memory/ept_table.h"

#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <vector>

namespace {

using hv::EptEntry;
using hv::EptTable;
using hv::GpaCaching;
using hv::GpaMapping;
using hv::GpaRights;
using hv::Status;
using machine::Gpn;
using machine::Spa;
using machine::Spn;

/// Table pages that remember every store. Reachable entries are checked after each.
class HistoryMemory {
 public:
  explicit HistoryMemory(std::size_t pages) : room_(pages) {}

  std::uint64_t load(Spa entry) { return words_.at(entry.page().value()).at(index(entry)); }
  void store(Spa entry, std::uint64_t value) {
    words_.at(entry.page().value()).at(index(entry)) = value;
    if (on_store) {
      on_store();
    }
  }
  std::uint64_t compare_exchange(Spa entry, std::uint64_t expected, std::uint64_t desired) {
    if (before_exchange) {
      before_exchange(entry);
    }
    const std::uint64_t found = load(entry);
    if (found == expected) {
      store(entry, desired);
    }
    return found;
  }
  std::optional<Spn> allocate() {
    if (words_.size() == room_) {
      return std::nullopt;
    }
    const std::uint64_t page = next_page_++;
    words_[page].resize(512, 0);
    return Spn(page);
  }
  void free(Spn page) { REQUIRE(words_.erase(page.value()) == 1); }

  [[nodiscard]] std::size_t pages_in_use() const { return words_.size(); }
  void limit(std::size_t pages) { room_ = pages; }

  std::function<void()> on_store;
  /// A processor that sets a note right before.
  std::function<void(Spa)> before_exchange;
  void set_bits(Spa entry, std::uint64_t bits) {
    words_.at(entry.page().value()).at(index(entry)) |= bits;
  }

  /// What a processor finds: a walk by the manual, which knows nothing of our own bits.
  [[nodiscard]] std::optional<GpaMapping> translate(Spn root, Gpn gpn) {
    Spn table = root;
    for (int level = 3; level >= 0; --level) {
      const auto row = words_.find(table.value());
      REQUIRE(row != words_.end());  // an entry never leads to a page that is not a table
      const std::uint64_t bits = row->second.at((gpn.value() >> (9 * level)) % 512);
      if ((bits & 7) == 0) {
        return std::nullopt;
      }
      const bool is_leaf = level == 0 || (bits & 0x80) != 0;
      if (is_leaf) {
        REQUIRE(level <= 1);
        const std::uint64_t page = (bits & 0xFFFFFFFFFF000) >> 12;
        const std::uint64_t in_large = level == 1 ? gpn.value() % 512 : 0;
        return GpaMapping{Spn(page + in_large), GpaRights(bits & 7),
                          ((bits >> 3) & 7) == 6 ? GpaCaching::kWriteBack : GpaCaching::kUncached};
      }
      REQUIRE((bits & 0xF8) == 0);  // reserved in a reference to a table
      table = Spn((bits & 0xFFFFFFFFFF000) >> 12);
    }
    return std::nullopt;
  }

 private:
  static std::size_t index(Spa entry) { return entry.offset_in_page() / 8; }
  std::map<std::uint64_t, std::vector<std::uint64_t>> words_;
  std::size_t room_;
  std::uint64_t next_page_ = 0x1000;
};

struct MemoryReference {
  HistoryMemory* memory;
  std::uint64_t load(Spa entry) const { return memory->load(entry); }
  void store(Spa entry, std::uint64_t value) const { memory->store(entry, value); }
  std::uint64_t compare_exchange(Spa entry, std::uint64_t expected, std::uint64_t desired) const {
    return memory->compare_exchange(entry, expected, desired);
  }
  std::optional<Spn> allocate() const { return memory->allocate(); }
  void free(Spn page) const { memory->free(page); }
};

struct Fixture {
  explicit Fixture(std::size_t pages = 100) : memory(pages) {}
  HistoryMemory memory;
  Spn root = *memory.allocate();
  EptTable<MemoryReference> table{MemoryReference{&memory}, root};

  [[nodiscard]] std::optional<GpaMapping> seen(std::uint64_t gpn) {
    return memory.translate(root, Gpn(gpn));
  }
};

GpaMapping ram(std::uint64_t page, GpaRights rights = GpaRights::all()) {
  return GpaMapping{Spn(page), rights, GpaCaching::kWriteBack};
}

/// Runs `change` and checks after every single store that each page translates as before or as
/// after it.
template <class Change>
void check_every_state(Fixture& fixture, const std::vector<std::uint64_t>& pages, Change change) {
  std::map<std::uint64_t, std::optional<GpaMapping>> before;
  for (const std::uint64_t page : pages) {
    before[page] = fixture.seen(page);
  }
  std::vector<std::map<std::uint64_t, std::optional<GpaMapping>>> states;
  fixture.memory.on_store = [&] {
    std::map<std::uint64_t, std::optional<GpaMapping>> state;
    for (const std::uint64_t page : pages) {
      state[page] = fixture.seen(page);
    }
    states.push_back(state);
  };
  change();
  fixture.memory.on_store = nullptr;
  REQUIRE_FALSE(states.empty());
  for (const std::uint64_t page : pages) {
    const std::optional<GpaMapping> after = fixture.seen(page);
    for (const auto& state : states) {
      const std::optional<GpaMapping>& now = state.at(page);
      CHECK((now == before.at(page) || now == after));
    }
  }
}

}  // namespace

TEST_CASE("a mapped page is found by the processor with its rights and caching", "[hv][ept]") {
  Fixture fixture;
  REQUIRE(fixture.table.map(Gpn(5), ram(77, GpaRights::read())) == Status::kSuccess);
  const GpaMapping device{Spn(0xFEE00), GpaRights::read_write(), GpaCaching::kUncached};
  REQUIRE(fixture.table.map(Gpn(0xFFFFFFFFF), device) == Status::kSuccess);
  CHECK(fixture.seen(5) == ram(77, GpaRights::read()));
  CHECK(fixture.seen(0xFFFFFFFFF) == device);
  CHECK(fixture.table.lookup(Gpn(5)) == ram(77, GpaRights::read()));
  CHECK_FALSE(fixture.seen(4));
  CHECK_FALSE(fixture.table.invalidation_needed());
}

TEST_CASE("a page mapped without rights is known to us and absent for the processor", "[hv][ept]") {
  Fixture fixture;
  REQUIRE(fixture.table.map(Gpn(5), ram(77, GpaRights::none())) == Status::kSuccess);
  CHECK_FALSE(fixture.seen(5));
  CHECK(fixture.table.lookup(Gpn(5)) == ram(77, GpaRights::none()));
}

TEST_CASE("every state on the way is a valid hierarchy", "[hv][ept]") {
  Fixture fixture;
  const std::vector<std::uint64_t> pages = {0, 511, 512, 513, 700, 1023, 1024, 0x40000};
  auto succeeded = [](Status status) { REQUIRE(status == Status::kSuccess); };
  SECTION("mapping a first page") {
    check_every_state(fixture, pages, [&] { succeeded(fixture.table.map(Gpn(512), ram(9))); });
  }
  SECTION("a large page over small ones, and small ones out of a large one") {
    succeeded(fixture.table.map(Gpn(512), ram(9)));
    succeeded(fixture.table.map(Gpn(700), ram(10)));
    check_every_state(fixture, pages,
                      [&] { succeeded(fixture.table.map_large(Gpn(512), ram(0x2000))); });
    CHECK(fixture.seen(700) == ram(0x2000 + 700 - 512));
    CHECK(fixture.table.is_large(Gpn(700)));
    check_every_state(fixture, pages, [&] { succeeded(fixture.table.map(Gpn(700), ram(11))); });
    CHECK(fixture.seen(513) == ram(0x2001));
    check_every_state(fixture, pages, [&] { succeeded(fixture.table.unmap(Gpn(513))); });
    CHECK_FALSE(fixture.seen(513));
    check_every_state(fixture, pages, [&] { fixture.table.unmap_large(Gpn(512)); });
    CHECK_FALSE(fixture.seen(700));
  }
}

TEST_CASE("taking a translation away asks for an invalidation, adding one does not", "[hv][ept]") {
  Fixture fixture;
  REQUIRE(fixture.table.map(Gpn(5), ram(77)) == Status::kSuccess);
  CHECK_FALSE(fixture.table.invalidation_needed());
  SECTION("unmap") { REQUIRE(fixture.table.unmap(Gpn(5)) == Status::kSuccess); }
  SECTION("replace") { REQUIRE(fixture.table.map(Gpn(5), ram(78)) == Status::kSuccess); }
  SECTION("fewer rights") {
    REQUIRE(fixture.table.map(Gpn(5), ram(77, GpaRights::read())) == Status::kSuccess);
  }
  CHECK(fixture.table.invalidation_needed());
  fixture.table.release_retired();
  CHECK_FALSE(fixture.table.invalidation_needed());
}

TEST_CASE("empty tables are kept until the caller has invalidated, then freed", "[hv][ept]") {
  Fixture fixture;
  REQUIRE(fixture.table.map(Gpn(5), ram(77)) == Status::kSuccess);
  REQUIRE(fixture.table.map(Gpn(6), ram(78)) == Status::kSuccess);
  CHECK(fixture.memory.pages_in_use() == 4);
  REQUIRE(fixture.table.unmap(Gpn(5)) == Status::kSuccess);
  fixture.table.release_retired();
  CHECK(fixture.memory.pages_in_use() == 4);
  REQUIRE(fixture.table.unmap(Gpn(6)) == Status::kSuccess);
  CHECK(fixture.memory.pages_in_use() == 4);
  fixture.table.release_retired();
  CHECK(fixture.memory.pages_in_use() == 1);
}

TEST_CASE("a call that lacks memory changes nothing", "[hv][ept]") {
  for (std::size_t spare = 0; spare < 3; ++spare) {
    Fixture fixture(1 + spare);
    CHECK(fixture.table.map(Gpn(5), ram(77)) == Status::kInsufficientMemory);
    CHECK(fixture.memory.pages_in_use() == 1);
    CHECK_FALSE(fixture.seen(5));
    CHECK_FALSE(fixture.table.lookup(Gpn(5)));
  }
  Fixture fixture(3);
  REQUIRE(fixture.table.map_large(Gpn(512), ram(0x2000)) == Status::kSuccess);
  CHECK(fixture.table.unmap(Gpn(513)) == Status::kInsufficientMemory);
  CHECK(fixture.table.map(Gpn(513), ram(1)) == Status::kInsufficientMemory);
  CHECK(fixture.table.is_large(Gpn(513)));
  CHECK_FALSE(fixture.table.invalidation_needed());
}

TEST_CASE("destroying returns every table", "[hv][ept]") {
  Fixture fixture;
  REQUIRE(fixture.table.map(Gpn(5), ram(77)) == Status::kSuccess);
  REQUIRE(fixture.table.map(Gpn(0x12345678), ram(78)) == Status::kSuccess);
  REQUIRE(fixture.table.map_large(Gpn(0x40000), ram(0x2000)) == Status::kSuccess);
  REQUIRE(fixture.table.map_large(Gpn(0), ram(0x2000)) == Status::kSuccess);
  fixture.table.destroy();
  CHECK(fixture.memory.pages_in_use() == 0);
}

TEST_CASE("what the processor noted in an entry can be read and changed", "[hv][ept]") {
  Fixture fixture;
  REQUIRE(fixture.table.map(Gpn(5), ram(77)) == Status::kSuccess);
  CHECK_FALSE(fixture.table.entry(Gpn(5)).notes().dirty);
  fixture.table.modify(Gpn(5), 0, machine::vmx::kEptDirty);
  CHECK(fixture.table.entry(Gpn(5)).notes().dirty);
  CHECK(fixture.table.lookup(Gpn(5)) == ram(77));
  fixture.table.modify(Gpn(5), machine::vmx::kEptDirty, 0);
  CHECK_FALSE(fixture.table.entry(Gpn(5)).notes().dirty);
}
