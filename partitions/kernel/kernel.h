// What the kernels of the root and of a child share: executor, tasks, timers, heap, pages, SynIC
// use, hypercalls, interrupt entry, text.
//
// A kernel is one object, built at the start of the partition's arena by VP 0; a processor finds it
// through machine::processor_local(). It owns everything in the arena and the partition's RAM. It
// is called by partitions/root and partitions/child, and may not know which of them it serves, nor
// anything of VMBus or devices.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "hv/tlfs/partition.h"
#include "hv/tlfs/register_values.h"
#include "hv/tlfs/status.h"
#include "machine/image.h"
#include "machine/shared.h"
#include "partitions/kernel/heap.h"
#include "partitions/kernel/page_allocator.h"
#include "partitions/kernel/processor.h"
#include "partitions/kernel/text.h"

namespace kernel {

inline constexpr std::uint32_t kMaxProcessors = 64;

/// Who chooses the places of the hypercall page and of the SynIC pages: the hypervisor for the root
/// partition, the kernel itself for any other.
enum class OverlayPages : std::uint8_t { kPreset, kOwn };

class Kernel {
 public:
  /// `heap` is the rest of the arena. Runs on VP 0 with interrupts disabled and makes it ready:
  /// hypercalls, SynIC, timers. Interrupts are enabled when the executor first runs.
  Kernel(std::span<std::byte> heap, OverlayPages overlays);
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  /// The kernel of the processor that executes this.
  [[nodiscard]] static Kernel& current() { return Processor::current().kernel(); }

  /// Makes the executing VP, another than 0, ready. The object of VP 0 built everything else.
  Processor& enter_processor();
  /// Starts VP `index` of this partition at the image's other entry.
  [[nodiscard]] hv::Status start_processor(hv::VpIndex index);

  [[nodiscard]] Heap& heap() { return heap_; }
  [[nodiscard]] PageAllocator& pages() { return pages_; }
  [[nodiscard]] const machine::ImageHeader& image() const { return image_; }
  [[nodiscard]] std::uint32_t processor_count() const { return processor_count_; }
  [[nodiscard]] machine::Gpa hypercall_page() const { return hypercall_page_; }
  [[nodiscard]] Processor& processor(std::uint32_t index);
  [[nodiscard]] std::string_view parameters() const {
    return {parameters_.data(), parameters_.size()};
  }
  [[nodiscard]] std::span<const machine::BootModule> modules() const { return modules_; }

 protected:
  ~Kernel() = default;
  /// An array in the heap that stays as long as the kernel.
  template <class T>
  [[nodiscard]] std::span<T> make_array(std::size_t count) {
    auto* const first = static_cast<T*>(heap_.allocate(count * sizeof(T)));
    std::uninitialized_value_construct_n(first, count);
    return {first, count};
  }

 private:
  void read_modules_and_parameters();
  void own_the_ram();
  void choose_hypercall_page();
  Processor& build_processor(std::uint32_t index);
  void enable_processor(Processor& processor);

  Heap heap_;
  machine::ImageHeader image_;
  std::uint32_t processor_count_;
  PageAllocator pages_;
  OverlayPages overlays_;
  /// Where the hypervisor is asked to show its pages: the hypercall page, then two of SynIC for
  /// each processor. It is behind the RAM: in the middle they would break the large page around
  /// them, and hide memory that could be used.
  machine::Gpn overlay_base_;
  machine::Gpa hypercall_page_;
  std::span<Processor*> processors_;  // by index
  std::span<machine::BootModule> modules_;
  std::span<char> parameters_;
  machine::Shared<std::uint32_t> processors_built_{0};
};

/// Builds the program's kernel object at the start of the arena and the heap behind it.
template <class Program>
[[nodiscard]] Program& build_in_arena() {
  const std::span<std::byte> arena = machine::arena();
  INVARIANT(arena.size() > sizeof(Program));
  return *new (arena.data()) Program(arena.subspan(sizeof(Program)));
}
/// The object that VP 0 built.
template <class Program>
[[nodiscard]] Program& find_in_arena() {
  const std::span<std::byte> arena = machine::arena();
  return *reinterpret_cast<Program*>(arena.data());
}

/// The state in which a VP enters an image (machine/image.h): 64-bit mode, identity page tables,
/// its own stack, interrupts disabled.
[[nodiscard]] hv::InitialVpContext entry_context(const machine::ImageHeader& image,
                                                 std::uint32_t vp_index);

}  // namespace kernel
