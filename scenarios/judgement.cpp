#include "scenarios/judgement.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace scenarios {
namespace {

constexpr std::size_t kDigestCharacters = 64;

bool is_hexadecimal(char character) {
  return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'f');
}

/// The first run of exactly 64 hexadecimal digits in a line.
std::optional<std::string_view> find_digest(std::string_view line) {
  std::size_t begin = 0;
  while (begin < line.size()) {
    if (!is_hexadecimal(line[begin])) {
      ++begin;
      continue;
    }
    std::size_t end = begin;
    while (end < line.size() && is_hexadecimal(line[end])) {
      ++end;
    }
    if (end - begin == kDigestCharacters) {
      return line.substr(begin, kDigestCharacters);
    }
    begin = end;
  }
  return std::nullopt;
}

class Judge {
 public:
  Judge(const Scenario& scenario, const sim::RunResult& result)
      : scenario_(scenario), result_(result), violations_(result.violations) {}

  void check_end() {
    switch (result_.outcome) {
      case sim::Outcome::kStopped:
        if (result_.stop_code != 0) {
          report("the computer is switched off in good order",
                 fmt::format("it stopped with code {}", result_.stop_code));
        }
        return;
      case sim::Outcome::kTimeLimit:
        report("the run ends within its virtual time",
               fmt::format("after {} ns it still ran: deadlock, lost wake-up or too low a limit",
                           result_.virtual_ns));
        return;
      case sim::Outcome::kOperationLimit:
        report("the run ends within its operations",
               fmt::format("after {} operations it still ran", result_.events));
        return;
      case sim::Outcome::kViolation:
      case sim::Outcome::kHang:
      case sim::Outcome::kHarnessError:
        return;
    }
  }

  void check_evaluated() {
    for (const std::string& name : scenario_.properties.evaluated) {
      const auto found = result_.always.find(name);
      if (found == result_.always.end() || found->second == 0) {
        report("a required property was evaluated",
               fmt::format("\"{}\" was never evaluated", name));
      }
    }
    for (const std::string& name : scenario_.properties.reached) {
      const auto found = result_.sometimes.find(name);
      if (found == result_.sometimes.end() || found->second == 0) {
        report("a required coverage goal was reached", fmt::format("\"{}\" was never true", name));
      }
    }
  }

  void check_log() {
    for (const std::string& text : scenario_.properties.logged) {
      const bool found = std::ranges::any_of(
          result_.console,
          [&text](const sim::ConsoleLine& line) { return line.text.contains(text); });
      if (!found) {
        report("a required line was logged", fmt::format("no line contains \"{}\"", text));
      }
    }
  }

  void check_digests(const DiskMaterial& disk) {
    const std::string expected = sha256_of(disk);
    for (std::uint32_t child = 1; child <= scenario_.partitions.children; ++child) {
      const std::string prefix = fmt::format("[child {}] ", child);
      std::uint32_t right = 0;
      for (const sim::ConsoleLine& line : result_.console) {
        const auto digest = line.text.starts_with(prefix) ? find_digest(line.text)
                                                          : std::optional<std::string_view>();
        if (digest && *digest != expected) {
          report("a child reads the data disk as it is",
                 fmt::format("child {} computed {}, the disk is {}", child, *digest, expected));
        }
        right += digest && *digest == expected ? 1 : 0;
      }
      if (right == 0) {
        report("every child reads the whole data disk",
               fmt::format("child {} did not log the digest {}", child, expected));
      }
    }
  }

  std::vector<sim::Violation> take() { return std::move(violations_); }

 private:
  void report(std::string property, std::string message) {
    violations_.push_back({.property = std::move(property),
                           .virtual_ns = result_.virtual_ns,
                           .event = result_.events,
                           .message = std::move(message)});
  }

  const Scenario& scenario_;
  const sim::RunResult& result_;
  std::vector<sim::Violation> violations_;
};

}  // namespace

Judgement judge(const Scenario& scenario, const Expectation& expectation,
                const sim::RunResult& result) {
  Judge judge(scenario, result);
  const bool harness_failed =
      result.outcome == sim::Outcome::kHang || result.outcome == sim::Outcome::kHarnessError;
  const bool cut_short = expectation.may_be_cut_short && result.outcome == sim::Outcome::kTimeLimit;
  if (!harness_failed && !cut_short) {
    judge.check_end();
    // A run that was broken off says nothing of what it would have come to.
    if (result.passed()) {
      judge.check_evaluated();
      judge.check_log();
      if (expectation.data_disk != nullptr) {
        judge.check_digests(*expectation.data_disk);
      }
    }
  }
  Judgement judgement;
  judgement.violations = judge.take();
  const bool ordinary = result.outcome != sim::Outcome::kViolation;
  judgement.verdict = harness_failed                             ? Verdict::kBroken
                      : judgement.violations.empty() && ordinary ? Verdict::kPass
                                                                 : Verdict::kFail;
  return judgement;
}

}  // namespace scenarios
