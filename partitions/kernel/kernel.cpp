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

machine::BootPage read_boot_page(const machine::ImageHeader& header) {
  const auto page = read_object<machine::BootPage>(machine::Gpa(header.boot_page_gpa));
  INVARIANT(page.magic == machine::kBootPageMagic && page.version == machine::kImageVersion);
  return page;
}

}  // namespace

Kernel::Kernel(std::span<std::byte> heap, OverlayPages overlays)
    : heap_(heap),
      image_(read_image_header()),
      boot_page_(read_boot_page(image_)),
      processor_count_(std::clamp(boot_page_.processor_count, 1u,
                                  std::min(kMaxProcessors, image_.max_processors))),
      pages_(heap_),
      overlays_(overlays) {
  own_the_ram();
  choose_hypercall_page();
  install_interrupt_handlers();
  Processor& processor = build_processor(0);
  enable_processor(processor);
  processors_built_.store(1);
}

void Kernel::own_the_ram() {
  const std::uint32_t ranges =
      std::min<std::uint32_t>(boot_page_.memory_range_count, machine::kMaxMemoryRanges);
  for (std::uint32_t index = 0; index < ranges; ++index) {
    const machine::MemoryRange& range = boot_page_.memory_ranges[index];
    pages_.add(machine::Gpa(range.base).page(), range.size_bytes / machine::kPageSize);
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
    const std::optional<machine::Gpn> own = pages_.allocate(1);
    INVARIANT(own.has_value());
    page = hv::OverlayPageRegister(*own, true);
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
    const std::optional<machine::Gpn> pages = pages_.allocate(2);
    INVARIANT(pages.has_value());
    processor.synic().enable(*pages, *pages + 1);
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

std::string_view Kernel::parameters() const {
  const std::size_t size =
      std::min<std::size_t>(boot_page_.parameter_size_bytes, machine::kMaxParameterBytes);
  return {boot_page_.parameters.data(), size};
}

std::span<const machine::BootModule> Kernel::modules() const {
  const std::size_t count =
      std::min<std::size_t>(boot_page_.module_count, machine::kMaxBootModules);
  return std::span(boot_page_.modules).first(count);
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
  context.cr4 = machine::x86::kCr4Pae;
  constexpr std::uint64_t kPatReset = 0x0007040600070406;
  context.pat = kPatReset;
  return context;
}

}  // namespace kernel
