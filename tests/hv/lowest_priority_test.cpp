// Interrupts for the processor that does the least urgent work (SDM vol. 3 10.6.2.4), against a
// model of a child's local APICs, on the whole hypervisor in the simulator.
#include <array>
#include <catch2/catch.hpp>
#include <optional>
#include <random>
#include <set>
#include <span>

#include "hv/tlfs/tlfs.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::RegisterName;
using hv::Status;
using Input = hv::AssertVirtualInterruptInput;
namespace x86 = machine::x86;

constexpr std::uint32_t kProcessors = 5;
constexpr std::uint32_t kFirstVector = 0x20;
constexpr std::uint64_t kX2ApicBase = 0xFEE0'0C00;
constexpr std::uint64_t kBootstrap = 0x100;
constexpr std::uint32_t kEverybody = 0xFFFF'FFFF;

std::uint64_t seed_of_run = 0;

struct Apic {
  bool enabled = false;
  std::uint32_t task_priority = 0;
  std::set<std::uint32_t> requested;
  std::set<std::uint32_t> level;
};

RegisterName apic_register(std::uint32_t msr) {
  return static_cast<RegisterName>(static_cast<std::uint32_t>(RegisterName::kApicFirst) + msr -
                                   x86::kX2ApicFirst);
}

/// A child whose processors wait to be started: nothing that is requested is taken.
class Waiting {
 public:
  explicit Waiting(std::uint64_t seed) : child_(child_maker::make("child", kProcessors)) {
    draws_.seed(seed);
    for (std::uint32_t vp = 0; vp < kProcessors; ++vp) {
      child_maker::set_register(child_, vp, RegisterName::kApicBase,
                                kX2ApicBase | (vp == 0 ? kBootstrap : 0));
    }
  }
  void step(std::uint32_t vector);
  void destroy() { child_maker::destroy(child_); }

 private:
  std::uint32_t draw(std::uint32_t limit) { return static_cast<std::uint32_t>(draws_() % limit); }
  void change_one();
  [[nodiscard]] std::set<std::uint32_t> destinations(std::uint32_t id, bool logical) const;
  [[nodiscard]] std::set<std::uint32_t> least_urgent(const std::set<std::uint32_t>& among) const;
  [[nodiscard]] Status assert_it(std::uint32_t id, std::uint64_t flags, std::uint32_t vector) const;
  [[nodiscard]] bool shows(std::uint32_t vp, std::uint32_t first_msr, std::uint32_t vector) const;
  void find(std::uint32_t vector, bool level, const std::set<std::uint32_t>& expected);
  void check_all() const;

  std::mt19937_64 draws_;
  child_maker::Child child_;
  std::array<Apic, kProcessors> apics_;
};

void Waiting::change_one() {
  const std::uint32_t vp = draw(kProcessors);
  Apic& apic = apics_[vp];
  if (draw(3) == 0) {
    apic.enabled = !apic.enabled;
    child_maker::set_register(child_, vp, apic_register(x86::kX2ApicSvr),
                              apic.enabled ? 0x1FF : 0xFF);
  } else {
    apic.task_priority = draw(8) * 8;
    child_maker::set_register(child_, vp, apic_register(x86::kX2ApicTpr), apic.task_priority);
  }
}

std::set<std::uint32_t> Waiting::destinations(std::uint32_t id, bool logical) const {
  std::set<std::uint32_t> found;
  for (std::uint32_t vp = 0; vp < kProcessors; ++vp) {
    if (id == kEverybody || (logical ? id >> 16 == 0 && ((id >> vp) & 1) != 0 : id == vp)) {
      found.insert(vp);
    }
  }
  return found;
}

/// Those with the lowest priority; any of them may get it.
std::set<std::uint32_t> Waiting::least_urgent(const std::set<std::uint32_t>& among) const {
  std::set<std::uint32_t> found;
  std::optional<std::uint32_t> least;
  for (const std::uint32_t vp : among) {
    if (!apics_[vp].enabled) {
      continue;
    }
    if (!least || apics_[vp].task_priority < *least) {
      found.clear();
      least = apics_[vp].task_priority;
    }
    if (apics_[vp].task_priority == *least) {
      found.insert(vp);
    }
  }
  return found;
}

