// Runs seam_check (the program beside this file) on Bochs: one section for each property that it
// reports. A program that checks nothing has failed.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "metal/launch/bochs.h"
#include "tests/metal/on_bochs.h"

namespace {

constexpr std::size_t kProperties = 75;

struct Verdict {
  std::string property;
  bool holds = false;
};

std::vector<Verdict> verdicts_of(const std::vector<std::string>& log) {
  std::vector<Verdict> verdicts;
  for (const std::string& line : log) {
    if (line.starts_with("PASS ") || line.starts_with("FAIL ")) {
      verdicts.push_back({line.substr(5), line.starts_with("PASS ")});
    }
  }
  return verdicts;
}

}  // namespace

TEST_CASE("every function of the seam does on the real computer what its contract says",
          "[metal][bochs]") {
  const metal::LaunchResult result = on_bochs::run({.image = SEAM_CHECK_IMAGE, .processors = 2});
  const std::vector<Verdict> verdicts = verdicts_of(result.log);
  CHECK(verdicts.size() == kProperties);
  for (const Verdict& verdict : verdicts) {
    INFO(verdict.property);
    CHECK(verdict.holds);
  }
  CHECK(result.stop_code == 0);
}

TEST_CASE("a program that stops with an error code is told from one that succeeds",
          "[metal][bochs]") {
  // On one processor the check of the second one fails.
  const metal::LaunchResult result = on_bochs::run({.image = SEAM_CHECK_IMAGE, .processors = 1});
  CHECK(result.stop_code == 1);
}

TEST_CASE("a run that takes longer than its limit is ended and called hung", "[metal][bochs]") {
  const metal::LaunchResult result = metal::run_bochs(
      {.image = SEAM_CHECK_IMAGE, .processors = 2, .limit = std::chrono::milliseconds(100)});
  CHECK(result.end == metal::LaunchEnd::kHung);
  CHECK_FALSE(result.emulator_messages.empty());
}

TEST_CASE("the same image gives the same lines each time", "[metal][bochs]") {
  const metal::LaunchOptions options{.image = SEAM_CHECK_IMAGE, .processors = 2};
  CHECK(on_bochs::run(options).log == on_bochs::run(options).log);
}
