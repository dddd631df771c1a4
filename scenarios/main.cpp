// The command line `chronovisor`.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <new>

#include "scenarios/commands.h"
#include "scenarios/seed_runner.h"

namespace {

using scenarios::ExitCode;

constexpr const char* kFooter =
    "Exit codes: 0 pass, 1 a property was violated, 2 bad input or usage,\n"
    "3 the harness itself failed (nondeterminism, hang, out of memory).";

struct Commands {
  scenarios::RunCommand run;
  scenarios::ReplayCommand replay;
  scenarios::SelfcheckCommand selfcheck;
  scenarios::MetalCommand metal;
};

// CLI11 itself would take the nearest number that fits.
const CLI::Validator kSeed(
    [](const std::string& text) {
      return scenarios::parse_seed(text) ? std::string()
                                         : "\"" + text +
                                               "\" is no seed; expected is a whole number "
                                               "from 0 to 18446744073709551615";
    },
    "NUMBER");

const CLI::Validator kNotEmpty(
    [](const std::string& text) { return text.empty() ? "is empty" : std::string(); }, "TEXT");

CLI::App* add_run(CLI::App& app, scenarios::RunCommand& command) {
  CLI::App* const run = app.add_subcommand("run", "Run a scenario in simulation");
  run->add_option("SCENARIO", command.scenario, "A scenario file, or a name of `list`")
      ->required()
      ->check(kNotEmpty);
  auto* const seed =
      run->add_option("--seed", command.seed, "The seed of every decision (1)")->check(kSeed);
  run->add_option("--seeds", command.seeds, "A range of seeds: A..B")
      ->check(kNotEmpty)
      ->excludes(seed);
  run->add_option("--jobs,-j", command.jobs, "Worlds that run at once (1)")
      ->check(CLI::Range(1, 1024));
  run->add_option("--record", command.record,
                  "Write a recording of the run; a failing run writes one in any case")
      ->check(kNotEmpty);
  run->add_option("--trace", command.trace, "Write a trace that ui.perfetto.dev opens")
      ->check(kNotEmpty);
  run->add_option("--disk", command.disk, "Take this file as the data disk")->check(kNotEmpty);
  run->add_option("--until", command.until, "Stop at this virtual time: 90s, 250ms, 10min")
      ->check(kNotEmpty);
  run->add_flag("--json", command.json, "Print one JSON object instead of text");
  run->footer(kFooter);
  return run;
}

CLI::App* add_replay(CLI::App& app, scenarios::ReplayCommand& command) {
  CLI::App* const replay = app.add_subcommand("replay", "Run a recording again, exactly");
  replay->add_option("FILE", command.file, "The recording")->required()->check(kNotEmpty);
  replay->add_flag("--json", command.json, "Print one JSON object instead of text");
  replay->footer(kFooter);
  return replay;
}

CLI::App* add_selfcheck(CLI::App& app, scenarios::SelfcheckCommand& command) {
  CLI::App* const selfcheck = app.add_subcommand(
      "selfcheck", "Run perturbed twins of scenarios and compare their trace hashes");
  selfcheck->add_option("SCENARIO", command.scenarios, "Scenarios (all of `list`)");
  selfcheck->add_option("--seed", command.seed, "The seed of every decision (1)")->check(kSeed);
  selfcheck->footer(kFooter);
  return selfcheck;
}

CLI::App* add_metal(CLI::App& app, scenarios::MetalCommand& command) {
  CLI::App* const metal = app.add_subcommand("metal", "Use a computer with VT-x");
  metal->require_subcommand(1);
  CLI::App* const run = metal->add_subcommand("run", "Boot an image on Bochs");
  run->add_option("NAME", command.name, "The image: hello")->required();
  run->add_flag("--json", command.json, "Print one JSON object instead of text");
  run->footer(kFooter);
  return metal;
}

ExitCode run_program(int argument_count, char** arguments) {
  CLI::App app(
      "A hypervisor, its root and its children on a simulated computer, or on a real one.");
  app.name("chronovisor");
  app.require_subcommand(1);
  app.footer(kFooter);
  Commands commands;
  const CLI::App* const run = add_run(app, commands.run);
  const CLI::App* const replay = add_replay(app, commands.replay);
  const CLI::App* const list = app.add_subcommand("list", "Show the scenarios");
  const CLI::App* const selfcheck = add_selfcheck(app, commands.selfcheck);
  const CLI::App* const metal = add_metal(app, commands.metal);
  try {
    app.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? ExitCode::kPass : ExitCode::kBadInput;
  }
  if (run->parsed()) {
    return execute(commands.run);
  }
  if (replay->parsed()) {
    return execute(commands.replay);
  }
  if (list->parsed()) {
    return scenarios::execute_list();
  }
  if (selfcheck->parsed()) {
    return execute(commands.selfcheck);
  }
  return metal->parsed() ? execute(commands.metal) : ExitCode::kBadInput;
}

}  // namespace

int main(int argument_count, char** arguments) {
  try {
    return static_cast<int>(run_program(argument_count, arguments));
  } catch (const std::bad_alloc&) {
    std::fputs("error: out of memory\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
  }
  return static_cast<int>(ExitCode::kHarnessFailed);
}
