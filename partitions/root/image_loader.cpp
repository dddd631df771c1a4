#include "partitions/root/image_loader.h"

#include <algorithm>

#include "machine/guest.h"
#include "partitions/kernel/guest_memory.h"

namespace root {

namespace {

using Page = std::array<std::byte, machine::kPageSize>;

/// Whether [start, start + size) lies within [0, limit).
bool fits(std::uint64_t start, std::uint64_t size, std::uint64_t limit) {
  return size <= limit && start <= limit - size;
}

bool describes_itself(const machine::ImageHeader& image) {
  const std::uint64_t aligned = image.load_gpa | image.page_tables_gpa | image.boot_page_gpa |
                                image.stacks_gpa | image.arena_gpa;
  return image.file_size_bytes >= sizeof(image) &&
         image.file_size_bytes <= image.memory_size_bytes && aligned % machine::kPageSize == 0 &&
         image.max_processors > 0;
}

}  // namespace

std::string_view describe(ImageProblem problem) {
  switch (problem) {
    case ImageProblem::kNotAnImage:
      return "is no kernel image";
    case ImageProblem::kDamaged:
      return "contradicts itself";
    case ImageProblem::kTooLarge:
      return "does not fit into the child";
  }
  return "";
}

std::expected<machine::ImageHeader, ImageProblem> read_image(const machine::BootModule& module,
                                                             std::uint64_t memory_bytes,
                                                             std::uint32_t processors) {
  if (module.size_bytes < sizeof(machine::ImageHeader)) {
    return std::unexpected(ImageProblem::kNotAnImage);
  }
  const auto image = kernel::read_object<machine::ImageHeader>(machine::Gpa(module.base));
  if (image.magic != machine::kImageMagic || image.version != machine::kImageVersion) {
    return std::unexpected(ImageProblem::kNotAnImage);
  }
  if (!describes_itself(image) || image.file_size_bytes > module.size_bytes) {
    return std::unexpected(ImageProblem::kDamaged);
  }
  if (!fits(image.load_gpa, image.memory_size_bytes, memory_bytes) ||
      !fits(image.boot_page_gpa, machine::kPageSize, memory_bytes) ||
      image.max_processors < processors) {
    return std::unexpected(ImageProblem::kTooLarge);
  }
  return image;
}

void load_image(kernel::Kernel& kernel, const machine::BootModule& module,
                const machine::ImageHeader& image, const MemoryBlock& memory) {
  Page* page = kernel.heap().create<Page>();
  for (std::uint64_t done = 0; done < image.file_size_bytes; done += machine::kPageSize) {
    const std::uint64_t left = image.file_size_bytes - done;
    const auto portion = std::span(*page).first(std::min<std::uint64_t>(left, machine::kPageSize));
    machine::read_memory(machine::Gpa(module.base) + done, portion);
    machine::write_memory(machine::Gpa(memory.first) + (image.load_gpa + done), portion);
  }
  kernel.heap().destroy(page);
}

void write_boot_page(kernel::Kernel& kernel, const machine::ImageHeader& image,
                     const MemoryBlock& memory, std::uint32_t processors,
                     std::string_view parameters) {
  INVARIANT(parameters.size() <= machine::kMaxParameterBytes);
  auto* page = kernel.heap().create<machine::BootPage>();
  page->processor_count = processors;
  page->memory_range_count = 1;
  page->memory_ranges[0] = {0, memory.page_count * machine::kPageSize};
  page->parameter_size_bytes = static_cast<std::uint32_t>(parameters.size());
  std::copy(parameters.begin(), parameters.end(), page->parameters.begin());
  kernel::write_object(machine::Gpa(memory.first) + image.boot_page_gpa, *page);
  kernel.heap().destroy(page);
}

}  // namespace root
