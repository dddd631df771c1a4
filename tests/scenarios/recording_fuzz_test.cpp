// Recordings that were damaged on the way, or made up: whatever they hold, reading and replaying
// them ends with an answer.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "scenarios/recording.h"
#include "tests/support/recording_envelope.h"

namespace {

using recording_envelope::contents_of;
using recording_envelope::file_of;
using Random = std::mt19937_64;

const scenarios::Scenario& hello() {
  static const auto kScenario =
      scenarios::load_scenario(std::string(CHRONOVISOR_SCENARIOS) + "/hello.toml");
  REQUIRE(kScenario);
  return *kScenario;
}

scenarios::RunRequest beginning_of_hello(const scenarios::Materials& materials) {
  return {.scenario = hello(),
          .materials = materials,
          .seed = 1,
          .until_ns = 3'000'000,
          .perturbation = {},
          .trace_recorder = nullptr,
          .on_console_line = {},
          .on_progress = {}};
}

scenarios::Recording record_hello() {
  const scenarios::Materials materials;
  const scenarios::RunRequest request = beginning_of_hello(materials);
  sim::SeededDecider seeded(1);
  scenarios::RecordingDecider recorder(seeded);
  const scenarios::RunReport report = scenarios::run_once(request, recorder);
  return scenarios::make_recording(request, report, recorder.take());
}

std::byte any_byte(Random& draw) { return static_cast<std::byte>(draw() & 0xFF); }

/// One to four wounds: bytes overwritten, cut out, put in, or moved.
void damage(sim::Bytes& bytes, Random& draw) {
  for (std::uint64_t wounds = 1 + draw() % 4; wounds != 0 && !bytes.empty(); --wounds) {
    const auto at = static_cast<std::ptrdiff_t>(draw() % bytes.size());
    const auto left = static_cast<std::ptrdiff_t>(bytes.size()) - at;
    const auto length = std::min<std::ptrdiff_t>(left, static_cast<std::ptrdiff_t>(draw() % 40));
    const auto place = bytes.begin() + at;
    switch (draw() % 4) {
      case 0:
        std::generate(place, place + length, [&] { return any_byte(draw); });
        break;
      case 1:
        bytes.erase(place, place + length);
        break;
      case 2:
        bytes.insert(place, static_cast<std::size_t>(length), any_byte(draw));
        break;
      default:
        std::rotate(place, place + length / 2, place + length);
        break;
    }
  }
}

}  // namespace

TEST_CASE("a recording that is damaged anywhere is refused", "[scenarios][recording][fuzz]") {
  const sim::Bytes whole = scenarios::pack(record_hello());
  REQUIRE(scenarios::unpack(whole));
  Random draw(Catch::rngSeed());
  for (int turn = 0; turn < 5'000; ++turn) {
    sim::Bytes damaged = whole;
    damage(damaged, draw);
    const auto recording = scenarios::unpack(damaged);
    INFO("turn " << turn);
    REQUIRE(recording.has_value() == (damaged == whole));
    REQUIRE((recording.has_value() || !recording.error().empty()));
  }
}

TEST_CASE("damaged contents in a whole envelope crash nothing", "[scenarios][recording][fuzz]") {
  const sim::Bytes whole = scenarios::pack(record_hello());
  const sim::Bytes contents = contents_of(whole);
  REQUIRE(scenarios::unpack(file_of(contents)));
  Random draw(Catch::rngSeed());
  int refused = 0;
  for (int turn = 0; turn < 2'000; ++turn) {
    sim::Bytes damaged = contents;
    damage(damaged, draw);
    const auto recording = scenarios::unpack(file_of(damaged));
    refused += recording.has_value() ? 0 : 1;
    if (recording) {
      static_cast<void>(
          scenarios::parse_scenario(recording->scenario_text, recording->scenario_path));
    }
  }
  REQUIRE(refused > 0);
}

TEST_CASE("a log with other decisions replays to some end, and says where it departs",
          "[scenarios][recording][fuzz]") {
  const scenarios::Recording recording = record_hello();
  const scenarios::Materials materials;
  Random draw(Catch::rngSeed());
  int replayed = 0;
  for (int turn = 0; turn < 100; ++turn) {
    scenarios::Recording other = recording;
    damage(other.log.decisions, draw);
    const auto read = scenarios::unpack(scenarios::pack(other));
    if (!read) {
      continue;
    }
    const scenarios::RunRequest request = beginning_of_hello(materials);
    scenarios::ReplayingDecider decider(read->log);
    const scenarios::RunReport report = scenarios::run_once(request, decider);
    ++replayed;
    const bool same = report.result.trace_hash == recording.trace_hash &&
                      report.result.events == recording.events;
    CHECK((same || decider.divergence(true).has_value()));
  }
  REQUIRE(replayed > 0);
}
