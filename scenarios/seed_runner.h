// Many seeds of one scenario, several worlds at once; failures leave their recordings behind.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/run.h"

namespace scenarios {

struct SeedRange {
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  [[nodiscard]] std::uint64_t count() const { return last - first + 1; }
};

/// A decimal number of 64 bits and nothing else.
[[nodiscard]] std::optional<std::uint64_t> parse_seed(std::string_view text);

/// "7" or "1..100"; the error says what would be right.
[[nodiscard]] std::expected<SeedRange, std::string> parse_seeds(const std::string& text);

struct RunPlan {
  const Scenario& scenario;
  const Materials& materials;
  SeedRange seeds;
  std::uint32_t jobs = 1;
  std::optional<std::uint64_t> until_ns;
  /// Records every run; with several seeds, the seed is put before the file's extension.
  std::optional<std::filesystem::path> record;
  /// Where recordings of failed runs go when `record` does not say.
  std::filesystem::path failure_folder = ".";
  sim::TraceRecorder* trace_recorder = nullptr;
  std::function<void(const std::string& line, std::uint64_t virtual_ns)> on_console_line;
  std::function<void(std::uint64_t events, std::uint64_t virtual_ns)> on_progress;
  /// Called by one thread at a time, in the order in which runs end.
  std::function<void(const RunReport& report, std::uint64_t finished)> on_report;
};

/// The reports in the order of seeds. Runs on the calling thread when jobs is 1.
[[nodiscard]] std::vector<RunReport> run_seeds(const RunPlan& plan);

}  // namespace scenarios
