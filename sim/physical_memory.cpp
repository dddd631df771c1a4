#include "sim/physical_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <stdexcept>

namespace sim {

PhysicalMemory::PhysicalMemory(std::uint64_t size_bytes)
    : size_bytes_(size_bytes),
      low_end_(std::min(size_bytes, kGapBegin)),
      end_(size_bytes <= kGapBegin ? size_bytes : kGapEnd + (size_bytes - kGapBegin)) {
  if (size_bytes == 0 || size_bytes % machine::kPageSize != 0) {
    throw std::invalid_argument("the size of memory is not a positive multiple of the page size");
  }
  void* const region = mmap(nullptr, end_, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) {
    throw std::runtime_error("no address space for the simulated memory");
  }
  memory_ = static_cast<std::byte*>(region);
}

PhysicalMemory::~PhysicalMemory() { munmap(memory_, end_); }

}  // namespace sim
