#include "scenarios/materials.h"

#include <catch2/catch.hpp>
#include <span>

using scenarios::DiskMaterial;
using scenarios::make_materials;
using scenarios::sha256_of;

namespace {

sim::Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

scenarios::DiskDescription disk(std::string name, std::uint32_t size_mib) {
  scenarios::DiskDescription description;
  description.name = std::move(name);
  description.size_mib = size_mib;
  return description;
}

}  // namespace

TEST_CASE("the digest is that of the whole disk", "[scenarios][materials]") {
  const DiskMaterial abc{std::make_shared<const sim::Bytes>(bytes_of("abc")), 3};
  REQUIRE(sha256_of(abc) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  // printf 'abc' | (cat; head -c 99997 /dev/zero) | sha256sum
  const DiskMaterial padded{abc.content, 100'000};
  const DiskMaterial zeros{nullptr, 1024};
  REQUIRE(sha256_of(padded) != sha256_of(abc));
  REQUIRE(sha256_of(zeros) == "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
}

TEST_CASE("content is rounded up to sectors, or fills a larger disk", "[scenarios][materials]") {
  scenarios::Scenario scenario;
  scenario.disks = {disk("a", 0), disk("b", 1)};
  const auto materials = make_materials(scenario, {sim::Bytes(513), sim::Bytes(513)});
  REQUIRE(materials);
  REQUIRE(materials->disks[0].size_bytes == 1024);
  REQUIRE(materials->disks[0].padding_bytes == 511);
  REQUIRE(materials->disks[1].padding_bytes == 0);
  REQUIRE(materials->disks[1].size_bytes == 1 << 20);
}

TEST_CASE("the digest of a disk as large as its content is the content's",
          "[scenarios][materials]") {
  scenarios::Scenario scenario;
  scenario.disks = {disk("a", 0)};
  const auto materials = make_materials(scenario, {bytes_of("abc")});
  REQUIRE(materials);
  REQUIRE(sha256_of(materials->disks[0]) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("content that does not fit its disk is refused", "[scenarios][materials]") {
  scenarios::Scenario scenario;
  scenario.disks = {disk("small", 1)};
  const auto too_large = make_materials(scenario, {sim::Bytes((1 << 20) + 1)});
  REQUIRE_FALSE(too_large);
  REQUIRE(too_large.error().contains("\"small\""));
  REQUIRE_FALSE(make_materials(scenario, {}));
  scenario.disks[0].size_mib = 0;
  REQUIRE_FALSE(make_materials(scenario, {sim::Bytes()}));
}

TEST_CASE("a disk for a scenario without one is refused", "[scenarios][materials]") {
  scenarios::Scenario scenario;
  scenario.name = "hello";
  const auto materials =
      scenarios::load_materials(scenario, {.data_disk = "/dev/null", .ext4_image = ""});
  REQUIRE_FALSE(materials);
  REQUIRE(materials.error().contains("--disk"));
}

TEST_CASE("a file that is not there is named", "[scenarios][materials]") {
  scenarios::Scenario scenario;
  scenario.disks = {{.name = "x",
                     .content = scenarios::DiskContent::kFile,
                     .file = "nothing-here",
                     .size_mib = 0,
                     .write_cache_sectors = 0}};
  const auto materials =
      scenarios::load_materials(scenario, {.data_disk = std::nullopt, .ext4_image = ""});
  REQUIRE_FALSE(materials);
  REQUIRE(materials.error().contains("nothing-here"));
}
