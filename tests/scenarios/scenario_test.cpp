#include "scenarios/scenario.h"
#include "scenarios/run.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

using scenarios::load_scenario;
using scenarios::parse_duration;
using scenarios::parse_scenario;
using scenarios::Scenario;
using scenarios::WorkloadKind;

namespace {

constexpr std::string_view kWhole = R"(name = "all"
[machine]
logical_processors = 2
memory_mib = 512
[[devices.disk]]
name = "data"
content = "zeros"
size_mib = 16
[[devices.disk]]
name = "scratch"
size_mib = 32
write_cache_sectors = 64
[partitions]
children = 2
processors = 2
memory_mib = 32
[workload]
kind = "storage"
data_disk = "data"
scratch_disk = "scratch"
requests = 10
[properties]
data_disk_digest = true
logged = ["done"]
[limits]
virtual_time = "90s"
)";

std::string with(std::string_view text, std::string_view old_text, std::string_view new_text) {
  std::string result(text);
  const std::size_t place = result.find(old_text);
  REQUIRE(place != std::string::npos);
  return result.replace(place, old_text.size(), new_text);
}

struct Refusal {
  std::string_view what;
  std::string_view old_text;
  std::string_view new_text;
  /// What the message must hold: where, which key, what is right.
  std::uint32_t line;
  std::string_view key;
  std::string_view says;
};

constexpr std::string_view kStorageKeys =
    "kind = \"storage\"\ndata_disk = \"data\"\nscratch_disk = \"scratch\"\nrequests = 10\n";
constexpr std::string_view kStorageWorkload =
    "[workload]\nkind = \"storage\"\ndata_disk = \"data\"\nscratch_disk = \"scratch\"\n"
    "requests = 10\n";

