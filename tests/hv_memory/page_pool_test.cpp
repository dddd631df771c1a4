#include "hv/memory/page_pool.h"

#include <rapidcheck.h>
#include <rapidcheck/catch.h>
#include <rapidcheck/state.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "tests/support/fake_spa_memory.h"

namespace {

using hv::PagePool;
using machine::Spn;
using test_support::FakeSpaMemory;

bool is_zero(FakeSpaMemory& memory, Spn page) {
  const std::byte* const bytes = memory.bytes(page.value() * machine::kPageSize);
  return std::all_of(bytes, bytes + machine::kPageSize,
                     [](std::byte value) { return value == std::byte{0}; });
}

/// Where each of the pages is, by the interface's words.
struct Model {
  std::set<std::uint64_t> outside;
  std::set<std::uint64_t> available;
  std::set<std::uint64_t> in_use;
};

struct System {
  FakeSpaMemory memory;
  PagePool pool;
};

using Command = rc::state::Command<Model, System>;

void check_counts(const Model& model, const System& system) {
  RC_ASSERT(system.pool.available() == model.available.size());
  RC_ASSERT(system.pool.in_use() == model.in_use.size());
}

struct Deposit : Command {
  std::uint64_t page = 0;
  explicit Deposit(const Model& model) {
    RC_PRE(!model.outside.empty());
    page = *rc::gen::elementOf(model.outside);
  }
  void checkPreconditions(const Model& model) const override {
    RC_PRE(model.outside.contains(page));
  }
  void apply(Model& model) const override {
    model.outside.erase(page);
    model.available.insert(page);
  }
  void run(const Model& model, System& system) const override {
    system.pool.deposit(Spn(page));
    check_counts(nextState(model), system);
  }
};

/// Which page comes is the pool's choice, so the model learns it: only the counts are compared.
struct TakeAll : Command {
  void checkPreconditions(const Model&) const override {}
  void apply(Model& model) const override {
    model.in_use.insert(model.available.begin(), model.available.end());
    model.available.clear();
  }
  void run(const Model& model, System& system) const override {
    std::set<std::uint64_t> taken;
    while (const std::optional<Spn> page = system.pool.take()) {
      RC_ASSERT(is_zero(system.memory, *page));
      RC_ASSERT(taken.insert(page->value()).second);
    }
    RC_ASSERT(taken == model.available);
    check_counts(nextState(model), system);
  }
};

struct Give : Command {
  std::uint64_t page = 0;
  explicit Give(const Model& model) {
    RC_PRE(!model.in_use.empty());
    page = *rc::gen::elementOf(model.in_use);
  }
  void checkPreconditions(const Model& model) const override {
    RC_PRE(model.in_use.contains(page));
  }
  void apply(Model& model) const override {
    model.in_use.erase(page);
    model.available.insert(page);
  }
  void run(const Model& model, System& system) const override {
    system.memory.set(page * machine::kPageSize + 100, 0xDEADu);  // it was in use
    system.pool.give(Spn(page));
    check_counts(nextState(model), system);
  }
};

struct WithdrawAll : Command {
  void checkPreconditions(const Model&) const override {}
  void apply(Model& model) const override {
    model.outside.insert(model.available.begin(), model.available.end());
    model.available.clear();
  }
  void run(const Model& model, System& system) const override {
    std::set<std::uint64_t> withdrawn;
    while (const std::optional<Spn> page = system.pool.withdraw()) {
      RC_ASSERT(is_zero(system.memory, *page));
      RC_ASSERT(withdrawn.insert(page->value()).second);
    }
    RC_ASSERT(withdrawn == model.available);
    check_counts(nextState(model), system);
  }
};

}  // namespace

TEST_CASE("a pool has what was deposited, once, and hands it out zeroed", "[hv][pool]") {
  rc::prop("deposits", [] {
    Model model;
    for (std::uint64_t page = 0; page < 12; ++page) {
      model.outside.insert(page);
    }
    System system;
    rc::state::check(model, system,
                     rc::state::gen::execOneOfWithArgs<Deposit, TakeAll, Give, WithdrawAll>());
  });
}

TEST_CASE("an empty pool gives nothing and stays as it is", "[hv][pool]") {
  FakeSpaMemory memory;
  PagePool pool;
  CHECK_FALSE(pool.take());
  CHECK_FALSE(pool.withdraw());
  CHECK(pool.available() == 0);
  CHECK(pool.in_use() == 0);
  CHECK(memory.log.empty());
}

TEST_CASE("a pool with more pages than one list has room for loses none", "[hv][pool]") {
  FakeSpaMemory memory;
  PagePool pool;
  constexpr std::uint64_t kPages = 1600;
  for (std::uint64_t page = 0; page < kPages; ++page) {
    pool.deposit(Spn(page));
  }
  std::set<std::uint64_t> taken;
  for (std::uint64_t count = 0; count < kPages; ++count) {
    const std::optional<Spn> page = pool.take();
    REQUIRE(page);
    taken.insert(page->value());
  }
  CHECK(taken.size() == kPages);
  CHECK_FALSE(pool.take());
}
