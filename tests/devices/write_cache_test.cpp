#include "partitions/devices/write_cache.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <set>

#include "tests/support/recording_device_platform.h"

using devices::CachedSector;
using devices::Durability;
using devices::kSectorBytes;
using devices::StorageStatus;
using devices::WriteCache;
using test_support::RecordingDevicePlatform;
using test_support::RecordingStorage;

namespace {

constexpr std::uint64_t kSectors = 12;

std::vector<std::byte> filled(std::uint8_t value, std::size_t sectors = 1) {
  return std::vector<std::byte>(sectors * kSectorBytes, std::byte{value});
}

struct Fixture {
  RecordingDevicePlatform platform;
  RecordingStorage medium{kSectors};
  std::vector<CachedSector> slots;
  WriteCache cache;

  explicit Fixture(std::size_t capacity) : slots(capacity), cache(platform, medium, slots) {
    std::ranges::fill(medium.data, std::byte{0});
  }
  std::uint8_t on_medium(std::uint64_t sector) const {
    return std::to_integer<std::uint8_t>(medium.data[sector * kSectorBytes]);
  }
  std::uint8_t read(std::uint64_t sector) {
    std::vector<std::byte> data(kSectorBytes);
    REQUIRE(cache.read(sector, data) == StorageStatus::kOk);
    return std::to_integer<std::uint8_t>(data[100]);
  }
  void write(std::uint64_t sector, std::uint8_t value,
             Durability durability = Durability::kVolatile) {
    REQUIRE(cache.write(sector, filled(value), durability) == StorageStatus::kOk);
  }
};

}  // namespace

TEST_CASE("a cached write is read back before it is on the medium", "[devices][cache]") {
  Fixture fixture(4);
  fixture.write(3, 7);
  REQUIRE(fixture.read(3) == 7);
  REQUIRE(fixture.on_medium(3) == 0);
  REQUIRE(fixture.cache.flush() == StorageStatus::kOk);
  REQUIRE(fixture.on_medium(3) == 7);
  REQUIRE(fixture.medium.flushes == 1);
  REQUIRE(fixture.cache.cached_sectors() == 0);
}

TEST_CASE("a full cache gives its oldest sector to the medium", "[devices][cache]") {
  Fixture fixture(2);
  fixture.write(0, 1);
  fixture.write(1, 2);
  fixture.write(0, 3);  // sector 1 is the oldest now
  fixture.write(2, 4);
  REQUIRE(fixture.on_medium(1) == 2);
  REQUIRE(fixture.on_medium(0) == 0);
}

TEST_CASE("a durable write overtakes what the cache holds", "[devices][cache]") {
  Fixture fixture(4);
  fixture.write(5, 1);
  fixture.write(5, 2, Durability::kDurable);
  REQUIRE(fixture.read(5) == 2);
  fixture.cache.power_loss();
  REQUIRE(fixture.read(5) == 2);
  REQUIRE(fixture.cache.flush() == StorageStatus::kOk);
  REQUIRE(fixture.on_medium(5) == 2);
}

TEST_CASE("a medium that refuses keeps the sector in the cache", "[devices][cache]") {
  Fixture fixture(1);
  fixture.write(0, 1);
  fixture.medium.fail_writes = true;
  REQUIRE(fixture.cache.flush() == StorageStatus::kWriteFailed);
  REQUIRE(fixture.cache.write(1, filled(2), Durability::kVolatile) == StorageStatus::kWriteFailed);
  fixture.medium.fail_writes = false;
  REQUIRE(fixture.cache.flush() == StorageStatus::kOk);
  REQUIRE(fixture.on_medium(0) == 1);
}

TEST_CASE("a cache without slots writes through", "[devices][cache]") {
  Fixture fixture(0);
  fixture.write(0, 9);
  REQUIRE(fixture.on_medium(0) == 9);
}

TEST_CASE("flushed writes survive power loss and others survive as decided", "[devices][cache]") {
  const bool holds = rc::check("durability", [](std::vector<std::uint16_t> operations) {
    Fixture fixture(*rc::gen::inRange<std::size_t>(0, 6));
    // For each sector: the value that must survive, and those that may be seen instead.
    std::array<std::uint8_t, kSectors> durable{};
    std::array<std::set<std::uint8_t>, kSectors> possible{};
    std::array<std::uint8_t, kSectors> current{};
    std::uint8_t next_value = 1;
    for (const std::uint16_t operation : operations) {
      const std::uint64_t sector = operation / 16 % (kSectors - 1);
      if (operation % 16 < 10) {
        // Two sectors in one request: each is kept or lost on its own.
        const std::uint8_t value = next_value++;
        RC_ASSERT(fixture.cache.write(sector, filled(value, 2), Durability::kVolatile) ==
                  StorageStatus::kOk);
        for (const std::uint64_t written : {sector, sector + 1}) {
          current[written] = value;
          possible[written].insert(value);
        }
      } else if (operation % 16 < 13) {
        std::vector<std::byte> data(2 * kSectorBytes);
        RC_ASSERT(fixture.cache.read(sector, data) == StorageStatus::kOk);
        RC_ASSERT(std::to_integer<std::uint8_t>(data[0]) == current[sector]);
        RC_ASSERT(std::to_integer<std::uint8_t>(data[kSectorBytes]) == current[sector + 1]);
      } else {
        RC_ASSERT(fixture.cache.flush() == StorageStatus::kOk);
        durable = current;
        for (std::set<std::uint8_t>& values : possible) {
          values.clear();
        }
      }
    }
    const auto decisions = *rc::gen::container<std::vector<std::uint32_t>>(
        kSectors, rc::gen::inRange<std::uint32_t>(0, 2));
    fixture.platform.decisions.assign(decisions.begin(), decisions.end());
    fixture.cache.power_loss();
    RC_ASSERT(fixture.cache.cached_sectors() == 0U);
    for (std::uint64_t sector = 0; sector < kSectors; ++sector) {
      const std::uint8_t seen = fixture.on_medium(sector);
      RC_ASSERT(seen == durable[sector] || possible[sector].contains(seen));
    }
  });
  REQUIRE(holds);
}

TEST_CASE("each unflushed sector is lost exactly when the decision says so", "[devices][cache]") {
  const bool holds = rc::check("any subset may be lost", [] {
    Fixture fixture(kSectors);
    for (std::uint64_t sector = 0; sector < kSectors; ++sector) {
      fixture.write(sector, static_cast<std::uint8_t>(sector + 1));
    }
    const auto decisions = *rc::gen::container<std::vector<std::uint32_t>>(
        kSectors, rc::gen::inRange<std::uint32_t>(0, 2));
    fixture.platform.decisions.assign(decisions.begin(), decisions.end());
    fixture.cache.power_loss();
    for (std::uint64_t sector = 0; sector < kSectors; ++sector) {
      const auto survivor = static_cast<std::uint8_t>(sector + 1);
      RC_ASSERT(fixture.on_medium(sector) == (decisions[sector] == 1 ? survivor : 0));
    }
  });
  REQUIRE(holds);
}
