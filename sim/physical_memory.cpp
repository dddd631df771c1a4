#include "sim/physical_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <stdexcept>

namespace sim {

namespace {

constexpr std::uint64_t kBlock = MemoryBlocks::kBlockBytes;

bool is_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

/// How much of `size_bytes` lies before the next multiple of `unit`.
std::uint64_t before_boundary(machine::Spa address, std::uint64_t size_bytes, std::uint64_t unit) {
  return std::min(size_bytes, unit - address.value() % unit);
}

}  // namespace

PhysicalMemory::PhysicalMemory(std::uint64_t size_bytes)
    : size_bytes_(size_bytes),
      low_end_(std::min(size_bytes, kGapBegin)),
      end_(size_bytes <= kGapBegin ? size_bytes : kGapEnd + (size_bytes - kGapBegin)) {
  constexpr std::uint64_t kMost = kBlock << 32;
  if (size_bytes == 0 || size_bytes % machine::kPageSize != 0 || end_ >= kMost) {
    throw std::invalid_argument("the size of memory is not a positive multiple of the page size");
  }
  void* const region = mmap(nullptr, end_, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) {
    throw std::runtime_error("no address space for the simulated memory");
  }
  memory_ = static_cast<std::byte*>(region);
  whole_.cover(end_ / machine::kPageSize);
  in_blocks_.cover(end_ / machine::kPageSize);
}

PhysicalMemory::~PhysicalMemory() { munmap(memory_, end_); }

std::byte* PhysicalMemory::make_block(machine::Spa address) {
  if (std::byte* const block = blocks_.find(address.value())) {
    return block + address.value() % kBlock;
  }
  const std::uint64_t page = address.value() & ~(machine::kPageSize - 1);
  std::size_t count = 0;
  for (std::uint64_t offset = 0; offset < machine::kPageSize; offset += kBlock) {
    count += blocks_.find(page + offset) != nullptr ? 1 : 0;
  }
  if (count == kMostBlocks) {
    make_whole(address);
    return memory_ + address.value();
  }
  in_blocks_.add(address);
  return blocks_.add(address.value()) + address.value() % kBlock;
}

void PhysicalMemory::make_whole(machine::Spa address) {
  const std::uint64_t begin = address.page().value() * machine::kPageSize;
  for (std::uint64_t at = begin; at < begin + machine::kPageSize; at += kBlock) {
    if (const std::byte* const block = blocks_.find(at)) {
      std::memcpy(memory_ + at, block, kBlock);
      blocks_.remove(at);
    }
  }
  in_blocks_.remove(address);
  whole_.add(address);
}

void PhysicalMemory::read(machine::Spa from, std::span<std::byte> to) const {
  while (!to.empty()) {
    const bool whole = is_whole(from);
    const std::uint64_t size =
        before_boundary(from, to.size(), whole ? machine::kPageSize : kBlock);
    std::memcpy(to.data(), whole ? memory_ + from.value() : blocks_.find_or_zero(from.value()),
                size);
    from = from + size;
    to = to.subspan(size);
  }
}

void PhysicalMemory::write(machine::Spa to, std::span<const std::byte> from) {
  while (!from.empty()) {
    const std::uint64_t size = before_boundary(to, from.size(), machine::kPageSize);
    write_part(to, from.first(size));
    to = to + size;
    from = from.subspan(size);
  }
}

/// Within one page.
void PhysicalMemory::write_part(machine::Spa to, std::span<const std::byte> from) {
  while (!from.empty() && !is_whole(to)) {
    const std::uint64_t size = before_boundary(to, from.size(), kBlock);
    const std::span<const std::byte> part = from.first(size);
    if (blocks_.find(to.value()) != nullptr || !is_zero(part)) {
      std::memcpy(make_block(to), part.data(), size);
    }
    to = to + size;
    from = from.subspan(size);
  }
  if (!from.empty()) {
    std::memcpy(memory_ + to.value(), from.data(), from.size());
  }
}

void PhysicalMemory::fill(machine::Spa to, std::uint64_t size_bytes, std::byte value) {
  while (size_bytes != 0) {
    const std::uint64_t size = before_boundary(to, size_bytes, machine::kPageSize);
    fill_part(to, size, value);
    to = to + size;
    size_bytes -= size;
  }
}

/// Within one page.
void PhysicalMemory::fill_part(machine::Spa to, std::uint64_t size_bytes, std::byte value) {
  if (!is_whole(to) && value != std::byte{0}) {
    make_whole(to);
  }
  if (is_whole(to)) {
    std::memset(memory_ + to.value(), std::to_integer<int>(value), size_bytes);
    return;
  }
  if (!in_blocks_.has(to)) {
    return;
  }
  if (size_bytes == machine::kPageSize) {
    in_blocks_.remove(to);
  }
  while (size_bytes != 0) {
    const std::uint64_t size = before_boundary(to, size_bytes, kBlock);
    if (size == kBlock) {
      blocks_.remove(to.value());
    } else if (std::byte* const block = blocks_.find(to.value())) {
      std::memset(block + to.value() % kBlock, 0, size);
    }
    to = to + size;
    size_bytes -= size;
  }
}

}  // namespace sim
