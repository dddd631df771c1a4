#include "partitions/child/workloads/block_model.h"

#include <catch2/catch.hpp>
#include <vector>

using child::BlockModel;
using child::SectorRange;

namespace {

struct Setup {
  std::vector<std::byte> region = std::vector<std::byte>(1 << 16);
  kernel::Heap heap{region};
  BlockModel model{heap, 42, 100};
};

}  // namespace

TEST_CASE("a sector is right only with what the last write put there", "[child][block-model]") {
  Setup setup;
  BlockModel::Sector first;
  BlockModel::Sector second;
  const std::uint32_t old_version = setup.model.next_version();
  setup.model.fill(7, old_version, first);
  CHECK(setup.model.is_right(7, first));  // Never written: anything is.
  setup.model.written({5, 5}, old_version);
  CHECK(setup.model.is_right(7, first));
  CHECK_FALSE(setup.model.is_right(8, first));

  const std::uint32_t new_version = setup.model.next_version();
  setup.model.fill(7, new_version, second);
  CHECK_FALSE(setup.model.is_right(7, second));
  setup.model.written({7, 1}, new_version);
  CHECK(setup.model.is_right(7, second));
  CHECK_FALSE(setup.model.is_right(7, first));
  second[511] ^= std::byte{1};
  CHECK_FALSE(setup.model.is_right(7, second));
  setup.model.unknown({7, 1});
  CHECK(setup.model.is_right(7, second));
}

TEST_CASE("requests under way do not overlap", "[child][block-model]") {
  Setup setup;
  setup.model.begin(0, {10, 5});
  CHECK_FALSE(setup.model.is_free({14, 1}));
  CHECK_FALSE(setup.model.is_free({8, 3}));
  CHECK_FALSE(setup.model.is_free({0, 100}));
  CHECK(setup.model.is_free({15, 1}));
  CHECK(setup.model.is_free({5, 5}));
  setup.model.end(0);
  CHECK(setup.model.is_free({0, 100}));
}
