#include "partitions/root/image_loader.h"

#include <catch2/catch.hpp>

#include "tests/kernel/kernel_fixture.h"

using root::ImageProblem;

namespace {

constexpr std::uint64_t kModule = 0x40000;
constexpr std::uint64_t kMemoryBytes = 0x20000;

machine::ImageHeader good_image() {
  machine::ImageHeader image;
  image.max_processors = 2;
  image.load_gpa = 0x4000;
  image.file_size_bytes = 0x1800;
  image.memory_size_bytes = 0x8000;
  image.boot_page_gpa = 0x6000;
  return image;
}

std::expected<machine::ImageHeader, ImageProblem> read(const machine::ImageHeader& image,
                                                       std::uint64_t module_bytes = 0x2000,
                                                       std::uint32_t processors = 2) {
  machine::write_memory(machine::Gpa(kModule), std::as_bytes(std::span(&image, 1)));
  return root::read_image({kModule, module_bytes, {}}, kMemoryBytes, processors);
}

}  // namespace

TEST_CASE("an image that contradicts itself or its module is refused", "[root][image]") {
  kernel_test::Booted booted;
  CHECK(read(good_image()).has_value());
  CHECK(read(good_image(), 64).error() == ImageProblem::kNotAnImage);
  CHECK(read(good_image(), 0x17FF).error() == ImageProblem::kDamaged);
  CHECK(read(good_image(), 0x2000, 3).error() == ImageProblem::kTooLarge);

  auto image = good_image();
  image.magic ^= 1;
  CHECK(read(image).error() == ImageProblem::kNotAnImage);
  image = good_image();
  image.load_gpa += 8;
  CHECK(read(image).error() == ImageProblem::kDamaged);
  image = good_image();
  image.file_size_bytes = image.memory_size_bytes + 1;
  CHECK(read(image, 0x10000).error() == ImageProblem::kDamaged);
  image = good_image();
  image.load_gpa = kMemoryBytes - 0x7000;
  CHECK(read(image).error() == ImageProblem::kTooLarge);
  image = good_image();
  image.memory_size_bytes = ~std::uint64_t{0};
  CHECK(read(image).error() == ImageProblem::kTooLarge);
  image = good_image();
  image.boot_page_gpa = kMemoryBytes;
  CHECK(read(image).error() == ImageProblem::kTooLarge);
}

TEST_CASE("an image is copied to its place and no further", "[root][image]") {
  kernel_test::Booted booted;
  const auto image = good_image();
  machine::fill_memory(machine::Gpa(kModule), 0x2000, 0xAB);
  const root::MemoryBlock memory{machine::Gpn(0x80), kMemoryBytes / machine::kPageSize};
  root::load_image(booted.kernel(), {kModule, 0x2000, {}}, image, memory);
  const machine::Gpa start = machine::Gpa(memory.first) + image.load_gpa;
  CHECK(machine::load_u8(start + 0x17FF) == 0xAB);
  CHECK(machine::load_u8(start + 0x1800) == 0);

  root::write_boot_page(booted.kernel(), image, memory, 2, "workload=hello\n");
  const auto page =
      kernel::read_object<machine::BootPage>(machine::Gpa(memory.first) + image.boot_page_gpa);
  CHECK(page.magic == machine::kBootPageMagic);
  CHECK(page.processor_count == 2);
  CHECK(page.memory_ranges[0].size_bytes == kMemoryBytes);
  CHECK(std::string_view(page.parameters.data(), page.parameter_size_bytes) == "workload=hello\n");
}
