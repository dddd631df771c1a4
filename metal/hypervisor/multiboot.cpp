#include "metal/hypervisor/multiboot.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "machine/address.h"
#include "metal/metal.h"

extern "C" std::byte metal_program_begin[];
extern "C" std::byte metal_program_end[];

namespace metal {
namespace {

using machine::BootInformation;
using machine::BootModule;
using machine::kPageSize;

constexpr std::uint64_t kFourGiB = 1ull << 32;
/// Images are loaded at addresses of their own (the root's at 32 MiB); modules wait above them.
constexpr std::uint64_t kModulesBase = 64ull << 20;

enum class TagType : std::uint32_t {
  kEnd = 0,
  kModule = 3,
  kMemoryMap = 6,
  kAcpiOld = 14,
  kAcpiNew = 15,
};

struct Tag {
  TagType type;
  std::uint32_t size;
};

struct ModuleTag {
  Tag tag;
  std::uint32_t begin;
  std::uint32_t end;
  // A zero-ended string follows.
};
static_assert(sizeof(ModuleTag) == 16);

struct MemoryMapTag {
  Tag tag;
  std::uint32_t entry_size;
  std::uint32_t entry_version;
};

struct MemoryMapEntry {
  std::uint64_t base;
  std::uint64_t size_bytes;
  std::uint32_t type;
  std::uint32_t reserved;
};
static_assert(sizeof(MemoryMapEntry) == 24);
constexpr std::uint32_t kAvailable = 1;

template <class T>
const T* at(std::uint64_t address) {
  return reinterpret_cast<const T*>(address);
}

template <class Visitor>
void for_each_tag(std::uint64_t information, Visitor visit) {
  for (std::uint64_t address = information + 8;;) {
    const Tag* tag = at<Tag>(address);
    if (tag->type == TagType::kEnd || tag->size < sizeof(Tag)) {
      return;
    }
    visit(address, *tag);
    address += (tag->size + 7u) & ~std::uint64_t{7};
  }
}

constexpr std::uint64_t page_up(std::uint64_t value) {
  return (value + kPageSize - 1) & ~(kPageSize - 1);
}

void add_range(BootInformation& information, std::uint64_t begin, std::uint64_t end) {
  begin = std::max(page_up(begin), kPageSize);  // page 0 stays the firmware's
  end = std::min(end, kFourGiB) & ~(kPageSize - 1);
  if (begin >= end) {
    return;
  }
  if (information.memory_range_count == information.memory_ranges.size()) {
    panic("the memory map has too many ranges");
  }
  information.memory_ranges[information.memory_range_count++] = {begin, end - begin};
}

void add_range_around_program(BootInformation& information, std::uint64_t begin,
                              std::uint64_t end) {
  const auto program_begin = reinterpret_cast<std::uint64_t>(metal_program_begin);
  const auto program_end = page_up(reinterpret_cast<std::uint64_t>(metal_program_end));
  add_range(information, begin, std::min(end, program_begin));
  add_range(information, std::max(begin, program_end), end);
}

void read_memory_map(std::uint64_t address, const Tag& tag, BootInformation& information) {
  const auto* map = at<MemoryMapTag>(address);
  for (std::uint64_t entry = address + sizeof(MemoryMapTag);
       entry + sizeof(MemoryMapEntry) <= address + tag.size; entry += map->entry_size) {
    const auto* range = at<MemoryMapEntry>(entry);
    if (range->type == kAvailable) {
      add_range_around_program(information, range->base, range->base + range->size_bytes);
    }
  }
}

/// A module's name is the last word of its command line.
void read_module(std::uint64_t address, BootInformation& information) {
  if (information.module_count == information.modules.size()) {
    panic("there are too many boot modules");
  }
  const auto* tag = at<ModuleTag>(address);
  std::string_view name(at<char>(address + sizeof(ModuleTag)));
  if (const std::size_t space = name.rfind(' '); space != std::string_view::npos) {
    name.remove_prefix(space + 1);
  }
  BootModule& module = information.modules[information.module_count++];
  if (name.size() >= module.name.size()) {
    panic("a boot module's name is too long");
  }
  module.base = tag->begin;
  module.size_bytes = tag->end - tag->begin;
  std::copy(name.begin(), name.end(), module.name.begin());
}

bool is_memory(const BootInformation& information, std::uint64_t begin, std::uint64_t end) {
  for (std::uint32_t index = 0; index < information.memory_range_count; ++index) {
    const machine::MemoryRange& range = information.memory_ranges[index];
    if (begin >= range.base && end <= range.base + range.size_bytes) {
      return true;
    }
  }
  return false;
}

/// To above every place where GRUB has put one, so that no copy overlaps another module.
void move_modules(BootInformation& information) {
  std::uint64_t target = kModulesBase;
  for (std::uint32_t index = 0; index < information.module_count; ++index) {
    const BootModule& module = information.modules[index];
    target = std::max(target, page_up(module.base + module.size_bytes));
  }
  for (std::uint32_t index = 0; index < information.module_count; ++index) {
    BootModule& module = information.modules[index];
    if (!is_memory(information, target, target + module.size_bytes)) {
      panic("there is too little memory for the boot modules");
    }
    std::memcpy(reinterpret_cast<void*>(target), at<void>(module.base), module.size_bytes);
    module.base = target;
    target = page_up(target + module.size_bytes);
  }
}

}  // namespace

void read_multiboot(std::uint64_t address, BootInformation& information) {
  for_each_tag(address, [&](std::uint64_t place, const Tag& tag) {
    if (tag.type == TagType::kMemoryMap) {
      read_memory_map(place, tag, information);
    } else if (tag.type == TagType::kModule) {
      read_module(place, information);
    }
  });
  if (information.memory_range_count == 0) {
    panic("the boot loader gave no memory map");
  }
  std::sort(information.memory_ranges.begin(),
            information.memory_ranges.begin() + information.memory_range_count,
            [](const auto& left, const auto& right) { return left.base < right.base; });
  move_modules(information);
}

std::uint64_t multiboot_acpi_root(std::uint64_t address) {
  std::uint64_t root = 0;
  for_each_tag(address, [&](std::uint64_t place, const Tag& tag) {
    const bool is_new = tag.type == TagType::kAcpiNew;
    if (is_new || (tag.type == TagType::kAcpiOld && root == 0)) {
      root = place + sizeof(Tag);
    }
  });
  return root;
}

}  // namespace metal
