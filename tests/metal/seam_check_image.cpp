// Loads the module "image_check" by its header and runs it on two virtual processors in turn.
#include <cstddef>

#include "machine/image.h"
#include "machine/vmx_architecture.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"
#include "tests/metal/image_check.h"
#include "tests/metal/seam_check.h"

namespace seam_check {
namespace {

namespace vmx = machine::vmx;
using machine::EntryKind;
using machine::GuestRegisters;
using machine::ImageHeader;
using machine::Spa;
using machine::Vmcs32;
using machine::VmcsNatural;
using machine::VmcsReadOnly32;
using machine::vmread;
using machine::vmwrite;
using machine::VmxResult;

constexpr std::uint32_t kProcessors = 2;
constexpr int kMostExits = 1000;

/// GPAs are SPAs here: the EPT of prepare_guest() is the identity.
ImageHeader load(const machine::BootModule& module) {
  ImageHeader header;
  machine::read_memory(Spa(module.base), std::as_writable_bytes(std::span(&header, 1)));
  machine::write_memory(Spa(header.load_gpa),
                        {machine::direct_map(Spa(module.base).page()), module.size_bytes});
  machine::fill_memory(Spa(header.load_gpa + header.file_size_bytes),
                       header.memory_size_bytes - header.file_size_bytes, 0);
  machine::BootPage boot_page;
  boot_page.processor_count = kProcessors;
  machine::write_memory(Spa(header.boot_page_gpa), std::as_bytes(std::span(&boot_page, 1)));
  return header;
}

enum class Outcome : std::uint8_t { kDone, kWantsAnother, kLost };

/// Does what the image asks for with a VMCALL; nothing if it has more to say.
Outcome run(EntryKind kind) {
  GuestRegisters registers{};
  for (int exits = 0; exits < kMostExits; ++exits) {
    if (machine::enter_guest(kind, registers) != VmxResult::kSucceed ||
        vmread(VmcsReadOnly32::kExitReason) !=
            static_cast<std::uint32_t>(vmx::ExitReason::kVmcall)) {
      return Outcome::kLost;
    }
    kind = EntryKind::kResume;
    vmwrite(VmcsNatural::kGuestRip,
            vmread(VmcsNatural::kGuestRip) + vmread(VmcsReadOnly32::kExitInstructionLength));
    switch (static_cast<ImageCall>(registers.rcx)) {
      case ImageCall::kCheck:
        check(reinterpret_cast<const char*>(registers.rdx), registers.r8 != 0);
        break;
      case ImageCall::kInterrupt:
        vmwrite(Vmcs32::kVmEntryInterruptionInformation,
                vmx::kEventValid | static_cast<std::uint32_t>(registers.rdx));
        break;
      case ImageCall::kCount:
        ++registers.rdx;
        ++registers.r8;
        break;
      case ImageCall::kDone:
        return registers.rdx != 0 ? Outcome::kWantsAnother : Outcome::kDone;
    }
  }
  return Outcome::kLost;
}

void prepare(const ImageHeader& header, std::uint32_t processor) {
  prepare_guest(processor == 0 ? header.entry_gpa : header.processor_entry_gpa);
  vmwrite(VmcsNatural::kGuestCr3, header.page_tables_gpa);
  vmwrite(VmcsNatural::kGuestRsp, header.stacks_gpa + (processor + 1) * header.stack_size_bytes);
  // As of a fresh processor: the image must bring its own.
  vmwrite(VmcsNatural::kGuestGsBase, 0);
  vmwrite(Vmcs32::kGuestGdtrLimit, 0);
  vmwrite(Vmcs32::kGuestIdtrLimit, 0);
}

}  // namespace

void check_image(const machine::BootModule& module) {
  const ImageHeader header = load(module);
  check("an image's header tells the file's size and where to load it",
        header.file_size_bytes == module.size_bytes && header.load_gpa == 0x2000000);
  prepare(header, 0);
  check("an image runs to its end", run(EntryKind::kResume) == Outcome::kWantsAnother);
  prepare(header, 1);
  check("its second processor runs to its end", run(EntryKind::kResume) == Outcome::kDone);
}

}  // namespace seam_check
