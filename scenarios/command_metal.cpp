// chronovisor metal run: the same programs on a computer with VT-x.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "metal/launch/bochs.h"
#include "scenarios/commands.h"

namespace scenarios {
namespace {

ExitCode code_of(const metal::LaunchResult& result) {
  switch (result.end) {
    case metal::LaunchEnd::kStopped:
      return result.stop_code == 0 ? ExitCode::kPass : ExitCode::kViolated;
    case metal::LaunchEnd::kHung:
    case metal::LaunchEnd::kEmulatorEnded:
    case metal::LaunchEnd::kNotStarted:
      break;
  }
  return ExitCode::kHarnessFailed;
}

std::string end_text(const metal::LaunchResult& result) {
  switch (result.end) {
    case metal::LaunchEnd::kStopped:
      return fmt::format("stopped with code {}", result.stop_code);
    case metal::LaunchEnd::kHung:
      return "did not end in time";
    case metal::LaunchEnd::kEmulatorEnded:
      return "the emulator ended before the program";
    case metal::LaunchEnd::kNotStarted:
      return "not started: " + result.error;
  }
  return "";
}

void print_json(const std::string& name, const metal::LaunchResult& result) {
  nlohmann::ordered_json object;
  object["scenario"] = name;
  // A real computer has no seed, hash or virtual time, and nobody counts what it does.
  for (const char* const key : {"seed", "trace_hash", "events", "vm_exits", "virtual_ns"}) {
    object[key] = nullptr;
  }
  object["result"] = code_of(result) == ExitCode::kPass ? "pass" : "fail";
  object["wall_ns"] = result.wall_time.count();
  object["violations"] = nlohmann::ordered_json::array();
  for (const std::string& violation : result.violations) {
    object["violations"].push_back({{"property", violation},
                                    {"virtual_ns", nullptr},
                                    {"event", nullptr},
                                    {"message", violation}});
  }
  object["sometimes"] = nlohmann::ordered_json::object();
  object["log"] = result.log;
  object["machine"] = "bochs";
  object["end"] = end_text(result);
  object["stop_code"] = result.stop_code;
  object["reports"] = result.reports;
  fmt::print("{}\n", object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

ExitCode execute(const MetalCommand& command) {
  const auto image = metal::find_image(command.name);
  if (!image) {
    fmt::print(stderr,
               "error: there is no image \"{}\" beside this program; a build with g++ and without "
               "sanitizers makes metal/hello.iso\n",
               command.name);
    return ExitCode::kBadInput;
  }
  metal::LaunchOptions options;
  options.image = *image;
  if (!command.json) {
    options.on_line = [](std::string_view line) {
      fmt::print("{}\n", line);
      std::fflush(stdout);
    };
  }
  const metal::LaunchResult result = metal::run_bochs(options);
  if (command.json) {
    print_json(command.name, result);
    return code_of(result);
  }
  for (const std::string& message : result.emulator_messages) {
    fmt::print(stderr, "{}\n", message);
  }
  const auto wall_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(result.wall_time).count();
  fmt::print("{} on Bochs: {}, {}.{:03} s of wall time\n", command.name, end_text(result),
             wall_ms / 1000, wall_ms % 1000);
  return code_of(result);
}

}  // namespace scenarios
