#include "scenarios/judgement.h"

#include <fmt/format.h>

#include <algorithm>

namespace scenarios {
namespace {

class Judge {
 public:
  Judge(const Scenario& scenario, const sim::RunResult& result)
      : scenario_(scenario),
        result_(result),
        violations_(result.violations),
        evaluated_(result.always) {}

  void check_end() {
    ++evaluated_["no deadlock: the run comes to its end"];
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

  /// Child `child` logs `[child N] disk D sha256 DIGEST`, once or more, and is right each time.
  void check_digest(std::uint32_t child, std::uint32_t disk, const std::string& expected,
                    std::string_view property) {
    ++evaluated_[std::string(property)];
    const std::string prefix = fmt::format("[child {}] disk {} sha256 ", child, disk);
    bool told = false;
    for (const sim::ConsoleLine& line : result_.console) {
      if (!line.text.starts_with(prefix)) {
        continue;
      }
      told = true;
      const std::string_view digest = std::string_view(line.text).substr(prefix.size());
      if (digest != expected) {
        report(std::string(property), fmt::format("child {} found disk {} to be {}, it is {}",
                                                  child, disk, digest, expected));
      }
    }
    if (!told) {
      report(std::string(property),
             fmt::format("child {} did not log the digest of disk {}", child, disk));
    }
  }

  void check_digests(const Expectation& expectation) {
    for (std::uint32_t child = 1; child <= scenario_.partitions.children; ++child) {
      if (expectation.data_disk_digest) {
        check_digest(child, 0, *expectation.data_disk_digest,
                     "every child reads the whole data disk as it is");
      }
      if (child <= expectation.scratch_digests.size()) {
        check_digest(child, 1, expectation.scratch_digests[child - 1],
                     "what was flushed survives the loss of power");
      }
    }
  }

  void check_undisturbed(const Expectation& expectation) {
    constexpr std::string_view kProperty = "a child that works notices nothing of those that lie";
    for (std::uint32_t child = 1; child <= expectation.undisturbed_logs.size(); ++child) {
      ++evaluated_[std::string(kProperty)];
      const std::vector<std::string> log = log_of_child(result_, child);
      const std::vector<std::string>& undisturbed = expectation.undisturbed_logs[child - 1];
      const auto [here, there] = std::ranges::mismatch(log, undisturbed);
      if (here != log.end() || there != undisturbed.end()) {
        report(std::string(kProperty),
               fmt::format("child {} logs {} as its line {}, and {} when nobody lies", child,
                           here != log.end() ? "\"" + *here + "\"" : "nothing",
                           1 + (here - log.begin()),
                           there != undisturbed.end() ? "\"" + *there + "\"" : "nothing"));
      }
    }
  }

  Judgement take() {
    return {.violations = std::move(violations_), .evaluated = std::move(evaluated_)};
  }

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
  std::map<std::string, std::uint64_t> evaluated_;
};

}  // namespace

std::vector<std::string> log_of_child(const sim::RunResult& result, std::uint32_t child) {
  const std::string prefix = fmt::format("[child {}] ", child);
  std::vector<std::string> lines;
  for (const sim::ConsoleLine& line : result.console) {
    if (line.text.starts_with(prefix)) {
      lines.push_back(line.text.substr(prefix.size()));
    }
  }
  return lines;
}

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
      judge.check_digests(expectation);
      judge.check_undisturbed(expectation);
    }
  }
  Judgement judgement = judge.take();
  const bool ordinary = result.outcome != sim::Outcome::kViolation;
  judgement.verdict = harness_failed                             ? Verdict::kBroken
                      : judgement.violations.empty() && ordinary ? Verdict::kPass
                                                                 : Verdict::kFail;
  return judgement;
}

}  // namespace scenarios
