#include "scenarios/world_builder.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "machine/image.h"
#include "partitions/root/parameters.h"

namespace {

scenarios::DiskDescription disk(std::string name, std::uint32_t size_mib) {
  scenarios::DiskDescription description;
  description.name = std::move(name);
  description.size_mib = size_mib;
  return description;
}

scenarios::Scenario storage_scenario() {
  scenarios::Scenario scenario;
  scenario.machine = {.logical_processors = 3, .memory_mib = 512, .tsc_mhz = 2000};
  scenario.disks = {disk("data", 1), disk("scratch", 2)};
  scenario.disks[1].write_cache_sectors = 7;
  scenario.partitions = {.children = 2, .children_at_once = 1, .processors = 4, .memory_mib = 32};
  scenario.workload.kind = scenarios::WorkloadKind::kStorage;
  scenario.workload.requests = 12;
  scenario.workload.scratch_disk = 1;
  scenario.limits.virtual_ns = 5'000'000'000;
  return scenario;
}

}  // namespace

TEST_CASE("the root understands what every workload tells it", "[scenarios][world]") {
  scenarios::Scenario scenario = storage_scenario();
  scenarios::Materials materials;
  materials.disks = {{.content = nullptr, .size_bytes = 1024, .padding_bytes = 5}, {}};
  for (const auto kind : {scenarios::WorkloadKind::kHello, scenarios::WorkloadKind::kIdle,
                          scenarios::WorkloadKind::kWork, scenarios::WorkloadKind::kPlug,
                          scenarios::WorkloadKind::kStream, scenarios::WorkloadKind::kLoop,
                          scenarios::WorkloadKind::kStorage}) {
    scenario.workload.kind = kind;
    const std::string text = scenarios::root_parameters(scenario, materials, 99);
    INFO(text);
    REQUIRE(text.size() <= machine::kMaxParameterBytes);
    const auto parameters = root::parse_parameters(text);
    REQUIRE(parameters);
    REQUIRE(parameters->seed == 99);
    REQUIRE(parameters->children == 2);
    REQUIRE(parameters->children_at_once == 1);
    REQUIRE(parameters->child_processors == 4);
    REQUIRE(root::workload_name(parameters->workload) == scenarios::name_of(kind));
  }
  const auto storage = root::parse_parameters(scenarios::root_parameters(scenario, materials, 1));
  REQUIRE(storage->requests == 12);
  REQUIRE(storage->padding_bytes == 5);
  REQUIRE(storage->data_disk == 0);
  REQUIRE(storage->scratch_disk == 1);
}

TEST_CASE("the root is told of streams in both directions", "[scenarios][world]") {
  scenarios::Scenario scenario = storage_scenario();
  scenario.workload.kind = scenarios::WorkloadKind::kStream;
  scenario.workload.connections = 5;
  scenario.workload.messages = 6;
  scenario.workload.calls = 7;
  const auto parameters =
      root::parse_parameters(scenarios::root_parameters(scenario, scenarios::Materials{}, 1));
  REQUIRE(parameters);
  CHECK(parameters->workload == root::Workload::kStream);
  CHECK(parameters->connections == 5);
  CHECK(parameters->messages == 6);
  CHECK(parameters->calls == 7);
}

TEST_CASE("the root is told of each loop-back connection", "[scenarios][world]") {
  scenarios::Scenario scenario = storage_scenario();
  scenario.partitions.loops = {
      {.id = 65536, .event = false, .sint = 3, .vp = scenarios::LoopDescription::kAnyVp},
      {.id = 16777215, .event = true, .sint = 15, .vp = 1, .flags = 2048}};
  scenario.workload.kind = scenarios::WorkloadKind::kLoop;
  scenario.workload.messages = 77;
  scenarios::Materials materials;
  materials.disks = {{}, {}};
  const auto parameters =
      root::parse_parameters(scenarios::root_parameters(scenario, materials, 1));
  REQUIRE(parameters);
  REQUIRE(parameters->workload == root::Workload::kLoop);
  REQUIRE(parameters->messages == 77);
  REQUIRE(parameters->loop_count == 2);
  REQUIRE(parameters->loops[0].id == 65536);
  REQUIRE(parameters->loops[0].sint == 3);
  REQUIRE(parameters->loops[0].vp == 0xFFFFFFFF);
  REQUIRE(parameters->loops[0].flags == 0);  // for messages
  REQUIRE(parameters->loops[1].id == 16777215);
  REQUIRE(parameters->loops[1].vp == 1);
  REQUIRE(parameters->loops[1].flags == 2048);
}

TEST_CASE("a world has the scenario's parts", "[scenarios][world]") {
  const scenarios::Scenario scenario = storage_scenario();
  const auto materials =
      scenarios::make_materials(scenario, {sim::Bytes(1000, std::byte{1}), sim::Bytes()});
  REQUIRE(materials);
  const sim::WorldConfiguration world = scenarios::build_world(scenario, *materials, 1);
  REQUIRE(world.logical_processors == 3);
  REQUIRE(world.memory_bytes == 512ULL << 20);
  REQUIRE(world.tsc_frequency_hz == 2'000'000'000);
  REQUIRE(world.guests.size() == 2);
  REQUIRE(world.disks.size() == 2);
  REQUIRE(world.disks[0].size_bytes == 1ULL << 20);
  REQUIRE(world.disks[0].content->size() == 1000);
  REQUIRE(world.disks[1].content == nullptr);
  REQUIRE(world.disks[1].write_cache_sectors == 7);
  REQUIRE(world.limits.virtual_ns == 5'000'000'000);
}

TEST_CASE("the root is told the same of hello on both machines", "[scenarios][world]") {
  const std::string tree = CHRONOVISOR_SOURCE_FOLDER;
  std::ifstream file(tree + "/metal/parameters/hello.txt", std::ios::binary);
  const std::string module{std::istreambuf_iterator<char>(file), {}};
  const auto on_metal = root::parse_parameters(module);
  REQUIRE(on_metal);
  const auto scenario = scenarios::load_scenario(tree + "/scenarios/hello.toml");
  REQUIRE(scenario);
  const std::string text = scenarios::root_parameters(*scenario, scenarios::Materials{}, 1);
  const auto simulated = root::parse_parameters(text);
  REQUIRE(simulated);
  REQUIRE(on_metal->workload == simulated->workload);
  REQUIRE(on_metal->children == simulated->children);
  REQUIRE(on_metal->child_processors == simulated->child_processors);
  REQUIRE(on_metal->child_memory_mib == simulated->child_memory_mib);
  REQUIRE(on_metal->seed == simulated->seed);
}
