// The commands of `chronovisor`, each with what its options said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace scenarios {

/// What the program ends with.
enum class ExitCode : int {
  kPass = 0,
  kViolated = 1,
  kBadInput = 2,
  kHarnessFailed = 3,
};

struct RunCommand {
  std::string scenario;
  std::optional<std::uint64_t> seed;
  std::string seeds;
  std::uint32_t jobs = 1;
  std::string record;
  std::string trace;
  std::string disk;
  std::string until;
  bool json = false;
};

struct ReplayCommand {
  std::string file;
  bool json = false;
};

struct SelfcheckCommand {
  std::vector<std::string> scenarios;
  std::uint64_t seed = 1;
};

struct MetalCommand {
  std::string name;
  bool json = false;
};

[[nodiscard]] ExitCode execute(const RunCommand& command);
[[nodiscard]] ExitCode execute(const ReplayCommand& command);
[[nodiscard]] ExitCode execute(const SelfcheckCommand& command);
[[nodiscard]] ExitCode execute(const MetalCommand& command);
[[nodiscard]] ExitCode execute_list();

}  // namespace scenarios
