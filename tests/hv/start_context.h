// What a VP starts with, as the header of its image says.
#pragma once

#include <cstdint>

#include "hv/tlfs/tlfs.h"
#include "machine/image.h"
#include "machine/x86.h"

namespace test_kernel {

/// In 64-bit mode: VP 0 at the image's first entry, the others at that for processors.
inline hv::InitialVpContext start_context(const machine::ImageHeader& image, std::uint32_t vp) {
  namespace x86 = machine::x86;
  hv::InitialVpContext context;
  context.rip = vp == 0 ? image.entry_gpa : image.processor_entry_gpa;
  context.rsp = image.stacks_gpa + (vp + 1) * image.stack_size_bytes;
  context.rflags = x86::kRflagsFixed;
  context.cs = {0, ~0u, 0x08, hv::kSegmentCode64};
  for (hv::SegmentRegister* const segment :
       {&context.ds, &context.es, &context.fs, &context.gs, &context.ss}) {
    *segment = {0, ~0u, 0x10, hv::kSegmentData};
  }
  context.tr = {0, 0x67, 0x18, hv::kSegmentTaskBusy};
  context.efer = x86::kEferLme | x86::kEferLma | x86::kEferNxe;
  context.cr0 = x86::kCr0Pe | x86::kCr0Et | x86::kCr0Ne | x86::kCr0Wp | x86::kCr0Pg;
  context.cr3 = image.page_tables_gpa;
  context.cr4 = x86::kCr4Pae | x86::kCr4Osfxsr;
  context.pat = 0x0007'0406'0007'0406;
  return context;
}

}  // namespace test_kernel
