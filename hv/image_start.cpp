#include "hv/image_start.h"

#include "hv/hypervisor.h"
#include "hv/tlfs/register_values.h"
#include "hv/vtx/guest_context.h"
#include "machine/machine.h"
#include "machine/x86.h"

namespace hv {
namespace {

namespace x86 = machine::x86;

constexpr std::uint16_t kCodeSelector = 0x08;
constexpr std::uint16_t kDataSelector = 0x10;
constexpr std::uint32_t kWholeLimit = 0xFFFF'FFFF;

bool is_inside(const machine::ImageHeader& header, std::uint64_t address, std::uint64_t size) {
  return address >= header.load_gpa && size <= header.memory_size_bytes &&
         address - header.load_gpa <= header.memory_size_bytes - size;
}

}  // namespace

bool is_image(const machine::ImageHeader& header) {
  const bool sizes_are_right = header.memory_size_bytes >= header.file_size_bytes &&
                               header.file_size_bytes >= sizeof(header) &&
                               header.load_gpa % machine::kPageSize == 0 &&
                               header.load_gpa + header.memory_size_bytes > header.load_gpa;
  return header.magic == machine::kImageMagic && header.version == machine::kImageVersion &&
         header.max_processors > 0 && sizes_are_right && is_inside(header, header.entry_gpa, 1) &&
         is_inside(header, header.page_tables_gpa, machine::kPageSize) &&
         is_inside(header, header.boot_page_gpa, machine::kPageSize) &&
         is_inside(header, header.stacks_gpa, header.stack_size_bytes);
}

void point_at_image(const machine::ImageHeader& header, std::uint32_t processor) {
  const vtx::Capabilities& capabilities = this_processor().capabilities();
  const SegmentRegister code{
      .limit = kWholeLimit, .selector = kCodeSelector, .attributes = kSegmentCode64};
  const SegmentRegister data{
      .limit = kWholeLimit, .selector = kDataSelector, .attributes = kSegmentData};
  vtx::write_segment(vtx::SegmentName::kCs, code);
  for (const vtx::SegmentName name :
       {vtx::SegmentName::kDs, vtx::SegmentName::kEs, vtx::SegmentName::kSs, vtx::SegmentName::kFs,
        vtx::SegmentName::kGs}) {
    vtx::write_segment(name, data);
  }
  INVARIANT(vtx::write_efer(x86::kEferLme | x86::kEferNxe));
  INVARIANT(vtx::write_cr4(capabilities, x86::kCr4Pae | x86::kCr4Osfxsr));
  vtx::write_cr3(header.page_tables_gpa);
  INVARIANT(vtx::write_cr0(capabilities,
                           x86::kCr0Pe | x86::kCr0Et | x86::kCr0Ne | x86::kCr0Wp | x86::kCr0Pg));
  vtx::write_rflags(x86::kRflagsFixed);
  vtx::write_rsp(header.stacks_gpa + (processor + 1) * header.stack_size_bytes);
  vtx::write_rip(processor == 0 ? header.entry_gpa : header.processor_entry_gpa);
}

}  // namespace hv