constexpr Refusal kRefusals[] = {
    {"an unknown key at the root", "name = \"all\"", "name = \"all\"\nversion = 3", 2, "version",
     "is not known"},
    {"a mistyped key", "memory_mib = 512", "memry_mib = 512", 2, "machine.memory_mib", "missing"},
    {"a mistyped optional key", "memory_mib = 512", "memory_mib = 512\ntsc_mzh = 1", 5,
     "machine.tsc_mzh", "is tsc_mhz meant?"},
    {"a text for a number", "logical_processors = 2", "logical_processors = \"2\"", 3,
     "machine.logical_processors", "is a text; expected is a whole number from 1 to 64"},
    {"a fraction for a number", "memory_mib = 512", "memory_mib = 512.5", 4, "machine.memory_mib",
     "is a fraction; expected is a whole number of MiB"},
    {"a number below its range", "logical_processors = 2", "logical_processors = 0", 3,
     "machine.logical_processors", "is 0; expected is a whole number from 1 to 64"},
    {"a negative number", "logical_processors = 2", "logical_processors = -1", 3,
     "machine.logical_processors", "is -1"},
    {"a number beyond 32 bits", "requests = 10", "requests = 99999999999", 21, "workload.requests",
     "from 0 to 100000000"},
    {"a number for a text", "name = \"all\"", "name = 5", 1, "name", "expected is a text"},
    {"an empty name", "name = \"all\"", "name = \"\"", 1, "name", "is empty"},
    {"a number for a table", "[machine]", "machine = 1\n[machinery]", 2, "machine",
     "expected is a table: [machine]"},
    {"a table for an array of tables", "[[devices.disk]]\nname = \"data\"",
     "[devices.disk]\nname = \"data\"", 9, "", "is not TOML"},
    {"no machine at all", "[machine]", "[nothing]", 1, "machine", "is missing"},
    {"two disks of one name", "name = \"scratch\"", "name = \"data\"", 10, "devices.disk[1].name",
     "which another disk has"},
    {"a disk without a size", "size_mib = 16\n", "", 5, "devices.disk[0].size_mib", "is missing"},
    {"content of no known kind", "content = \"zeros\"", "content = \"ones\"", 7,
     "devices.disk[0].content", "one of \"zeros\", \"ext4-image\", \"file\""},
    {"a file that nothing reads", "content = \"zeros\"", "content = \"zeros\"\nfile = \"x\"", 8,
     "devices.disk[0].file", "only content = \"file\""},
    {"a disk that is not there", "data_disk = \"data\"", "data_disk = \"dta\"", 19,
     "workload.data_disk", "there are \"data\", \"scratch\""},
    {"one disk for both", "scratch_disk = \"scratch\"", "scratch_disk = \"data\"", 20,
     "workload.scratch_disk", "is the data disk too"},
    {"a ring larger than its channel", "requests = 10", "ring_kib = 32", 21, "workload.ring_kib",
     "is 32; expected is a whole number of KiB from 4 to 28"},
    {"a bus of no known age", "processors = 2\nmemory_mib = 32",
     "processors = 2\nbus = \"old\"\nmemory_mib = 32", 16, "partitions.bus",
     "one of \"6.0\", \"5.3\","},
    {"a child that asks for no known version", "processors = 2\nmemory_mib = 32",
     "processors = 2\nchild_bus = \"5.4\"\nmemory_mib = 32", 16, "partitions.child_bus",
     "is \"5.4\"; expected is one of"},
    {"a loop-back connection without an id", "[workload]",
     "[[partitions.connection]]\ntype = \"event\"\nsint = 3\n[workload]", 17,
     "partitions.connection[0].id", "is missing"},
    {"a loop-back connection of the services' ids", "[workload]",
     "[[partitions.connection]]\nid = 16\ntype = \"event\"\nsint = 3\n[workload]", 18,
     "partitions.connection[0].id", "from 65536 to 16777215"},
    {"a loop-back connection to a processor that is not there", "[workload]",
     "[[partitions.connection]]\nid = 65536\ntype = \"event\"\nsint = 3\nvp = 2\n[workload]", 21,
     "partitions.connection[0].vp", "a child has 2 virtual processors"},
    {"flags of a message connection", "[workload]",
     "[[partitions.connection]]\nid = 65536\ntype = \"message\"\nsint = 3\nflags = 2\n[workload]",
     21, "partitions.connection[0].flags", ""},
    {"a loop-back connection twice", "[workload]",
     "[[partitions.connection]]\nid = 65536\ntype = \"event\"\nsint = 3\n"
     "[[partitions.connection]]\nid = 65536\ntype = \"message\"\nsint = 4\n[workload]",
     22, "partitions.connection[1].id", "is 65536, which another connection has"},
    {"a loop-back connection at the SINT of the hypervisor", "[workload]",
     "[[partitions.connection]]\nid = 65536\ntype = \"event\"\nsint = 0\n[workload]", 20,
     "partitions.connection[0].sint", "is 0; expected is a whole number from 1 to 15"},
    {"more flags than a SINT has", "[workload]",
     "[[partitions.connection]]\nid = 65536\ntype = \"event\"\nsint = 4\nflags = 2049\n[workload]",
     21, "partitions.connection[0].flags", "from 1 to 2048"},
    {"a loop-back connection of no known type", "[workload]",
     "[[partitions.connection]]\nid = 65536\ntype = \"doorbell\"\nsint = 4\n[workload]", 19,
     "partitions.connection[0].type", "one of \"message\", \"event\""},
    {"a loop without a connection", kStorageKeys, "kind = \"loop\"\n", 18, "workload.kind",
     "no connection; expected is a [[partitions.connection]]"},
    {"a loop of no messages", kStorageKeys, "kind = \"loop\"\nmessages = 0\n", 19,
     "workload.messages", "is 0; expected is a whole number from 1 to 1000"},
    {"a loop through the SINT of the services", kStorageWorkload,
     "[[partitions.connection]]\nid = 65536\ntype = \"event\"\nsint = 3\n"
     "[workload]\nkind = \"loop\"\n",
     22, "workload.kind",
     "connection 65536 is to SINT 3, at which the services arrive; expected is another"},
    {"a loop through flags of two connections", kStorageWorkload,
     "[[partitions.connection]]\nid = 65536\ntype = \"event\"\nsint = 4\n"
     "[[partitions.connection]]\nid = 65538\ntype = \"event\"\nsint = 4\n"
     "[workload]\nkind = \"loop\"\n",
     26, "workload.kind",
     "connections 65536 and 65538 share the flags of SINT 4; expected is a SINT for each"},
    {"liars without the processor of a connection", "[workload]",
     "[[partitions.connection]]\nid = 65536\ntype = \"event\"\nsint = 4\nvp = 1\n"
     "[liars]\nat_once = 1\nprocessors = 1\n[workload]",
     24, "liars.processors",
     "is 1, but connection 65536, which each child has, is to virtual processor 1"},
    {"several disks where there are two kinds", "requests = 10", "disks = 2", 21, "workload.disks",
     "it belongs to \"plug\""},
    {"a chance for what nobody decides", "[limits]",
     "[chances]\n\"device.disk.fire\" = 2\n[limits]", 26, "chances.device.disk.fire",
     "\"device.disk.command_lost\""},
    {"a chance of none", "[limits]", "[chances]\n\"device.disk.command_lost\" = 0\n[limits]", 26,
     "chances.device.disk.command_lost", "from 1 to 1000000"},
    {"a workload of no known kind", "kind = \"storage\"", "kind = \"sleep\"", 18, "workload.kind",
     "one of \"hello\", \"idle\", \"work\", \"storage\""},
    {"a key of another workload", "requests = 10", "timer_hz = 10", 21, "workload.timer_hz",
     "it belongs to \"idle\""},
    {"requests in flight beside liars", "[workload]",
     "[liars]\nat_once = 1\n[workload]\nin_flight = 2", 20, "workload.in_flight", "must be 1"},
    {"ranges larger than their disk", "requests = 10", "scratch_mib = 17", 21,
     "workload.scratch_mib", "needs 34 MiB for 2 children, but disk \"scratch\" has 32 MiB"},
    {"children larger than the computer", "processors = 2\nmemory_mib = 32",
     "processors = 2\nmemory_mib = 400", 16, "partitions.memory_mib", "machine.memory_mib is 512"},
    {"a time without a unit", "virtual_time = \"90s\"", "virtual_time = \"90\"", 26,
     "limits.virtual_time", "a number and its unit"},
    {"a time as a number", "virtual_time = \"90s\"", "virtual_time = 90", 26, "limits.virtual_time",
     "expected is a text"},
    {"no time at all", "virtual_time = \"90s\"", "virtual_time = \"0s\"", 26, "limits.virtual_time",
     "more than 0"},
    {"no limits", "[limits]\nvirtual_time = \"90s\"\n", "", 1, "limits", "is missing"},
    {"texts that are none", "logged = [\"done\"]", "logged = [1]", 24, "properties.logged",
     "holds a whole number"},
    {"true for a text", "data_disk_digest = true", "data_disk_digest = 1", 23,
     "properties.data_disk_digest", "expected is true or false"},
    {"a key twice", "requests = 10", "requests = 10\nrequests = 11", 22, "", "is not TOML"},
    {"a line that is no TOML", "[partitions]", "[partitions", 13, "", "is not TOML"},
    {"a letter that no key has", "[partitions]", "p\xC3\xA4rtitions = 1", 13, "", "beyond ASCII"},
    {"a letter behind a backslash", "[partitions]", "x = \"\"\"\\\xC3\xA4\"\"\"", 13, "",
     "beyond ASCII"},
    {"a letter behind blanks that a backslash takes away", "[partitions]",
     "x = \"\"\"\\ \n \xC3\xA4\"\"\"", 14, "", "beyond ASCII"},
    {"a letter behind a quote in a number", "[partitions]", "x = -1'0\xD2\x85'", 13, "",
     "beyond ASCII"},
    {"a character that is neither space nor letter", "[partitions]",
     "x = 'Z'  # \xC3\xA4\n\xEF\xBB\xB7", 14, "", "beyond ASCII"},
};

}  // namespace

