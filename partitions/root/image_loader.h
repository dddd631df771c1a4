// Puts a kernel image into the memory of a child that is about to start.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "machine/boot.h"
#include "machine/image.h"
#include "partitions/kernel/kernel.h"
#include "partitions/root/partition_calls.h"

namespace root {

enum class ImageProblem : std::uint8_t { kNotAnImage, kDamaged, kTooLarge };
[[nodiscard]] std::string_view describe(ImageProblem problem);

/// The header of the image in `module`, once everything that it says about itself has been found to
/// fit the module and a child of so much memory.
[[nodiscard]] std::expected<machine::ImageHeader, ImageProblem> read_image(
    const machine::BootModule& module, std::uint64_t memory_bytes, std::uint32_t processors);

/// Copies the image to its place in `memory`, which is all zero.
void load_image(kernel::Kernel& kernel, const machine::BootModule& module,
                const machine::ImageHeader& image, const MemoryBlock& memory);

/// Writes the boot page: one range of RAM from 0, no modules.
void write_boot_page(kernel::Kernel& kernel, const machine::ImageHeader& image,
                     const MemoryBlock& memory, std::uint32_t processors,
                     std::string_view parameters);

}  // namespace root
