// VMX instructions (SDM vol. 3 chapter 30).
#include "machine/vmx_architecture.h"
#include "sim/vtx/ept.h"
#include "sim/vtx/processor.h"

namespace sim::vtx {

namespace vmx = machine::vmx;
using machine::Spa;
using machine::VmcsReadOnly32;
using machine::VmxResult;

namespace {

/// Where VMCLEAR leaves its mark in the region: in the data that is the processor's own (24.2).
constexpr std::uint64_t kVmcsDataOffset = 8;
constexpr std::uint64_t kClearedMark = 0x5261'656C'4353'434D;

constexpr std::uint64_t kUpperHalf = 0xFFFF'FFFF'0000'0000;

bool is_64_bit_field(std::uint32_t encoding) { return ((encoding >> 13) & 3) == 1; }

}  // namespace

Processor::Processor(Platform& platform, VmcsTable& vmcss, const Capabilities& capabilities,
                     std::uint32_t index)
    : platform_(platform), vmcss_(vmcss), capabilities_(capabilities), index_(index) {}

// VMfail (30.2): the error number goes to the current VMCS, if there is one.
VmxResult Processor::fail(std::uint32_t error) {
  if (current_ == nullptr) {
    return VmxResult::kFailInvalid;
  }
  current_->put(VmcsReadOnly32::kVmInstructionError, error);
  return VmxResult::kFailValid;
}

bool Processor::is_region(Spa region) const {
  return region.offset_in_page() == 0 && capabilities_.is_physical(region.value());
}

VmxResult Processor::vmxon(Spa region) {
  if (vmx_operation_) {
    return fail(vmx::kErrorVmxonInRoot);
  }
  if (!is_region(region) || platform_.load_u32(region) != capabilities_.revision()) {
    return VmxResult::kFailInvalid;
  }
  vmx_operation_ = true;
  vmxon_region_ = region;
  current_ = nullptr;
  return VmxResult::kSucceed;
}

VmxResult Processor::vmxoff() {
  if (!vmx_operation_) {
    return VmxResult::kFailInvalid;
  }
  vmx_operation_ = false;
  current_ = nullptr;
  return VmxResult::kSucceed;
}

VmxResult Processor::vmclear(Spa region) {
  if (!vmx_operation_) {
    return VmxResult::kFailInvalid;
  }
  if (!is_region(region)) {
    return fail(vmx::kErrorVmclearInvalidAddress);
  }
  if (region == vmxon_region_) {
    return fail(vmx::kErrorVmclearVmxonPointer);
  }
  Vmcs& vmcs = vmcss_.at(region);
  if (vmcs.active_on != Vmcs::kNone && vmcs.active_on != index_) {
    platform_.misuse("VMCLEAR of a VMCS that is active on another processor (SDM vol. 3 24.11.1)");
  }
  vmcs.launched = false;
  vmcs.initialized = true;
  vmcs.active_on = Vmcs::kNone;
  platform_.store_u64(region + kVmcsDataOffset, kClearedMark);
  if (current_ == &vmcs) {
    current_ = nullptr;
  }
  return VmxResult::kSucceed;
}

VmxResult Processor::vmptrld(Spa region) {
  if (!vmx_operation_) {
    return VmxResult::kFailInvalid;
  }
  if (!is_region(region)) {
    return fail(vmx::kErrorVmptrldInvalidAddress);
  }
  if (region == vmxon_region_) {
    return fail(vmx::kErrorVmptrldVmxonPointer);
  }
  if (platform_.load_u32(region) != capabilities_.revision()) {
    return fail(vmx::kErrorVmptrldWrongRevision);
  }
  Vmcs& vmcs = vmcss_.at(region);
  if (!vmcs.initialized) {
    platform_.misuse("VMPTRLD of a VMCS that was never cleared (SDM vol. 3 24.11.3)");
  }
  if (vmcs.active_on != Vmcs::kNone && vmcs.active_on != index_) {
    platform_.misuse("VMPTRLD of a VMCS that is active on another processor (SDM vol. 3 24.11.1)");
  }
  vmcs.active_on = index_;
  current_ = &vmcs;
  return VmxResult::kSucceed;
}

std::optional<std::uint64_t> Processor::vmread_slow(std::uint32_t encoding) {
  const FieldInfo info = find_field(encoding);
  const bool high = (encoding & 1) != 0;
  if (current_ == nullptr || !vmx_operation_) {
    return std::nullopt;
  }
  if (!info.exists() || (high && !is_64_bit_field(encoding))) {
    (void)fail(vmx::kErrorUnsupportedField);
    return std::nullopt;
  }
  return high ? current_->values[info.slot] >> 32 : current_->values[info.slot];
}

VmxResult Processor::vmwrite_slow(std::uint32_t encoding, std::uint64_t value) {
  const FieldInfo info = find_field(encoding);
  const bool high = (encoding & 1) != 0;
  if (current_ == nullptr || !vmx_operation_) {
    return VmxResult::kFailInvalid;
  }
  if (!info.exists() || (high && !is_64_bit_field(encoding))) {
    return fail(vmx::kErrorUnsupportedField);
  }
  if (info.read_only) {
    return fail(vmx::kErrorWriteReadOnlyField);
  }
  std::uint64_t& field = current_->values[info.slot];
  field = (field & ~kUpperHalf) | (value << 32);
  current_->unchecked_groups |= info.group;
  return VmxResult::kSucceed;
}

VmxResult Processor::invept(std::uint64_t kind, std::uint64_t eptp) {
  if (!vmx_operation_) {
    return VmxResult::kFailInvalid;
  }
  switch (kind) {
    case static_cast<std::uint64_t>(machine::InveptKind::kSingleContext):
      if (!is_valid_eptp(capabilities_, eptp)) {
        return fail(vmx::kErrorInvalidInveptOperand);
      }
      tlb_.drop_ep4ta(eptp >> machine::kPageShift);
      return VmxResult::kSucceed;
    case static_cast<std::uint64_t>(machine::InveptKind::kAllContexts):
      tlb_.drop_everything();
      return VmxResult::kSucceed;
    default:
      return fail(vmx::kErrorInvalidInveptOperand);
  }
}

VmxResult Processor::invvpid(std::uint64_t kind, std::uint16_t vpid, std::uint64_t linear_address) {
  constexpr std::uint64_t kSingleContextRetainingGlobals = 3;
  if (!vmx_operation_) {
    return VmxResult::kFailInvalid;
  }
  const bool all = kind == static_cast<std::uint64_t>(machine::InvvpidKind::kAllContexts);
  if (kind > kSingleContextRetainingGlobals || (!all && vpid == 0)) {
    return fail(vmx::kErrorInvalidInveptOperand);
  }
  if (all) {
    tlb_.drop_all_vpids();
  } else if (kind == static_cast<std::uint64_t>(machine::InvvpidKind::kAddress)) {
    if (!capabilities_.is_canonical(linear_address)) {
      return fail(vmx::kErrorInvalidInveptOperand);
    }
    tlb_.drop_linear(vpid, linear_address >> machine::kPageShift);
  } else {
    tlb_.drop_vpid(vpid);
  }
  return VmxResult::kSucceed;
}

}  // namespace sim::vtx
