// Messages and signals of a partition to itself, in whole runs.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/partitions/world_fixture.h"

using partitions_test::computer;
using partitions_test::lines_of;

namespace {

sim::RunResult run(const std::string& connections, std::uint32_t processors, std::uint64_t seed) {
  auto configuration = computer("children=1\nworkload=loop\nmessages=30\nchild_processors=" +
                                std::to_string(processors) + "\n" + connections);
  sim::SeededDecider decider(seed);
  sim::World world(std::move(configuration), decider);
  return world.run();
}

bool has_line(const sim::RunResult& result, const std::string& line) {
  return std::ranges::count(lines_of(result), line) == 1;
}

}  // namespace

TEST_CASE("all that a child sends itself through eight connections comes once",
          "[partitions][loop]") {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const sim::RunResult result =
        run("connection=65536 5 0xFFFFFFFF 0\nconnection=65537 5 7 0\n"
            "connection=65538 5 0xFFFFFFFF 2048\nconnection=65539 15 0 1\n"
            "connection=0xFFFFFF 15 1 0\nconnection=65540 1 2 0\n"
            "connection=65541 2 0xFFFFFFFF 0\nconnection=65542 4 6 65\n",
            8, seed);
    CHECK(result.passed());
    // Of 8 VPs, 30 through each of 5 connections of messages and 3 of events.
    CHECK(has_line(result, "[child 1] sent itself 1200 messages, 720 signals"));
    CHECK(has_line(result, "[child 1] done"));
    CHECK(result.always.at("child.loop.a_message_was_sent_and_comes_once") == 1200);
    CHECK(result.always.at("child.loop.only_signalled_flags_come") <= 720);
    CHECK(result.always.at("root.every_page_returned") == 1);
  }
}

TEST_CASE("a child of one processor hears itself", "[partitions][loop]") {
  const sim::RunResult result =
      run("connection=65536 5 0 0\nconnection=65537 6 0xFFFFFFFF 30\n", 1, 1);
  CHECK(result.passed());
  CHECK(has_line(result, "[child 1] sent itself 30 messages, 30 signals"));
  // Each flag is signalled once, so none merges.
  CHECK(result.always.at("child.loop.only_signalled_flags_come") == 30);
}

TEST_CASE("a connection to a processor that a child does not have is told, and ends liars' tries",
          "[partitions][loop]") {
  const sim::RunResult result =
      run("lying_children=2\nlying_processors=1\nlies=10\nconnection=65536 5 1 0\n", 2, 1);
  CHECK_FALSE(result.passed());
  for (const char* const liar : {"[root] child 2: ", "[root] child 3: "}) {
    CHECK(has_line(result, liar + std::string("loop-back connection: INVALID_VP_INDEX")));
  }
  CHECK(has_line(result, "[child 1] sent itself 60 messages, 0 signals"));
  CHECK(has_line(result, "[root] all pages returned"));
}
