// Recordings that were damaged on the way, or made up: whatever they hold, reading and replaying
// them ends with an answer.
#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "scenarios/recording.h"

namespace {

constexpr std::size_t kHeaderBytes = 40;

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

void put_word(sim::Bytes& file, std::size_t at, std::uint64_t value) {
  for (std::size_t index = 0; index < 8; ++index) {
    file[at + index] = static_cast<std::byte>(value >> (8 * index));
  }
}

/// The contents of a packed recording.
sim::Bytes contents_of(const sim::Bytes& file) {
  const auto size =
      ZSTD_getFrameContentSize(file.data() + kHeaderBytes, file.size() - kHeaderBytes);
  sim::Bytes contents(size);
  REQUIRE(ZSTD_decompress(contents.data(), contents.size(), file.data() + kHeaderBytes,
                          file.size() - kHeaderBytes) == size);
  return contents;
}

/// A file whose envelope is right, around any contents.
sim::Bytes file_of(const sim::Bytes& contents, const sim::Bytes& like) {
  sim::Bytes file(kHeaderBytes + ZSTD_compressBound(contents.size()));
  std::copy_n(like.begin(), kHeaderBytes, file.begin());
  const std::size_t size = ZSTD_compress(file.data() + kHeaderBytes, file.size() - kHeaderBytes,
                                         contents.data(), contents.size(), 1);
  REQUIRE(ZSTD_isError(size) == 0);
  file.resize(kHeaderBytes + size);
  put_word(file, 16, size);
  put_word(file, 24, contents.size());
  put_word(file, 32, XXH3_64bits(file.data() + kHeaderBytes, size));
  return file;
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
  REQUIRE(scenarios::unpack(file_of(contents, whole)));
  Random draw(Catch::rngSeed());
  int refused = 0;
  for (int turn = 0; turn < 2'000; ++turn) {
    sim::Bytes damaged = contents;
    damage(damaged, draw);
    const auto recording = scenarios::unpack(file_of(damaged, whole));
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