TEST_CASE("a whole scenario is read as it stands", "[scenarios][loader]") {
  const auto scenario = parse_scenario(kWhole, "all.toml");
  REQUIRE(scenario);
  REQUIRE(scenario->name == "all");
  REQUIRE(scenario->machine.logical_processors == 2);
  REQUIRE(scenario->disks.size() == 2);
  REQUIRE(scenario->disks[1].write_cache_sectors == 64);
  REQUIRE(scenario->partitions.children == 2);
  REQUIRE(scenario->partitions.children_at_once == 2);
  REQUIRE(scenario->workload.kind == WorkloadKind::kStorage);
  REQUIRE(scenario->workload.data_disk == 0);
  REQUIRE(scenario->workload.scratch_disk == 1);
  REQUIRE(scenario->workload.requests == 10);
  REQUIRE(scenario->properties.data_disk_digest);
  REQUIRE(scenario->properties.logged == std::vector<std::string>{"done"});
  REQUIRE(scenario->limits.virtual_ns == 90'000'000'000);
  REQUIRE(scenario->text == kWhole);
}

TEST_CASE("a disk that comes and goes needs no scratch disk", "[scenarios][loader]") {
  const std::string text =
      with(with(with(kWhole, "kind = \"storage\"", "kind = \"plug\"\nremovals = 3"),
                "scratch_disk = \"scratch\"\nrequests = 10", "openings = 4"),
           "data_disk_digest = true\n", "");
  const auto scenario = parse_scenario(text, "plug.toml");
  REQUIRE(scenario);
  CHECK(scenario->workload.kind == WorkloadKind::kPlug);
  CHECK(scenario->workload.removals == 3);
  CHECK(scenario->workload.openings == 4);
  CHECK(scenario->workload.data_disk == 0);
}

TEST_CASE("a loop goes through connections of messages at one SINT and of events at one each",
          "[scenarios][loader]") {
  const std::string text =
      with(with(kWhole, kStorageWorkload,
                "[[partitions.connection]]\nid = 65536\ntype = \"message\"\nsint = 4\n"
                "[[partitions.connection]]\nid = 65537\ntype = \"message\"\nsint = 4\nvp = 1\n"
                "[[partitions.connection]]\nid = 65538\ntype = \"event\"\nsint = 4\n"
                "[[partitions.connection]]\nid = 65539\ntype = \"event\"\nsint = 15\n"
                "flags = 2048\n[workload]\nkind = \"loop\"\nmessages = 1000\n"),
           "data_disk_digest = true\n", "");
  const auto scenario = parse_scenario(text, "loop.toml");
  REQUIRE(scenario);
  CHECK(scenario->workload.kind == WorkloadKind::kLoop);
  CHECK(scenario->workload.messages == 1000);
  REQUIRE(scenario->partitions.loops.size() == 4);
  CHECK(scenario->partitions.loops[0].vp == scenarios::LoopDescription::kAnyVp);
  CHECK(scenario->partitions.loops[1].vp == 1);
  CHECK(scenario->partitions.loops[2].flags == 1);
  CHECK(scenario->partitions.loops[3].event);
  CHECK(scenario->partitions.loops[3].sint == 15);
  CHECK(scenario->partitions.loops[3].flags == 2048);
}

TEST_CASE("a scenario gives a chance to choices that are otherwise the ordinary course",
          "[scenarios][loader]") {
  const auto scenario = parse_scenario(
      with(kWhole, "[limits]", "[chances]\n\"device.disk.command_lost\" = 7\n[limits]"),
      "chances.toml");
  REQUIRE(scenario);
  REQUIRE(scenario->chances.size() == 1);
  REQUIRE(scenario->chances[0].site == "device.disk.command_lost");
  REQUIRE(scenario->chances[0].one_in == 7);
  const auto rules = scenarios::chances_of(*scenario);
  REQUIRE(rules.size() == sim::ordinary_chance().size() + 1);
  CHECK(rules.back().prefix == "device.disk.command_lost");
  CHECK(rules.back().one_in == 7);
}

TEST_CASE("what is wrong is refused with file, line, key and what would be right",
          "[scenarios][loader]") {
  for (const Refusal& refusal : kRefusals) {
    INFO(refusal.what);
    const auto scenario =
        parse_scenario(with(kWhole, refusal.old_text, refusal.new_text), "some/file.toml");
    REQUIRE_FALSE(scenario);
    INFO(scenario.error().what());
    CHECK(scenario.error().file == "some/file.toml");
    CHECK(scenario.error().line == refusal.line);
    CHECK(scenario.error().key == refusal.key);
    CHECK(scenario.error().problem.contains(refusal.says));
    CHECK(scenario.error().what().starts_with("some/file.toml:"));
  }
}

TEST_CASE("a fifth disk is refused", "[scenarios][loader]") {
  std::string disks;
  for (int index = 0; index < 3; ++index) {
    disks += "[[devices.disk]]\nname = \"d" + std::to_string(index) + "\"\nsize_mib = 1\n";
  }
  const auto scenario =
      parse_scenario(with(kWhole, "[partitions]", disks + "[partitions]"), "five.toml");
  REQUIRE_FALSE(scenario);
  REQUIRE(scenario.error().problem.contains("at most 4 disks"));
}

TEST_CASE("files that are none are refused", "[scenarios][loader]") {
  REQUIRE_FALSE(load_scenario("/nowhere/at/all.toml"));
  REQUIRE_FALSE(load_scenario("/"));
  const auto too_large = parse_scenario(std::string(1 << 20, '#'), "large.toml");
  REQUIRE_FALSE(too_large);
  REQUIRE(too_large.error().problem.contains("larger than"));
}

TEST_CASE("what a message shows of a file cannot disturb a terminal", "[scenarios][loader]") {
  const auto scenario =
      parse_scenario(with(kWhole, "kind = \"storage\"", "kind = \"\\u001B[2Jx\""), "escape.toml");
  REQUIRE_FALSE(scenario);
  for (const char character : scenario.error().what()) {
    REQUIRE(static_cast<unsigned char>(character) >= ' ');
  }
}

TEST_CASE("the scenarios of the tree are all accepted", "[scenarios][loader]") {
  const std::filesystem::path folder(CHRONOVISOR_SCENARIOS);
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".toml") {
      INFO(entry.path());
      const auto scenario = load_scenario(entry.path());
      INFO((scenario ? "" : scenario.error().what()));
      REQUIRE(scenario);
      REQUIRE(entry.path().stem().string() == scenario->name);
      ++count;
    }
  }
  REQUIRE(count >= 4);
}

