// Runs seam_check (the program beside this file) on Bochs: one section for each property that it
// reports. A program that checks nothing has failed.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <string>
#include <vector>

#include "metal/launch/bochs.h"
#include "metal/launch/temporary_folder.h"
#include "tests/metal/on_bochs.h"

namespace {

constexpr std::size_t kProperties = 82;

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

TEST_CASE("disks can be used again after a run that was ended", "[metal][bochs]") {
  const metal::TemporaryFolder folder;
  const std::filesystem::path disk = folder.path() / "disk.img";
  std::ofstream(disk).close();
  std::filesystem::resize_file(disk, 16 << 20);
  metal::LaunchOptions options{.image = SEAM_CHECK_IMAGE, .processors = 2, .disks = {disk}};
  options.limit = std::chrono::milliseconds(500);
  CHECK(metal::run_bochs(options).end == metal::LaunchEnd::kHung);
  options.limit = std::chrono::seconds(180);
  CHECK(on_bochs::run(options).stop_code == 0);
}

TEST_CASE("the same image gives the same lines each time", "[metal][bochs]") {
  const metal::LaunchOptions options{.image = SEAM_CHECK_IMAGE, .processors = 2};
  CHECK(on_bochs::run(options).log == on_bochs::run(options).log);
}

TEST_CASE("a machine that lacks what the hypervisor needs is told what is missing",
          "[metal][bochs]") {
  struct Case {
    std::string cpu_model;
    std::vector<std::string> missing;
  };
  const std::vector<Case> cases = {
      {"p4_willamette", {"this processor has no 64-bit mode"}},
      {"athlon64_venice",
       {"this processor has no x2APIC",
        "this processor's local APIC timer has no TSC-deadline mode",
        "this processor has no VT-x, or a hypervisor beneath hides it"}},
      {"core2_penryn_t9600",
       {"this processor has no x2APIC",
        "this processor's local APIC timer has no TSC-deadline mode", "this processor has no EPT"}},
      {"corei5_lynnfield_750",
       {"this processor has no x2APIC",
        "this processor's local APIC timer has no TSC-deadline mode",
        "this processor has no unrestricted guest mode", "this processor has no XSAVEOPT"}},
  };
  for (const Case& one : cases) {
    INFO(one.cpu_model);
    const metal::LaunchResult result =
        on_bochs::run({.image = SEAM_CHECK_IMAGE, .cpu_model = one.cpu_model});
    CHECK(result.stop_code == 2);
    for (const std::string& line : one.missing) {
      INFO(line);
      CHECK(std::ranges::find(result.reports, line) != result.reports.end());
    }
  }
}
