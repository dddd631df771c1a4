// What a parent wants to hear of: sets that grow into the pages of a pool.
#include "hv/intercept_set.h"

#include <rapidcheck.h>
#include <rapidcheck/catch.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "tests/support/fake_spa_memory.h"

namespace {

using hv::InterceptSet;
using hv::Status;
using machine::Spn;
using test_support::FakeSpaMemory;

constexpr std::uint16_t kLastOfFirstHalf = 0x7FFF;

void deposit(hv::PagePool& pool, std::uint64_t count) {
  for (std::uint64_t page = 0; page < count; ++page) {
    pool.deposit(Spn(0x100 + page));
  }
}

}  // namespace

TEST_CASE("the ports that are wanted are those that were added last and not removed since",
          "[hv][intercept]") {
  rc::prop("the ports that are wanted are those that were added last and not removed since", [] {
    FakeSpaMemory memory;
    hv::PagePool pool;
    deposit(pool, 2);
    InterceptSet wanted(pool);
    std::set<std::uint32_t> model;
    const auto near = rc::gen::element<std::uint32_t>(0, 0x60, 0x7FC0, 0x8000, 0xFFC0);
    const auto port = rc::gen::map(rc::gen::pair(near, rc::gen::inRange<std::uint32_t>(0, 0x40)),
                                   [](const auto& parts) { return parts.first + parts.second; });
    const auto steps =
        *rc::gen::container<std::vector<std::tuple<bool, std::uint32_t, std::uint32_t>>>(
            rc::gen::tuple(rc::gen::arbitrary<bool>(), port, port));
    for (const auto& [install, one, other] : steps) {
      const auto first = static_cast<std::uint16_t>(std::min(one, other));
      const auto last = static_cast<std::uint16_t>(std::max(one, other));
      if (install) {
        RC_ASSERT(wanted.ports.add(first, last) == Status::kSuccess);
      } else {
        wanted.ports.remove(first, last);
      }
      for (std::uint32_t number = first; number <= last; ++number) {
        install ? void(model.insert(number)) : void(model.erase(number));
      }
    }
    const std::uint64_t halves = (model.lower_bound(0x8000) != model.begin() ? 1u : 0u) +
                                 (model.lower_bound(0x8000) != model.end() ? 1u : 0u);
    RC_ASSERT(pool.in_use() == halves);
    for (int probe = 0; probe < 50; ++probe) {
      const std::uint32_t first = *port;
      const auto size = *rc::gen::element<std::uint8_t>(1, 2, 4);
      const auto next = model.lower_bound(first);
      const bool expected = next != model.end() && *next < first + size;
      RC_ASSERT(wanted.wants_port(static_cast<std::uint16_t>(first), size) == expected);
    }
    wanted.destroy();
    RC_ASSERT(pool.in_use() == 0);
  });
}

TEST_CASE("ports that find no page are refused, and a page more lets them in", "[hv][intercept]") {
  FakeSpaMemory memory;
  hv::PagePool pool;
  InterceptSet wanted(pool);
  CHECK(wanted.ports.add(0x80, 0x80) == Status::kInsufficientMemory);
  pool.deposit(Spn(0x100));
  // Both halves want a page each: none is taken for one alone.
  CHECK(wanted.ports.add(kLastOfFirstHalf, kLastOfFirstHalf + 1) == Status::kInsufficientMemory);
  CHECK(pool.in_use() == 0);
  CHECK(wanted.ports.add(0x80, 0x80) == Status::kSuccess);
  CHECK(wanted.ports.add(kLastOfFirstHalf, kLastOfFirstHalf + 1) == Status::kInsufficientMemory);
  CHECK_FALSE(wanted.wants_port(kLastOfFirstHalf, 1));
  pool.deposit(Spn(0x101));
  CHECK(wanted.ports.add(kLastOfFirstHalf, kLastOfFirstHalf + 1) == Status::kSuccess);
  CHECK(wanted.wants_port(kLastOfFirstHalf - 1, 4));
  wanted.ports.remove(0, 0xFFFF);
  CHECK(pool.in_use() == 0);
}

TEST_CASE("MSRs and leaves are wanted for the accesses that were said last", "[hv][intercept]") {
  rc::prop("MSRs and leaves are wanted for the accesses that were said last", [] {
    FakeSpaMemory memory;
    hv::PagePool pool;
    deposit(pool, 2);
    InterceptSet wanted(pool);
    std::map<std::uint32_t, std::uint32_t> model;
    const auto number = rc::gen::inRange<std::uint32_t>(0, 40);
    const auto steps = *rc::gen::container<std::vector<std::pair<std::uint32_t, std::uint32_t>>>(
        rc::gen::pair(number, rc::gen::inRange<std::uint32_t>(0, 4)));
    for (const auto& [msr, access] : steps) {
      RC_ASSERT(wanted.msrs.set(msr, access) == Status::kSuccess);
      RC_ASSERT(wanted.leaves.set(msr, access & 1) == Status::kSuccess);
      model[msr] = access;
    }
    for (std::uint32_t msr = 0; msr < 40; ++msr) {
      RC_ASSERT(wanted.wants_msr(msr, false) == ((model[msr] & 1) != 0));
      RC_ASSERT(wanted.wants_msr(msr, true) == ((model[msr] & 2) != 0));
      RC_ASSERT(wanted.wants_cpuid(msr) == ((model[msr] & 1) != 0));
    }
    wanted.destroy();
    RC_ASSERT(pool.in_use() == 0);
    RC_ASSERT(!wanted.wants_msr(1, true));
  });
}

TEST_CASE("MSRs that find no room are refused, and a page more lets them in", "[hv][intercept]") {
  FakeSpaMemory memory;
  hv::PagePool pool;
  InterceptSet wanted(pool);
  std::uint32_t count = 0;
  while (wanted.msrs.set(count, 1) == Status::kSuccess) {
    ++count;
  }
  CHECK(count > 0);
  CHECK(wanted.msrs.set(count, 1) == Status::kInsufficientMemory);
  CHECK(wanted.msrs.set(count, 0) == Status::kSuccess);  // nothing to take out
  CHECK(wanted.msrs.set(0, 3) == Status::kSuccess);
  pool.deposit(Spn(0x100));
  CHECK(wanted.msrs.set(count, 1) == Status::kSuccess);
  for (std::uint32_t msr = 0; msr <= count; ++msr) {
    CHECK(wanted.wants_msr(msr, false));
  }
}
