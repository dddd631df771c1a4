#include "sim/watch/race_detector.h"

#include <catch2/catch.hpp>

using sim::watch::RaceDetector;

namespace {

constexpr std::uintptr_t kCounter = 0x1000;
constexpr std::uintptr_t kLock = 0x2000;
constexpr bool kRead = false;
constexpr bool kWrite = true;

void as(RaceDetector& detector, sim::watch::ActorIndex actor) { detector.switch_to(actor); }

}  // namespace

TEST_CASE("two writes that nothing orders are a race", "[watch]") {
  RaceDetector detector;
  as(detector, 0);
  detector.access(kCounter, 4, kWrite, 0xA);
  as(detector, 1);
  detector.access(kCounter, 4, kWrite, 0xB);
  REQUIRE(detector.races().size() == 1);
  CHECK(detector.races()[0].earlier.program_counter == 0xA);
  CHECK(detector.races()[0].later.program_counter == 0xB);
}

TEST_CASE("a lock orders what it guards", "[watch]") {
  RaceDetector detector;
  for (const sim::watch::ActorIndex actor : {0u, 1u, 0u, 1u}) {
    as(detector, actor);
    detector.acquire(kLock);
    detector.access(kCounter, 4, kRead, 0xA);
    detector.access(kCounter, 4, kWrite, 0xB);
    detector.release(kLock);
  }
  CHECK(detector.races().empty());
}

TEST_CASE("another lock orders nothing", "[watch]") {
  RaceDetector detector;
  for (const sim::watch::ActorIndex actor : {0u, 1u}) {
    as(detector, actor);
    detector.acquire(kLock + actor * 8);
    detector.access(kCounter, 4, kWrite, 0xB);
    detector.release(kLock + actor * 8);
  }
  CHECK(detector.races().size() == 1);
}

TEST_CASE("reads do not race with reads", "[watch]") {
  RaceDetector detector;
  for (const sim::watch::ActorIndex actor : {0u, 1u, 2u}) {
    as(detector, actor);
    detector.access(kCounter, 8, kRead, actor);
  }
  CHECK(detector.races().empty());
}

TEST_CASE("neighbouring bytes are not the same byte", "[watch]") {
  RaceDetector detector;
  as(detector, 0);
  detector.access(kCounter, 2, kWrite, 0xA);
  as(detector, 1);
  detector.access(kCounter + 2, 2, kWrite, 0xB);
  CHECK(detector.races().empty());
  detector.access(kCounter + 1, 2, kWrite, 0xC);
  CHECK(detector.races().size() == 1);
}

TEST_CASE("an access across two cells races in either", "[watch]") {
  RaceDetector detector;
  as(detector, 0);
  detector.access(kCounter + 6, 8, kWrite, 0xA);
  as(detector, 1);
  detector.access(kCounter + 12, 1, kRead, 0xB);
  CHECK(detector.races().size() == 1);
}

TEST_CASE("a read by a third actor after an ordered write does not hide an unordered one",
          "[watch]") {
  RaceDetector detector;
  as(detector, 0);
  detector.access(kCounter, 4, kRead, 0xA);
  detector.release(kLock);
  as(detector, 1);
  detector.acquire(kLock);
  detector.access(kCounter, 4, kRead, 0xB);
  as(detector, 2);
  detector.acquire(kLock);
  detector.access(kCounter, 4, kWrite, 0xC);  // after actor 0's read, not after actor 1's
  REQUIRE(detector.races().size() == 1);
  CHECK(detector.races()[0].earlier.program_counter == 0xB);
}

TEST_CASE("a program that begins has seen the past", "[watch]") {
  RaceDetector detector;
  as(detector, 0);
  detector.access(kCounter, 4, kWrite, 0xA);
  detector.begin(1);
  as(detector, 1);
  detector.access(kCounter, 4, kWrite, 0xB);
  CHECK(detector.races().empty());
  as(detector, 0);
  detector.access(kCounter, 4, kWrite, 0xC);
  CHECK(detector.races().size() == 1);
}

TEST_CASE("forgotten bytes have no past", "[watch]") {
  RaceDetector detector;
  as(detector, 0);
  detector.access(kCounter, 8, kWrite, 0xA);
  detector.forget(kCounter, 8);
  as(detector, 1);
  detector.access(kCounter, 8, kWrite, 0xB);
  CHECK(detector.races().empty());
}

TEST_CASE("a pair of places is reported once", "[watch]") {
  RaceDetector detector;
  for (int turn = 0; turn < 10; ++turn) {
    as(detector, static_cast<sim::watch::ActorIndex>(turn % 2));
    detector.access(kCounter, 4, kWrite, static_cast<std::uintptr_t>(turn % 2));
  }
  CHECK(detector.races().size() == 2);
}

TEST_CASE("frames on a borrowed stack have nothing to do with its owner's", "[watch]") {
  constexpr std::uintptr_t kStack = 0x8000;
  constexpr std::size_t kStackBytes = 0x1000;
  RaceDetector detector;
  as(detector, 1);
  detector.access(kStack + 0x100, 8, kWrite, 0xA);
  detector.switch_to_borrower(0, kStack, kStackBytes);
  detector.access(kStack + 0x100, 1, kRead, 0xB);
  detector.access(kCounter, 4, kWrite, 0xC);
  CHECK(detector.races().empty());
  // What is not on that stack counts, and so does the stack once it is no longer borrowed.
  as(detector, 2);
  detector.access(kCounter, 4, kWrite, 0xD);
  CHECK(detector.races().size() == 1);
  detector.access(kStack + 0x100, 8, kWrite, 0xE);
  CHECK(detector.races().size() == 2);
}
