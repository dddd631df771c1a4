// Whole runs: hypervisor, root and child in a simulated computer.
#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>

#include "partitions/child/workloads/sha256.h"
#include "partitions/kernel/text.h"
#include "tests/partitions/world_fixture.h"

using partitions_test::computer;
using partitions_test::kMib;
using partitions_test::lines_of;
using Lines = std::vector<std::string>;

namespace {

sim::RunResult run(sim::WorldConfiguration configuration, std::uint64_t seed = 1) {
  sim::SeededDecider decider(seed);
  sim::World world(std::move(configuration), decider);
  return world.run();
}

bool has_line(const sim::RunResult& result, const std::string& line) {
  return std::ranges::count(lines_of(result), line) == 1;
}

}  // namespace

TEST_CASE("a child says hello, is preempted and interrupted, and every page comes back",
          "[partitions][hello]") {
  for (const std::uint32_t processors : {1u, 2u}) {
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      auto configuration = computer("children=1\nworkload=hello\n");
      configuration.logical_processors = processors;
      const sim::RunResult result = run(std::move(configuration), seed);
      CHECK(result.passed());
      CHECK(lines_of(result) ==
            Lines{"[root] 1 child of 1 processor, 16 MiB: hello",
                  "[child 1] 1 processor is running", "[child 1] the root answered: hello, child 1",
                  "[child 1] a synthetic timer interrupted a busy loop",
                  "[child 1] the root injected an interrupt into a busy loop", "[child 1] done",
                  "[root] child 1 is gone", "[root] all pages returned", "[root] done"});
      CHECK(result.always.at("root.every_page_returned") == 1);
    }
  }
}

TEST_CASE("a bad parameter is told and the computer stops without a child", "[partitions]") {
  const sim::RunResult result = run(computer("children=1\ncolour=blue\n"));
  CHECK(result.passed());
  CHECK(lines_of(result) == Lines{"[root] parameters, line 2: an unknown key", "[root] done"});
}

TEST_CASE("a child that does not fit is told, and what it took comes back", "[partitions]") {
  const sim::RunResult result = run(computer("children=1\nchild_memory_mib=1024\n"));
  CHECK(has_line(result, "[root] child 1: memory of the child: INSUFFICIENT_MEMORY"));
  CHECK(has_line(result, "[root] all pages returned"));
}

TEST_CASE("children read a disk whole and their own scratch ranges hold what they wrote",
          "[partitions][storage]") {
  constexpr std::size_t kDiskBytes = 1'000'448;  // the last chunk is a short one
  auto content = std::make_shared<sim::Bytes>(kDiskBytes);
  for (std::size_t index = 0; index < content->size(); ++index) {
    (*content)[index] = static_cast<std::byte>(index * index >> 7);
  }
  child::Sha256 hash;
  hash.add(*content);
  const auto digest = hash.finish();
  kernel::TextLine expected;
  expected << "disk 0 sha256 " << kernel::HexBytes{digest};

  auto configuration =
      computer("children=2\nchild_processors=2\nworkload=storage\nrequests=200\nscratch_mib=1\n");
  configuration.disks.push_back({"data", "1", kDiskBytes, content, 0});
  configuration.disks.push_back({"scratch", "2", 4 * kMib, nullptr, 64});
  const sim::RunResult result = run(std::move(configuration));
  CHECK(result.passed());
  for (const std::string child : {"[child 1] ", "[child 2] "}) {
    CHECK(has_line(result, child + std::string(expected.view())));
    CHECK(has_line(result, child + "disk 1: 200 requests verified"));
    CHECK(has_line(result, child + "done"));
  }
  CHECK(has_line(result, "[root] all pages returned"));
}

TEST_CASE("a disk that is not there stops the child, not the root", "[partitions][storage]") {
  const sim::RunResult result = run(computer("children=1\nworkload=storage\n"));
  CHECK(has_line(result, "[root] child 1: there is no data disk: NOT_FOUND"));
  CHECK(has_line(result, "[root] all pages returned"));
}
