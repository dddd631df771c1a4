// The thin thread through both machines: the same sources above the seam print the same lines in
// simulation and on the real computer.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "metal/launch/bochs.h"
#include "metal/launch/child_process.h"
#include "metal/launch/temporary_folder.h"
#include "tests/metal/on_bochs.h"

namespace {

using Lines = std::vector<std::string>;

/// What the guests print when the simulator runs the scenario.
Lines simulated_log() {
  const metal::TemporaryFolder folder;
  const std::filesystem::path output = folder.path() / "report.json";
  metal::ChildProcess process({.arguments = {CHRONOVISOR_PROGRAM, "run", HELLO_SCENARIO, "--json"},
                               .folder = folder.path(),
                               .output = output});
  while (!process.has_ended()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::ifstream stream(output);
  const nlohmann::json report = nlohmann::json::parse(stream);
  INFO(report.dump(1));
  REQUIRE(report.at("result") == "pass");
  return report.at("log").get<Lines>();
}

Lines real_log(std::uint32_t processors) {
  const metal::LaunchResult result =
      on_bochs::run({.image = HELLO_IMAGE, .processors = processors});
  INFO(on_bochs::describe(result));
  CHECK(result.stop_code == 0);
  CHECK(result.violations.empty());
  return result.log;
}

}  // namespace

TEST_CASE("hello prints the same lines in simulation and on the real computer",
          "[metal][bochs][hello]") {
  const Lines simulated = simulated_log();
  REQUIRE(simulated.size() > 5);
  CHECK(real_log(1) == simulated);
  CHECK(real_log(2) == simulated);
}
