// What the programs above the seam declare with machine::sometimes() is worth something only if it
// happens: each goal must be reached by some run of the scenarios.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "scenarios/materials.h"
#include "scenarios/run.h"
#include "scenarios/scenario.h"
#include "sim/decider.h"

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSeeds = 8;

std::string content_of(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// The goals that one file declares, by the names of their sites.
void add_goals(const std::string& text, std::set<std::string>& goals) {
  static const std::regex site("machine::Site\\s+(k\\w+)\\s*[({]\\s*\"([^\"]+)\"");
  static const std::regex goal("machine::sometimes\\(\\s*(k\\w+)");
  std::map<std::string, std::string> names;
  for (std::sregex_iterator at(text.begin(), text.end(), site), end; at != end; ++at) {
    names[(*at)[1]] = (*at)[2];
  }
  for (std::sregex_iterator at(text.begin(), text.end(), goal), end; at != end; ++at) {
    INFO("the goal " << (*at)[1] << " has its site in the file that declares it");
    REQUIRE(names.contains((*at)[1]));
    goals.insert(names[(*at)[1]]);
  }
}

std::set<std::string> declared_goals() {
  std::set<std::string> goals;
  for (const char* const folder : {"hv", "vmbus", "partitions"}) {
    for (const auto& entry :
         fs::recursive_directory_iterator(fs::path(CHRONOVISOR_SOURCE_FOLDER) / folder)) {
      if (entry.path().extension() == ".cpp" || entry.path().extension() == ".h") {
        add_goals(content_of(entry.path()), goals);
      }
    }
  }
  return goals;
}

/// Runs a scenario and takes what it reaches off the goals.
void run(const fs::path& path, std::uint64_t seed, std::set<std::string>& goals) {
  const auto scenario = scenarios::load_scenario(path);
  REQUIRE(scenario);
  const auto materials =
      scenarios::load_materials(*scenario, {.data_disk = {}, .ext4_image = CHRONOVISOR_EXT4_IMAGE});
  REQUIRE(materials);
  sim::SeededDecider decider(seed, scenarios::chances_of(*scenario));
  const scenarios::RunReport report = scenarios::run_once({.scenario = *scenario,
                                                           .materials = *materials,
                                                           .seed = seed,
                                                           .until_ns = {},
                                                           .perturbation = {},
                                                           .trace_recorder = nullptr,
                                                           .on_console_line = {},
                                                           .on_progress = {}},
                                                          decider);
  INFO(path.filename().string() << ", seed " << seed);
  CHECK(report.judgement.verdict == scenarios::Verdict::kPass);
  for (const auto& [name, count] : report.result.sometimes) {
    if (count != 0) {
      goals.erase(name);
    }
  }
}

}  // namespace

TEST_CASE("every coverage goal is reached by some run of the scenarios", "[scenarios][goals]") {
  std::set<std::string> missing = declared_goals();
  REQUIRE(missing.size() > 10);
  for (std::uint64_t seed = 1; seed <= kSeeds && !missing.empty(); ++seed) {
    for (const auto& entry : fs::directory_iterator(CHRONOVISOR_SOURCE_FOLDER "/scenarios")) {
      // A thousand children do nothing that a few do not.
      if (entry.path().extension() == ".toml" && entry.path().stem() != "thousand-children") {
        run(entry.path(), seed, missing);
      }
    }
  }
  CAPTURE(missing);
  CHECK(missing.empty());
}