Status Waiting::assert_it(std::uint32_t id, std::uint64_t flags, std::uint32_t vector) const {
  Input input;
  input.partition = child_.id;
  input.control = static_cast<std::uint64_t>(hv::VirtualInterruptType::kLowestPriority) | flags;
  input.destination = id;
  input.vector = vector;
  return call(HypercallControl(CallCode::kAssertVirtualInterrupt), input).status();
}

bool Waiting::shows(std::uint32_t vp, std::uint32_t first_msr, std::uint32_t vector) const {
  const hv::VpRegistersInput header{child_.id, hv::VpIndex{vp}, 0, {}};
  const std::array<RegisterName, 1> names{apic_register(first_msr + vector / 32)};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const RegisterName>(names))
                  .status() == Status::kSuccess);
  return ((output<hv::RegisterValue>().low >> (vector % 32)) & 1) != 0;
}

/// Exactly one of `expected` has been asked for the interrupt; nobody, if that is empty.
void Waiting::find(std::uint32_t vector, bool level, const std::set<std::uint32_t>& expected) {
  std::uint32_t found = 0;
  for (std::uint32_t vp = 0; vp < kProcessors; ++vp) {
    if (!shows(vp, x86::kX2ApicIrr0, vector)) {
      continue;
    }
    ++found;
    GUEST_CHECK(expected.contains(vp));
    GUEST_CHECK(shows(vp, x86::kX2ApicTmr0, vector) == level);
    apics_[vp].requested.insert(vector);
    if (level) {
      apics_[vp].level.insert(vector);
    }
  }
  GUEST_CHECK(found == (expected.empty() ? 0u : 1u));
}

void Waiting::check_all() const {
  for (std::uint32_t vp = 0; vp < kProcessors; ++vp) {
    for (std::uint32_t vector = kFirstVector; vector < 0x100; ++vector) {
      GUEST_CHECK(shows(vp, x86::kX2ApicIrr0, vector) == apics_[vp].requested.contains(vector));
    }
  }
}

void Waiting::step(std::uint32_t vector) {
  change_one();
  const bool logical = draw(2) == 0;
  const std::uint32_t id = draw(6) == 0 ? kEverybody : draw(logical ? 0x40 : kProcessors + 2);
  const std::set<std::uint32_t> among = destinations(id, logical);
  const Status expected = among.empty() ? Status::kInvalidVpIndex : Status::kSuccess;
  const bool level = draw(3) == 0;
  const std::uint64_t flags =
      (logical ? Input::kLogicalDestination : 0) | (level ? Input::kLevel : 0);
  if (level && draw(3) == 0) {
    // Whoever got it, and took it not yet, has it no more.
    GUEST_CHECK(assert_it(id, flags, Input::kDeassert) == expected);
    for (const std::uint32_t vp : among) {
      for (const std::uint32_t withdrawn : apics_[vp].level) {
        apics_[vp].requested.erase(withdrawn);
      }
      apics_[vp].level.clear();
    }
    check_all();
    return;
  }
  GUEST_CHECK(assert_it(id, flags, vector) == expected);
  find(vector, level, least_urgent(among));
}

void root() {
  begin();
  Waiting waiting(seed_of_run);
  for (std::uint32_t vector = kFirstVector; vector < 0x100; ++vector) {
    waiting.step(vector);
  }
  waiting.destroy();
  end(0);
}

void child() { end(99); }

}  // namespace

TEST_CASE("an interrupt of lowest priority goes to one of the least urgent of its destinations",
          "[hv][apic][interrupt]") {
  for (seed_of_run = 1; seed_of_run <= 5; ++seed_of_run) {
    sim::WorldConfiguration configuration = world_with_child(root, child);
    configuration.limits.virtual_ns = 10'000'000'000;
    const sim::RunResult result = run(configuration, seed_of_run);
    INFO("seed " << seed_of_run << " " << describe(result));
    REQUIRE(result.passed());
  }
}
