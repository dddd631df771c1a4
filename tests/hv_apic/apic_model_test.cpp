// The local APIC beside one by the manual: whatever a guest, its devices and its parent do, in
// whatever order, both show the same in every register and send, take and end the same.
#include <rapidcheck.h>

#include <catch2/catch.hpp>

#include "hv/apic/local_apic.h"
#include "machine/x86.h"
#include "tests/hv_apic/apic_reference.h"

namespace {

using hv::ApicMode;
using hv::ApicWriteOutcome;
namespace x86 = machine::x86;
using Outcome = apic_reference::Outcome;

constexpr std::uint32_t kRegisterCount = 0x40;

/// An APIC and its reference, which everything is done to.
struct Pair {
  explicit Pair(std::uint32_t id) : reference(id) { apic.reset(id); }
  hv::LocalApic apic;
  apic_reference::LocalApic reference;
  std::uint64_t now = 0;
};

void check_same(const Pair& pair) {
  RC_ASSERT(pair.apic.mode() == pair.reference.mode());
  for (std::uint32_t number = 0; number < 0x100; ++number) {
    const auto shown = pair.apic.read(x86::kX2ApicFirst + number, pair.now);
    const auto expected = number < kRegisterCount ? pair.reference.read_msr(number, pair.now)
                                                  : std::optional<std::uint64_t>();
    if (shown != expected) {
      RC_LOG() << "register " << number << " shows " << shown.value_or(~0ull) << ", not "
               << expected.value_or(~0ull) << "\n";
    }
    RC_ASSERT(shown == expected);
  }
  RC_ASSERT(pair.apic.deliverable() == pair.reference.next());
  RC_ASSERT(pair.apic.processor_priority() == pair.reference.priority());
  RC_ASSERT(pair.apic.timer_deadline() == pair.reference.timer_due());
  RC_ASSERT(pair.apic.cr8() == pair.reference.task_priority / 16);
}

void check_outcome(const ApicWriteOutcome& done, const Outcome& expected) {
  using Kind = ApicWriteOutcome::Kind;
  switch (expected.kind) {
    case Outcome::Kind::kFault:
      RC_ASSERT(done.kind == Kind::kFault);
      break;
    case Outcome::Kind::kNothing:
      RC_ASSERT((done.kind == Kind::kDone || done.kind == Kind::kTimerChanged));
      break;
    case Outcome::Kind::kEnds:
      RC_ASSERT(done.kind == Kind::kEndOfInterrupt);
      RC_ASSERT(done.level_vector == expected.level_vector);
      break;
    case Outcome::Kind::kSends: {
      RC_ASSERT(done.kind == Kind::kSendInterrupt);
      const std::uint64_t value = expected.command;
      RC_ASSERT(done.command.vector == (value & 0xFF));
      RC_ASSERT(static_cast<std::uint64_t>(done.command.delivery) == ((value >> 8) & 7));
      RC_ASSERT(done.command.destination.logical == (((value >> 11) & 1) != 0));
      RC_ASSERT(static_cast<std::uint64_t>(done.command.shorthand) == ((value >> 18) & 3));
      RC_ASSERT(done.command.destination.id == value >> 32);
      RC_ASSERT(!done.command.level);
      RC_ASSERT(!done.command.deassert);
      break;
    }
  }
}

// --- What there is to do ------------------------------------------------------------------------

std::uint8_t any_vector() {
  // Few enough to meet each other, illegal ones among them.
  return *rc::gen::oneOf(rc::gen::element<std::uint8_t>(0x0F, 0x10, 0x31, 0x3F, 0x41, 0x45, 0xFF),
                         rc::gen::arbitrary<std::uint8_t>());
}

std::uint64_t any_command() {
  const std::uint64_t low = any_vector() | (*rc::gen::inRange<std::uint64_t>(0, 16) << 8) |
                            (*rc::gen::inRange<std::uint64_t>(0, 16) << 12) |
                            (*rc::gen::inRange<std::uint64_t>(0, 4) << 18);
  const std::uint64_t id = *rc::gen::element<std::uint64_t>(0, 3, 0x12, 0xFF, 0xFFFF'FFFF);
  return low | (id << 32);
}

/// For a register: mostly what it takes.
std::uint64_t any_value(std::uint32_t number) {
  if (*rc::gen::inRange(0, 8) == 0) {
    return *rc::gen::oneOf(rc::gen::arbitrary<std::uint64_t>(),
                           rc::gen::inRange<std::uint64_t>(0, 0x80000));
  }
  switch (number) {
    case 0x0B:
    case 0x28:
      return 0;
    case 0x0F:
      return *rc::gen::element<std::uint64_t>(0x1FF, 0x1FF, 0x11FF, 0xFF, 0x10FF);
    case 0x30:
      return any_command();
    case 0x32:
      return any_vector() | *rc::gen::element<std::uint64_t>(0, 0x10000, 0x20000, 0x30000, 0x40000,
                                                             0x50000, 0x60000);
    case 0x37:
      return any_vector() | *rc::gen::element<std::uint64_t>(0, 0, 0x10000, 0x1000);
    case 0x38:
      return *rc::gen::element<std::uint64_t>(0, 1, 10, 1000, 0xFFFF'FFFF);
    case 0x3E:
      return *rc::gen::inRange<std::uint64_t>(0, 12) & 0xB;
    case 0x0D:
    case 0x0E:
    case 0x31:
      return *rc::gen::inRange<std::uint64_t>(0, 256) << 24;
    default:
      return any_vector();
  }
}

std::uint32_t any_register() {
  return *rc::gen::oneOf(
      rc::gen::element(0x08u, 0x0Bu, 0x0Fu, 0x28u, 0x30u, 0x32u, 0x37u, 0x38u, 0x3Eu, 0x3Fu),
      rc::gen::element(0x0Du, 0x0Eu, 0x31u, 0x32u, 0x38u), rc::gen::inRange(0u, kRegisterCount));
}

/// A guest's write, as its mode has it: an MSR, the page, or the synthetic MSRs, which are MSRs.
void write(Pair& pair) {
  const std::uint32_t number = any_register();
  const std::uint64_t value = any_value(number);
  if (pair.apic.mode() == ApicMode::kXapic && *rc::gen::inRange(0, 4) != 0) {
    const auto low = static_cast<std::uint32_t>(value);
    check_outcome(pair.apic.write_page(number * 16, 4, value, pair.now),
                  pair.reference.write_page(number, low, pair.now));
    return;
  }
  check_outcome(pair.apic.write(x86::kX2ApicFirst + number, value, pair.now),
                pair.reference.write_msr(number, value, pair.now));
}

void read_page(Pair& pair) {
  const std::uint32_t number = any_register();
  RC_ASSERT(pair.apic.read_page(number * 16, 4, pair.now) ==
            pair.reference.read_page(number, pair.now));
}

void interrupt(Pair& pair) {
  const std::uint8_t vector = any_vector();
  const bool level = *rc::gen::inRange(0, 3) == 0;
  const bool auto_eoi = !level && *rc::gen::inRange(0, 3) == 0;
  RC_ASSERT(pair.apic.request(vector, level ? hv::Trigger::kLevel : hv::Trigger::kEdge, auto_eoi) ==
            pair.reference.accept(vector, level, auto_eoi));
}

void take(Pair& pair) {
  const auto vector = pair.reference.next();
  RC_ASSERT(pair.apic.deliverable() == vector);
  if (vector) {
    pair.apic.acknowledge(*vector);
    pair.reference.take(*vector);
  }
}

/// Time goes by; the hypervisor may look at the timer at once, or after something else.
void wait(Pair& pair, bool looks) {
  pair.now += *rc::gen::element<std::uint64_t>(0, 1, 3, 100, 5'000, 1'000'000);
  if (looks) {
    RC_ASSERT(pair.apic.expire_timer(pair.now) == pair.reference.let_time_pass(pair.now));
  }
}

void set_deadline(Pair& pair) {
  const std::uint64_t deadline =
      *rc::gen::element<std::uint64_t>(0, 1, pair.now, pair.now + 50, pair.now + 10'000, ~0ull);
  pair.apic.set_tsc_deadline(deadline, pair.now);
  pair.reference.set_deadline(deadline, pair.now);
  RC_ASSERT(pair.apic.tsc_deadline() == pair.apic.timer_deadline().value_or(0) ||
            pair.apic.tsc_deadline() == 0);
}

void change_mode(Pair& pair) {
  const ApicMode mode = *rc::gen::element(ApicMode::kDisabled, ApicMode::kXapic, ApicMode::kX2Apic);
  RC_ASSERT(pair.apic.set_mode(mode) == pair.reference.change_mode(mode));
}

void look_for(Pair& pair) {
  const std::uint32_t destination = *rc::gen::oneOf(
      rc::gen::inRange(0u, 0x100u), rc::gen::element(0x1'0004u, 0x1'FFFFu, 0xFFFF'FFFFu, 0x12u),
      rc::gen::arbitrary<std::uint32_t>());
  const bool logical = *rc::gen::arbitrary<bool>();
  RC_ASSERT(pair.apic.is_addressed_by({destination, logical}) ==
            pair.reference.hears(destination, logical));
}

void act(Pair& pair) {
  const int what = *rc::gen::inRange(0, 40);
  if (what < 14) {
    write(pair);
  } else if (what < 20) {
    interrupt(pair);
  } else if (what < 25) {
    take(pair);
  } else if (what < 27) {
    RC_ASSERT(pair.apic.end_of_interrupt() == pair.reference.end());
  } else if (what < 33) {
    wait(pair, what != 27);
  } else if (what == 33) {
    set_deadline(pair);
  } else if (what == 34) {
    change_mode(pair);
  } else if (what == 35) {
    read_page(pair);
  } else if (what == 36) {
    const auto level = *rc::gen::inRange<std::uint8_t>(0, 16);
    pair.apic.set_cr8(level);
    pair.reference.task_priority = static_cast<std::uint8_t>(level * 16);
  } else if (what == 37) {
    pair.apic.withdraw_level_triggered();
    pair.reference.withdraw_levels();
  } else if (what == 38) {
    look_for(pair);
  } else if (*rc::gen::inRange(0, 4) == 0) {
    pair.apic.init();
    pair.reference.restart();
  }
}

void enable(Pair& pair) {
  check_outcome(pair.apic.write(x86::kX2ApicSvr, 0x1FF, 0),
                pair.reference.write_msr(0x0F, 0x1FF, 0));
}

}  // namespace

TEST_CASE("a local APIC is the manual's in every register, whatever is done to it", "[hv][apic]") {
  CHECK(rc::check("any actions", [] {
    Pair pair(*rc::gen::element(0u, 1u, 0x12u, 0x25u, 0xFEu));
    check_same(pair);
    enable(pair);
    for (int step = 0; step < 120; ++step) {
      act(pair);
      check_same(pair);
    }
  }));
}

TEST_CASE("interrupts of all kinds are taken and ended in the manual's order", "[hv][apic]") {
  CHECK(rc::check("interrupts alone", [] {
    Pair pair(0);
    enable(pair);
    for (int step = 0; step < 200; ++step) {
      switch (*rc::gen::inRange(0, 4)) {
        case 0:
        case 1:
          interrupt(pair);
          break;
        case 2:
          take(pair);
          break;
        default:
          check_outcome(pair.apic.write(x86::kX2ApicEoi, 0, pair.now),
                        pair.reference.write_msr(0x0B, 0, pair.now));
          break;
      }
      check_same(pair);
    }
  }));
}

TEST_CASE("the timer runs out when the manual says, whatever its mode and rate become",
          "[hv][apic]") {
  CHECK(rc::check("the timer alone", [] {
    Pair pair(0);
    enable(pair);
    for (int step = 0; step < 200; ++step) {
      const int what = *rc::gen::inRange(0, 8);
      if (what < 4) {
        wait(pair, what != 0);
      } else if (what == 4) {
        set_deadline(pair);
      } else if (what == 5) {
        take(pair);
        RC_ASSERT(pair.apic.end_of_interrupt() == pair.reference.end());
      } else {
        const std::uint32_t number = *rc::gen::element(0x32u, 0x38u, 0x3Eu);
        const std::uint64_t value = any_value(number);
        check_outcome(pair.apic.write(x86::kX2ApicFirst + number, value, pair.now),
                      pair.reference.write_msr(number, value, pair.now));
      }
      check_same(pair);
    }
  }));
}

TEST_CASE("a command that the manual calls invalid is sent to nobody", "[hv][apic]") {
  for (std::uint64_t delivery = 0; delivery < 8; ++delivery) {
    for (std::uint64_t shorthand = 0; shorthand < 4; ++shorthand) {
      for (std::uint64_t trigger = 0; trigger < 4; ++trigger) {
        hv::LocalApic apic;
        apic.reset(0);
        const std::uint64_t value =
            0x41 | (delivery << 8) | (trigger << 14) | (shorthand << 18) | (7ull << 32);
        const bool to_itself = shorthand == 1 || shorthand == 2;
        const bool reserved = delivery == 3 || delivery == 7;
        const bool init_deassert = delivery == 5 && trigger == 2;
        const bool sent = !reserved && !init_deassert && (!to_itself || delivery == 0);
        const auto done = apic.write(x86::kX2ApicIcr, value, 0);
        INFO(delivery << " " << shorthand << " " << trigger);
        CHECK(done.kind ==
              (sent ? ApicWriteOutcome::Kind::kSendInterrupt : ApicWriteOutcome::Kind::kDone));
        CHECK(apic.read(x86::kX2ApicIcr, 0) == value);
      }
    }
  }
}
