// What of RAM is the hypervisor's.
#include <catch2/catch.hpp>
#include <cstring>

#include "hv/root_partition.h"

namespace {

constexpr std::uint64_t kMega = 1ull << 20;

machine::BootInformation with_ranges(std::initializer_list<machine::MemoryRange> ranges) {
  machine::BootInformation information;
  for (const machine::MemoryRange& range : ranges) {
    information.memory_ranges[information.memory_range_count++] = range;
  }
  return information;
}

}  // namespace

TEST_CASE("the hypervisor takes a 64th from the top, and 4 MiB at least", "[hv][memory]") {
  const auto small = hv::split_memory(with_ranges({{0, kMega / 2}, {kMega, 127 * kMega}}));
  CHECK(small.hypervisor.base == 124 * kMega);
  CHECK(small.hypervisor.size_bytes == 4 * kMega);
  CHECK(small.root_count == 2);
  CHECK(small.root[1].size_bytes == 123 * kMega);
  CHECK(small.low_ram_end == 128 * kMega);
  const auto large = hv::split_memory(with_ranges({{0, 1024 * kMega}}));
  CHECK(large.hypervisor.size_bytes == 16 * kMega);
  CHECK(large.hypervisor.base + large.hypervisor.size_bytes == 1024 * kMega);
}

TEST_CASE("the hypervisor's pages are none that a boot module is in", "[hv][memory]") {
  machine::BootInformation information =
      with_ranges({{kMega, 63 * kMega}, {128 * kMega, 64 * kMega}});
  information.module_count = 1;
  information.modules[0].base = 190 * kMega;
  information.modules[0].size_bytes = 100;
  const auto split = hv::split_memory(information);
  CHECK(split.hypervisor.base == 60 * kMega);
  CHECK(split.root[1].size_bytes == 64 * kMega);
}

TEST_CASE("devices begin where RAM below 4 GiB ends", "[hv][memory]") {
  const auto split =
      hv::split_memory(with_ranges({{kMega, 2047 * kMega}, {4096 * kMega, 1024 * kMega}}));
  CHECK(split.low_ram_end == 2048 * kMega);
  CHECK(split.hypervisor.base + split.hypervisor.size_bytes == 5120 * kMega);
  CHECK(split.hypervisor.size_bytes > 47 * kMega);
}
