#include "hv/processor/register_page.h"

#include <bit>
#include <cstddef>
#include <span>

#include "hv/hypervisor.h"
#include "hv/registers/register_access.h"
#include "hv/tlfs/register_page.h"
#include "hv/vtx/guest_context.h"
#include "machine/vmx_root.h"

namespace hv {
namespace {

std::uint64_t low_of(Hypervisor& hypervisor, VirtualProcessor& vp, RegisterName name) {
  const auto value = read_register(hypervisor, vp, name);
  return value ? value->low : 0;
}

RegisterName nth(RegisterName first, std::size_t index) {
  return static_cast<RegisterName>(static_cast<std::uint32_t>(first) + index);
}

void write(Hypervisor& hypervisor, VirtualProcessor& vp, RegisterName name,
           const RegisterValue& value) {
  (void)write_register(hypervisor, vp, name, value);
}

/// Copies the page, which is not valid afterwards. False: it was not before.
bool end_register_page(Hypervisor& hypervisor, const VirtualProcessor& vp, RegisterPage& page) {
  const machine::LockGuard guard(hypervisor.communication_lock);
  if (!vp.records.register_page.is_mapped()) {
    return false;
  }
  const machine::Spa where(vp.records.register_page.page);
  machine::read_memory(where, std::as_writable_bytes(std::span(&page, 1)));
  machine::store_u8(where + offsetof(RegisterPage, is_valid), 0);
  machine::store_u32(where + offsetof(RegisterPage, dirty), 0);
  return page.is_valid != 0;
}

}  // namespace

void fill_register_page(VirtualProcessor& vp) {
  if (!vp.records.register_page.is_mapped()) {
    return;
  }
  Hypervisor& hypervisor = this_processor().hypervisor();
  RegisterPage page;
  page.is_valid = 1;
  for (std::size_t index = 0; index < page.general.size(); ++index) {
    page.general[index] = vp.context.general_register(static_cast<std::uint8_t>(index));
  }
  page.rip = vtx::read_rip();
  page.rflags = vtx::read_rflags();
  for (std::size_t index = 0; index < page.xmm.size(); ++index) {
    page.xmm[index] =
        read_register(hypervisor, vp, nth(RegisterName::kXmm0, index)).value_or(RegisterValue{});
  }
  for (std::size_t index = 0; index < page.segments.size(); ++index) {
    page.segments[index] = vtx::read_segment(static_cast<vtx::SegmentName>(index));
  }
  page.cr0 = vtx::read_cr0();
  page.cr3 = vtx::read_cr3();
  page.cr4 = vtx::read_cr4();
  page.cr8 = low_of(hypervisor, vp, RegisterName::kCr8);
  page.efer = vtx::read_efer();
  page.dr7 = vtx::read_dr7();
  page.pending_interruption = low_of(hypervisor, vp, RegisterName::kPendingInterruption);
  page.interrupt_state = low_of(hypervisor, vp, RegisterName::kInterruptState);
  page.xfem = low_of(hypervisor, vp, RegisterName::kXfem);
  machine::write_memory(machine::Spa(vp.records.register_page.page),
                        std::as_bytes(std::span(&page, 1)));
}

void drop_register_page(Hypervisor& hypervisor, VirtualProcessor& vp) {
  RegisterPage page;
  (void)end_register_page(hypervisor, vp, page);
}

void take_register_page(Hypervisor& hypervisor, VirtualProcessor& vp) {
  RegisterPage page;
  if (!end_register_page(hypervisor, vp, page)) {
    return;
  }
  if ((page.dirty & RegisterPage::kDirtyGeneral) != 0) {
    for (std::size_t index = 0; index < page.general.size(); ++index) {
      write(hypervisor, vp, nth(RegisterName::kRax, index), {page.general[index], 0});
    }
  }
  if ((page.dirty & RegisterPage::kDirtyRip) != 0) {
    write(hypervisor, vp, RegisterName::kRip, {page.rip, 0});
  }
  if ((page.dirty & RegisterPage::kDirtyXmm) != 0) {
    for (std::size_t index = 0; index < page.xmm.size(); ++index) {
      write(hypervisor, vp, nth(RegisterName::kXmm0, index), page.xmm[index]);
    }
  }
  if ((page.dirty & RegisterPage::kDirtySegments) != 0) {
    for (std::size_t index = 0; index < page.segments.size(); ++index) {
      write(hypervisor, vp, nth(RegisterName::kEs, index),
            std::bit_cast<RegisterValue>(page.segments[index]));
    }
  }
  if ((page.dirty & RegisterPage::kDirtyRflags) != 0) {
    write(hypervisor, vp, RegisterName::kRflags, {page.rflags, 0});
  }
}

}  // namespace hv
