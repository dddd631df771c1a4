#include "scenarios/recording.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>

using scenarios::ByteReader;
using scenarios::ByteWriter;
using scenarios::pack;
using scenarios::Recording;
using scenarios::unpack;

namespace {

Recording sample() {
  Recording recording;
  recording.build = "some build";
  recording.scenario_path = "x.toml";
  recording.scenario_text = "name = \"x\"\n";
  recording.seed = 12345678901234567890ULL;
  recording.until_ns = 77;
  recording.disks = {std::make_shared<const sim::Bytes>(3000, std::byte{9}), nullptr};
  recording.log.kinds = {{"sim.stall", 16}, {"device.disk.service_time", 8}};
  ByteWriter decisions;
  for (const std::uint64_t number : {0ULL, 5ULL, 3ULL, 1ULL, 70000ULL, 7ULL}) {
    decisions.number(number);
  }
  recording.log.decisions = decisions.written();
  recording.log.decision_count = 2;
  recording.log.hashes = {{65536, 0xFFFFFFFFFFFFFFFF}};
  recording.outcome = sim::Outcome::kViolation;
  recording.trace_hash = 0x123456789ABCDEF0;
  recording.events = 70005;
  recording.virtual_ns = 1;
  return recording;
}

}  // namespace

TEST_CASE("a recording comes back as it was", "[scenarios][recording]") {
  const Recording before = sample();
  const auto after = unpack(pack(before));
  REQUIRE(after);
  REQUIRE(after->build == before.build);
  REQUIRE(after->scenario_path == before.scenario_path);
  REQUIRE(after->scenario_text == before.scenario_text);
  REQUIRE(after->seed == before.seed);
  REQUIRE(after->until_ns == before.until_ns);
  REQUIRE(after->disks.size() == 2);
  REQUIRE(*after->disks[0] == *before.disks[0]);
  REQUIRE(after->disks[1] == nullptr);
  REQUIRE(after->log.kinds.size() == 2);
  REQUIRE(after->log.kinds[1].name == "device.disk.service_time");
  REQUIRE(after->log.kinds[1].domain == 8);
  REQUIRE(after->log.decisions == before.log.decisions);
  REQUIRE(after->log.hashes == before.log.hashes);
  REQUIRE(after->outcome == before.outcome);
  REQUIRE(after->trace_hash == before.trace_hash);
  REQUIRE(after->events == before.events);
}

TEST_CASE("a recording that was cut off anywhere is refused", "[scenarios][recording]") {
  const sim::Bytes bytes = pack(sample());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto recording = unpack(std::span(bytes).first(size));
    REQUIRE_FALSE(recording);
    REQUIRE(recording.error().contains(size < 8 ? "is no recording" : "is cut off"));
  }
}

TEST_CASE("a recording with any bit turned over is refused", "[scenarios][recording]") {
  const sim::Bytes bytes = pack(sample());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    sim::Bytes damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    INFO("bit " << bit);
    REQUIRE_FALSE(unpack(damaged));
  }
}

TEST_CASE("something behind the end is refused", "[scenarios][recording]") {
  sim::Bytes bytes = pack(sample());
  bytes.push_back(std::byte{0});
  REQUIRE(unpack(bytes).error().contains("follows its end"));
}

TEST_CASE("a recording of another version says so", "[scenarios][recording]") {
  sim::Bytes bytes = pack(sample());
  bytes[8] = std::byte{9};
  REQUIRE(unpack(bytes).error().contains("version 9"));
}

TEST_CASE("contents that nobody would write are refused", "[scenarios][recording]") {
  Recording recording = sample();
  SECTION("a decision of an unknown name") { recording.log.kinds.pop_back(); }
  SECTION("fewer decisions than counted") { recording.log.decision_count = 3; }
  SECTION("more decisions than counted") { recording.log.decision_count = 1; }
  const auto after = unpack(pack(recording));
  REQUIRE_FALSE(after);
  REQUIRE(after.error().contains("is damaged"));
}

TEST_CASE("no bytes crash the reader", "[scenarios][recording][fuzz]") {
  REQUIRE(rc::check("any bytes", [](const std::vector<std::uint8_t>& bytes) {
    static_cast<void>(unpack(std::as_bytes(std::span(bytes))));
    ByteReader reader(std::as_bytes(std::span(bytes)));
    try {
      while (!reader.at_end()) {
        static_cast<void>(reader.number());
        static_cast<void>(reader.text());
        static_cast<void>(reader.count());
      }
    } catch (const scenarios::BadBytes&) {
    }
  }));
}

TEST_CASE("numbers are short when they are small", "[scenarios][recording]") {
  REQUIRE(rc::check("round trip", [](std::uint64_t value) {
    ByteWriter writer;
    writer.number(value);
    writer.word(value);
    ByteReader reader(writer.written());
    RC_ASSERT(reader.number() == value);
    RC_ASSERT(reader.word() == value);
    RC_ASSERT(reader.at_end());
  }));
  ByteWriter writer;
  writer.number(127);
  REQUIRE(writer.written().size() == 1);
}
