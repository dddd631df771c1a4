#include "sim/trace_recorder.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "machine/guest.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"
#include "tests/sim/run_world.h"
#include "tests/sim/tiny_hypervisor.h"

namespace {

constexpr machine::Site kOpened{"test.channel \"opened\""};
constexpr machine::Site kSeen{"test.seen"};

std::size_t count(const nlohmann::json& trace, const std::string& name) {
  const auto& events = trace.at("traceEvents");
  return static_cast<std::size_t>(
      std::count_if(events.begin(), events.end(),
                    [&](const nlohmann::json& event) { return event.at("name") == name; }));
}

}  // namespace

TEST_CASE("a trace is JSON with a track for each thing", "[sim][trace]") {
  sim::TraceRecorder recorder;
  recorder.add(1'234'567, kOpened, machine::Track::kChannel, 4, 1, 2);
  recorder.add_span(1000, 2500, 1, "guest");
  recorder.add_console_line(3000, "a line with \\ and \"");
  const nlohmann::json trace = nlohmann::json::parse(recorder.json());
  CHECK(count(trace, "test.channel \"opened\"") == 1);
  CHECK(count(trace, "guest") == 1);
  CHECK(count(trace, "a line with \\ and \"") == 1);
  for (const nlohmann::json& event : trace.at("traceEvents")) {
    if (event.at("name") == "guest") {
      CHECK(event.at("ts") == 1.0);
      CHECK(event.at("dur") == 1.5);
      CHECK(event.at("tid") == 1);
    }
  }
}

TEST_CASE("a run shows when guests run, and what is traced", "[sim][trace]") {
  const auto hypervisor = [](const machine::BootInformation& information, std::uint32_t lp) {
    tiny::run(information, lp, nullptr, [](tiny::Guest& guest) {
      if (guest.reason == machine::vmx::ExitReason::kVmcall) {
        machine::stop(0);
      }
      tiny::advance();
    });
  };
  const auto kernel = [] {
    machine::trace(kSeen, machine::Track::kPartition, 2, 3, 4);
    static_cast<void>(machine::cpuid(0, 0));
    static_cast<void>(machine::hypercall(machine::Gpa(tiny::kHypercallPage), 1, 0, 0));
  };
  sim::TraceRecorder recorder;
  sim::WorldConfiguration configuration = tiny::world(hypervisor, kernel);
  configuration.trace_recorder = &recorder;
  const sim::RunResult result = tiny::run_world(configuration);
  CHECK(result.passed());
  CHECK(result.traces.at("test.seen") == 1);
  const nlohmann::json trace = nlohmann::json::parse(recorder.json());
  CHECK(count(trace, "test.seen") == 1);
  CHECK(count(trace, "guest (guest 1)") == 2);

  configuration.trace_recorder = nullptr;
  CHECK(tiny::run_world(configuration).trace_hash == result.trace_hash);
}
