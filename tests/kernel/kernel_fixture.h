// A kernel on the seam's double: an image header, a boot page and a megabyte of RAM.
#pragma once

#include <memory>
#include <string_view>

#include "partitions/kernel/kernel.h"
#include "tests/support/host_seam.h"

namespace kernel_test {

class TestKernel final : public kernel::Kernel {
 public:
  explicit TestKernel(std::span<std::byte> heap) : Kernel(heap, kernel::OverlayPages::kOwn) {}
};

inline constexpr std::uint64_t kRamBytes = 1 << 20;
inline constexpr std::uint64_t kImageBytes = 0x10000;
inline constexpr std::uint64_t kBootPage = 0x1000;

/// The computer as the kernel finds it; `ranges` is the RAM, up to two of them.
inline void prepare_boot(std::string_view parameters = {}) {
  host_seam::reset();
  // Behind the RAM lies what the hypervisor shows the kernel.
  host_seam::computer().memory.resize(2 * machine::kLargePageSize);
  machine::ImageHeader header;
  header.max_processors = 4;
  header.file_size_bytes = machine::kPageSize;
  header.memory_size_bytes = kImageBytes;
  header.boot_page_gpa = kBootPage;
  header.stacks_gpa = 0x4000;
  header.stack_size_bytes = machine::kPageSize;
  machine::BootPage page;
  page.processor_count = 2;
  page.memory_range_count = 1;
  page.memory_ranges[0] = {0, kRamBytes};
  page.parameter_size_bytes = static_cast<std::uint32_t>(parameters.size());
  std::copy(parameters.begin(), parameters.end(), page.parameters.begin());
  machine::write_memory(machine::Gpa(0), std::as_bytes(std::span(&header, 1)));
  machine::write_memory(machine::Gpa(kBootPage), std::as_bytes(std::span(&page, 1)));
}

/// A booted kernel, on VP 0.
class Booted {
 public:
  explicit Booted(std::string_view parameters = {}) {
    prepare_boot(parameters);
    kernel_ = std::make_unique<TestKernel>(host_seam::computer().arena);
  }
  [[nodiscard]] kernel::Kernel& kernel() { return *kernel_; }
  [[nodiscard]] kernel::Processor& processor() { return kernel_->processor(0); }
  /// Runs until nothing is left to do.
  void run() {
    while (processor().executor().run_one()) {
    }
  }

 private:
  std::unique_ptr<TestKernel> kernel_;
};

}  // namespace kernel_test
