#include "tests/interface/case_run.h"

#include <fmt/core.h>

#include <optional>

#include "machine/guest.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/test_kernel.h"

namespace interface_test {
namespace {

using test_kernel::begin;
using test_kernel::check;

constexpr std::uint32_t kNoAnswer = ~0u;
/// Ends a run whose child answered: the line of a failed check is never 0, and this is not a line.
constexpr std::uint64_t kLookAgainNs = 100'000;

/// The row under way, in the form that all kinds share. The computer runs in the test's own
/// process, so its guests reach this.
struct Row {
  std::uint32_t (*make)(const void* row) = nullptr;
  const void* row = nullptr;
  RootStep before = nullptr;
  RootStep after = nullptr;
  EarlyStep early = nullptr;
  std::uint32_t answer = kNoAnswer;
};
Row* current = nullptr;

void root_alone() {
  begin();
  current->answer = current->make(current->row);
  test_kernel::end(0);
}

void child_that_makes_it() {
  if (current->early == nullptr) {
    begin();
  }
  current->answer = current->make(current->row);
  for (;;) {
    machine::sti_hlt();
  }
}

void child_that_waits() {
  for (;;) {
    machine::sti_hlt();
  }
}

void root_beside_child() {
  begin();
  const child_maker::Child child = child_maker::make("child", 1, current->early);
  if (current->before != nullptr) {
    current->before(child);
  }
  child_maker::start(child, 0);
  while (current->answer == kNoAnswer) {
    machine::spend(kLookAgainNs);
    machine::pause();
  }
  if (current->after != nullptr) {
    current->after(child);
  }
  test_kernel::end(0);
}

/// What went wrong with the run itself; empty if nothing.
std::string run_world(Row& row, Caller caller) {
  current = &row;
  const bool by_root = caller == Caller::kRoot;
  const sim::RunResult result = test_kernel::run(test_kernel::world_with_child(
      by_root ? root_alone : root_beside_child, by_root ? child_that_waits : child_that_makes_it,
      by_root ? child_that_waits : nullptr));
  current = nullptr;
  return result.passed() ? std::string() : test_kernel::describe(result);
}

template <class Case>
std::string run_answered(const Case& row, std::string_view (*name)(std::uint32_t)) {
  Row general;
  general.make = [](const void* which) {
    return static_cast<std::uint32_t>(static_cast<const Case*>(which)->make());
  };
  general.row = &row;
  general.before = row.before;
  general.after = row.after;
  general.early = row.early;
  std::string failure = run_world(general, row.caller);
  const auto expected = static_cast<std::uint32_t>(row.expected);
  if (general.answer != kNoAnswer && general.answer != expected) {
    failure += fmt::format(" answered {} (0x{:X}), expected {} (0x{:X})", name(general.answer),
                           general.answer, name(expected), expected);
  }
  return failure;
}

}  // namespace

MsrOutcome read(std::uint32_t msr) {
  const auto value = machine::try_read_msr(msr);
  GUEST_CHECK(value ||
              value.error() == (machine::Exception{machine::x86::kVectorGeneralProtection, 0}));
  return value ? MsrOutcome::kWorks : MsrOutcome::kFaults;
}

MsrOutcome write(std::uint32_t msr, std::uint64_t value) {
  const auto written = machine::try_write_msr(msr, value);
  GUEST_CHECK(written ||
              written.error() == (machine::Exception{machine::x86::kVectorGeneralProtection, 0}));
  return written ? MsrOutcome::kWorks : MsrOutcome::kFaults;
}

MsrOutcome write_and_read_back(std::uint32_t msr, std::uint64_t value) {
  if (write(msr, value) == MsrOutcome::kFaults) {
    return MsrOutcome::kFaults;
  }
  const auto back = machine::try_read_msr(msr);
  GUEST_CHECK(back && *back == value);
  return MsrOutcome::kWorks;
}

child_maker::Child make_child(std::uint32_t vp_count) {
  return child_maker::make("child", vp_count);
}

std::string run(const CallCase& row) {
  return run_answered(
      row, [](std::uint32_t status) { return hv::status_name(static_cast<hv::Status>(status)); });
}

std::string run(const MsrCase& row) {
  return run_answered(row, [](std::uint32_t outcome) {
    return outcome == static_cast<std::uint32_t>(MsrOutcome::kWorks) ? std::string_view("no fault")
                                                                     : std::string_view("#GP");
  });
}

std::string run(const LeafCase& row) {
  Row general;
  general.make = [](const void* which) -> std::uint32_t {
    static_cast<const LeafCase*>(which)->check();
    return 0;
  };
  general.row = &row;
  general.before = row.before;
  general.early = row.early;
  return run_world(general, row.caller);
}

}  // namespace interface_test
