#include "hv/root_partition.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include "hv/image_start.h"
#include "hv/partition.h"
#include "machine/image.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"

namespace hv {
namespace {

constexpr std::uint64_t kMinHypervisorBytes = 4ull << 20;
constexpr std::uint64_t kHypervisorShare = 64;
constexpr std::uint64_t kLegacyDevicesBase = 0xA'0000;
constexpr std::uint64_t kLegacyDevicesEnd = 0x10'0000;
constexpr std::uint64_t kFourGigabytes = 1ull << 32;
/// The physical local APIC is the hypervisor's.
constexpr std::uint64_t kLocalApicPage = 0xFEE0'0000;

constexpr machine::Site kRootLacksIt{"hv.isolation.root_lacks_hypervisor_pages"};

std::uint64_t end_of(const machine::MemoryRange& range) { return range.base + range.size_bytes; }

bool holds_module(const machine::BootInformation& information, const machine::MemoryRange& memory) {
  for (std::uint32_t index = 0; index < information.module_count; ++index) {
    const machine::BootModule& module = information.modules[index];
    if (module.base < end_of(memory) && memory.base < module.base + module.size_bytes) {
      return true;
    }
  }
  return false;
}

void map_range(Partition& root, std::uint64_t base, std::uint64_t end, GpaCaching caching) {
  const machine::LockGuard guard(root.space_lock);
  for (std::uint64_t address = base; address < end;) {
    const machine::Gpn gpn(address >> machine::kPageShift);
    const GpaMapping mapping{machine::Spn(gpn.value()), GpaRights::all(), caching};
    const bool whole = address % machine::kLargePageSize == 0 &&
                       end - address >= machine::kLargePageSize &&
                       (kLocalApicPage - address) >= machine::kLargePageSize;
    if (whole) {
      INVARIANT(root.space->map_large(gpn, mapping) == Status::kSuccess);
      address += machine::kLargePageSize;
      continue;
    }
    if (address != kLocalApicPage) {
      INVARIANT(root.space->map(gpn, mapping) == Status::kSuccess);
    }
    address += machine::kPageSize;
  }
}

/// By what the tables say, whichever way they came to say it.
void require_unmapped(Partition& root, const machine::MemoryRange& range) {
  const machine::LockGuard guard(root.space_lock);
  const std::uint64_t end = end_of(range);
  for (std::uint64_t address = range.base; address < end; address += machine::kPageSize) {
    const machine::Gpn page(address >> machine::kPageShift);
    machine::always(kRootLacksIt, !root.space->lookup(page).has_value(), page.value());
  }
}

std::string_view module_name(const machine::BootModule& module) {
  const auto* const end = std::find(module.name.begin(), module.name.end(), '\0');
  return {module.name.data(), static_cast<std::size_t>(end - module.name.begin())};
}

const machine::BootModule* find_module(const machine::BootInformation& information,
                                       std::string_view name) {
  for (std::uint32_t index = 0; index < information.module_count; ++index) {
    if (module_name(information.modules[index]) == name) {
      return &information.modules[index];
    }
  }
  return nullptr;
}

/// Modules lie in the root's RAM and may lie where the image goes: copied in the direction that
/// keeps what is still to be copied.
void copy_memory(machine::Spa to, machine::Spa from, std::uint64_t size_bytes) {
  std::array<std::byte, 256> chunk;
  const bool downwards = from.value() < to.value();
  for (std::uint64_t done = 0; done < size_bytes;) {
    const std::uint64_t count = std::min<std::uint64_t>(chunk.size(), size_bytes - done);
    const std::uint64_t offset = downwards ? size_bytes - done - count : done;
    const std::span<std::byte> bytes = std::span(chunk).first(count);
    machine::read_memory(from + offset, bytes);
    machine::write_memory(to + offset, bytes);
    done += count;
  }
}

machine::ImageHeader read_header(const machine::BootModule& module) {
  machine::ImageHeader header;
  if (module.size_bytes < sizeof(header)) {
    header.magic = 0;
    return header;
  }
  machine::read_memory(machine::Spa(module.base), std::as_writable_bytes(std::span(&header, 1)));
  return header;
}

bool fits(const machine::ImageHeader& header, const machine::BootModule& module,
          const MemorySplit& split) {
  if (!is_image(header) || header.file_size_bytes > module.size_bytes) {
    return false;
  }
  for (std::uint32_t index = 0; index < split.root_count; ++index) {
    const machine::MemoryRange& range = split.root[index];
    if (header.load_gpa >= range.base &&
        header.load_gpa + header.memory_size_bytes <= end_of(range)) {
      return true;
    }
  }
  return false;
}

void write_boot_page(const machine::BootInformation& information, const MemorySplit& split,
                     machine::Spa where) {
  // Written piece by piece: the page is too large for a stack.
  machine::BootPage empty_head{};
  static_assert(sizeof(machine::BootPage) <= machine::kPageSize);
  empty_head.processor_count = information.logical_processor_count;
  empty_head.memory_range_count = split.root_count;
  empty_head.memory_ranges = split.root;
  empty_head.modules = information.modules;
  empty_head.module_count = information.module_count;
  if (const machine::BootModule* parameters = find_module(information, "parameters")) {
    const std::uint64_t size =
        std::min<std::uint64_t>(parameters->size_bytes, machine::kMaxParameterBytes);
    empty_head.parameter_size_bytes = static_cast<std::uint32_t>(size);
    machine::read_memory(machine::Spa(parameters->base),
                         std::as_writable_bytes(std::span(empty_head.parameters)).first(size));
  }
  machine::write_memory(where, std::as_bytes(std::span(&empty_head, 1)));
}

}  // namespace

MemorySplit split_memory(const machine::BootInformation& information) {
  MemorySplit split;
  std::uint64_t total = 0;
  for (std::uint32_t index = 0; index < information.memory_range_count; ++index) {
    const machine::MemoryRange& range = information.memory_ranges[index];
    split.root[index] = range;
    total += range.size_bytes;
    if (range.base < kFourGigabytes) {
      split.low_ram_end = std::min(end_of(range), kFourGigabytes);
    }
  }
  split.root_count = information.memory_range_count;
  const std::uint64_t share = total / kHypervisorShare / machine::kPageSize * machine::kPageSize;
  const std::uint64_t wanted = std::max(share, kMinHypervisorBytes);
  for (std::uint32_t index = split.root_count; index-- > 0;) {
    machine::MemoryRange& range = split.root[index];
    const machine::MemoryRange top{end_of(range) - wanted, wanted};
    if (range.size_bytes > wanted && !holds_module(information, top)) {
      split.hypervisor = top;
      range.size_bytes -= wanted;
      return split;
    }
  }
  return split;
}

void map_root_memory(Partition& root, const MemorySplit& split) {
  for (std::uint32_t index = 0; index < split.root_count; ++index) {
    const machine::MemoryRange& range = split.root[index];
    map_range(root, range.base, end_of(range), GpaCaching::kWriteBack);
  }
  // Holes between ranges of RAM are not the root's: the hypervisor's own program lies in one.
  map_range(root, kLegacyDevicesBase, kLegacyDevicesEnd, GpaCaching::kUncached);
  map_range(root, split.low_ram_end, kFourGigabytes, GpaCaching::kUncached);
  require_unmapped(root, split.hypervisor);
}

bool load_root_image(const machine::BootInformation& information, const MemorySplit& split) {
  const machine::BootModule* module = find_module(information, "root");
  if (module == nullptr) {
    return false;
  }
  const machine::ImageHeader header = read_header(*module);
  if (!fits(header, *module, split)) {
    return false;
  }
  const machine::Spa load(header.load_gpa);
  copy_memory(load, machine::Spa(module->base), header.file_size_bytes);
  machine::fill_memory(load + header.file_size_bytes,
                       header.memory_size_bytes - header.file_size_bytes, 0);
  write_boot_page(information, split, machine::Spa(header.boot_page_gpa));
  point_at_image(header, 0);
  return true;
}

}  // namespace hv