TEST_CASE("durations need a number and a unit", "[scenarios][loader]") {
  REQUIRE(parse_duration("7ns") == 7);
  REQUIRE(parse_duration("5 us") == 5'000);
  REQUIRE(parse_duration("250ms") == 250'000'000);
  REQUIRE(parse_duration("90s") == 90'000'000'000);
  REQUIRE(parse_duration("10min") == 600'000'000'000);
  for (const char* text : {"", "s", "10", "10 hours", "-1s", "1.5s", "1s ", "99999999999999999999s",
                           "18446744073709551615s"}) {
    INFO(text);
    REQUIRE_FALSE(parse_duration(text));
  }
}

TEST_CASE("no bytes crash the loader", "[scenarios][loader][fuzz]") {
  REQUIRE(rc::check("any text", [](const std::string& text) {
    static_cast<void>(parse_scenario(text, "fuzz.toml"));
  }));
  REQUIRE(rc::check("a scenario with changed bytes", [] {
    std::string text(kWhole);
    const auto changes = *rc::gen::container<std::vector<std::pair<std::uint16_t, std::uint8_t>>>(
        rc::gen::arbitrary<std::pair<std::uint16_t, std::uint8_t>>());
    for (const auto& [place, value] : changes) {
      text[place % text.size()] = static_cast<char>(value);
    }
    const std::size_t cut = *rc::gen::inRange<std::size_t>(0, text.size() + 1);
    const auto scenario = parse_scenario(text.substr(0, cut), "fuzz.toml");
    RC_ASSERT(scenario || !scenario.error().problem.empty());
  }));
  const std::string nested(20'000, '[');
  REQUIRE_FALSE(parse_scenario("a = " + nested, "deep.toml"));
  REQUIRE_FALSE(parse_scenario(nested, "deep.toml"));
}

TEST_CASE("strings and comments may hold any characters", "[scenarios][scenario]") {
  for (const std::string_view text :
       {"\"\xC3\xA4 \\\" \xC3\xA4\"", "'\xC3\xA4 # \xC3\xA4'", "\"\"\"\xC3\xA4\n\" \xC3\xA4\"\"\"",
        "\'\'\'\xC3\xA4 ' \n\xC3\xA4\'\'\'", "\"x\"  # \xC3\xA4 \" \xC3\xA4"}) {
    std::string whole(kWhole);
    whole.replace(0, whole.find('\n'), "name = \"all\"\ndescription = " + std::string(text));
    const auto scenario = parse_scenario(whole, "test.toml");
    INFO(text);
    REQUIRE(scenario);
  }
}
