#include "partitions/kernel/kernel.h"

#include <algorithm>

#include "hv/tlfs/hypercall_inputs.h"
#include "hv/tlfs/msr.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "partitions/kernel/guest_memory.h"
#include "partitions/kernel/interrupts.h"

namespace kernel {

namespace {

constexpr std::uint8_t kGuestOsType = 0x7F;
constexpr std::uint32_t kGuestOsVersion = 1;

std::uint64_t pages_of(std::uint64_t size_bytes) {
  return (size_bytes + machine::kPageSize - 1) / machine::kPageSize;
}

machine::ImageHeader read_image_header() {
  const auto header = read_object<machine::ImageHeader>(machine::image_base());
  INVARIANT(header.magic == machine::kImageMagic && header.version == machine::kImageVersion);
  return header;
}

/// One field of the boot page. The page is read piece by piece: it is mostly room for parameters
/// that few kernels have.
template <class T>
T read_field(const machine::ImageHeader& header, std::size_t offset) {
  return read_object<T>(machine::Gpa(header.boot_page_gpa) + offset);
}

std::uint32_t read_processor_count(const machine::ImageHeader& header) {
  using machine::BootPage;
  const auto magic = read_field<std::uint64_t>(header, offsetof(BootPage, magic));
  const auto version = read_field<std::uint32_t>(header, offsetof(BootPage, version));
  INVARIANT(magic == machine::kBootPageMagic && version == machine::kImageVersion);
  const auto count = read_field<std::uint32_t>(header, offsetof(BootPage, processor_count));
  return std::clamp(count, 1u, std::min(kMaxProcessors, header.max_processors));
}

}  // namespace

Kernel::Kernel(std::span<std::byte> heap, OverlayPages overlays)
    : heap_(heap),
      image_(read_image_header()),
      processor_count_(read_processor_count(image_)),
      pages_(heap_),
      overlays_(overlays),
      processors_(make_array<Processor*>(processor_count_)) {
  read_modules_and_parameters();
  own_the_ram();
  choose_hypercall_page();
  install_interrupt_handlers();
  Processor& processor = build_processor(0);
  enable_processor(processor);
  processors_built_.store(1);
}

void Kernel::read_modules_and_parameters() {
  using machine::BootPage;
  const auto modules = read_field<std::uint32_t>(image_, offsetof(BootPage, module_count));
  modules_ =
      make_array<machine::BootModule>(std::min<std::size_t>(modules, machine::kMaxBootModules));
  machine::read_memory(machine::Gpa(image_.boot_page_gpa) + offsetof(BootPage, modules),
                       std::as_writable_bytes(modules_));
  const auto size = read_field<std::uint32_t>(image_, offsetof(BootPage, parameter_size_bytes));
  parameters_ = make_array<char>(std::min<std::size_t>(size, machine::kMaxParameterBytes));
  machine::read_memory(machine::Gpa(image_.boot_page_gpa) + offsetof(BootPage, parameters),
                       std::as_writable_bytes(parameters_));
}

void Kernel::own_the_ram() {
  using machine::BootPage;
  const auto told = read_field<std::uint32_t>(image_, offsetof(BootPage, memory_range_count));
  const std::uint32_t ranges = std::min<std::uint32_t>(told, machine::kMaxMemoryRanges);
  for (std::uint32_t index = 0; index < ranges; ++index) {
    const auto range = read_field<machine::MemoryRange>(
        image_, offsetof(BootPage, memory_ranges) + index * sizeof(machine::MemoryRange));
    pages_.add(machine::Gpa(range.base).page(), range.size_bytes / machine::kPageSize);
    const std::uint64_t end = range.base + range.size_bytes + machine::kLargePageSize - 1;
    overlay_base_ =
        std::max(overlay_base_, machine::Gpa(end & ~(machine::kLargePageSize - 1)).page());
  }
  // Page 0 stays unused, so that address 0 never names anything.
  pages_.remove(machine::Gpn(0), 1);
  pages_.remove(machine::Gpa(image_.load_gpa).page(), pages_of(image_.memory_size_bytes));
  pages_.remove(machine::Gpa(image_.boot_page_gpa).page(), 1);
  for (const machine::BootModule& module : modules()) {
    pages_.remove(machine::Gpa(module.base).page(), pages_of(module.size_bytes));
  }
}

void Kernel::choose_hypercall_page() {
  machine::write_msr(hv::kMsrGuestOsId, hv::open_source_guest_os_id(kGuestOsType, kGuestOsVersion));
  hv::OverlayPageRegister page(machine::read_msr(hv::kMsrHypercall));
  if (overlays_ == OverlayPages::kOwn) {
    page = hv::OverlayPageRegister(overlay_base_, true);
  } else {
    page = hv::OverlayPageRegister(page.page(), true);
  }
  machine::write_msr(hv::kMsrHypercall, page.value());
  hypercall_page_ = machine::Gpa(page.page());
}

Processor& Kernel::build_processor(std::uint32_t index) {
  const std::optional<machine::Gpn> parameters = pages_.allocate(2);
  INVARIANT(parameters.has_value());
  const Hypercalls hypercalls(hypercall_page_, *parameters, *parameters + 1);
  processors_[index] = heap_.create<Processor>(*this, hv::VpIndex(index), hypercalls);
  return *processors_[index];
}

void Kernel::enable_processor(Processor& processor) {
  processor.adopt();
  if (overlays_ == OverlayPages::kPreset) {
    processor.synic().enable_where_preset();
  } else {
    const std::uint64_t place = 1 + 2 * static_cast<std::uint64_t>(processor.index());
    processor.synic().enable(overlay_base_ + place, overlay_base_ + (place + 1));
  }
  processor.timers().enable();
}

hv::Status Kernel::start_processor(hv::VpIndex index) {
  const auto number = static_cast<std::uint32_t>(index);
  INVARIANT(number == processors_built_.load() && number < processor_count_);
  build_processor(number);
  processors_built_.store(number + 1);
  hv::StartVirtualProcessorInput input;
  input.partition = hv::kPartitionIdSelf;
  input.vp = index;
  input.context = entry_context(image_, number);
  return Processor::current().hypercalls().call(hv::CallCode::kStartVirtualProcessor, input);
}

Processor& Kernel::enter_processor() {
  const std::uint64_t index = machine::read_msr(hv::kMsrVpIndex);
  INVARIANT(index < processors_built_.load());
  Processor& entered = *processors_[index];
  enable_processor(entered);
  return entered;
}

Processor& Kernel::processor(std::uint32_t index) {
  INVARIANT(index < processors_built_.load());
  return *processors_[index];
}

hv::InitialVpContext entry_context(const machine::ImageHeader& image, std::uint32_t vp_index) {
  constexpr std::uint32_t kFlatLimit = 0xFFFFFFFF;
  const hv::SegmentRegister data{0, kFlatLimit, 0x10, hv::kSegmentData};
  hv::InitialVpContext context;
  context.rip = vp_index == 0 ? image.entry_gpa : image.processor_entry_gpa;
  context.rsp = image.stacks_gpa + (vp_index + std::uint64_t{1}) * image.stack_size_bytes;
  context.rflags = machine::x86::kRflagsFixed;
  context.cs = {0, kFlatLimit, 0x08, hv::kSegmentCode64};
  context.ds = data;
  context.es = data;
  context.fs = data;
  context.gs = data;
  context.ss = data;
  context.tr = {0, 0xFFFF, 0, hv::kSegmentTaskBusy};
  context.ldtr = {0, 0xFFFF, 0, hv::kSegmentLocalTable};
  context.efer = machine::x86::kEferLme | machine::x86::kEferLma;
  context.cr0 = machine::x86::kCr0Pe | machine::x86::kCr0Et | machine::x86::kCr0Ne |
                machine::x86::kCr0Wp | machine::x86::kCr0Pg;
  context.cr3 = image.page_tables_gpa;
  context.cr4 = machine::x86::kCr4Pae | machine::x86::kCr4Osfxsr;
  constexpr std::uint64_t kPatReset = 0x0007040600070406;
  context.pat = kPatReset;
  return context;
}

}  // namespace kernel
