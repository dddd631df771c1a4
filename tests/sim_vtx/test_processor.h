// A processor whose current VMCS describes a 64-bit guest that may be entered, for tests to break
// one thing at a time.
#pragma once

#include "machine/vmx_architecture.h"
#include "machine/x86.h"
#include "sim/vtx/checks.h"
#include "sim/vtx/processor.h"
#include "tests/support/vtx_platform.h"

namespace sim_vtx_test {

using namespace sim::vtx;
namespace vmx = machine::vmx;
namespace x86 = machine::x86;
using machine::EntryKind;
using machine::Gpa;
using machine::Spa;
using machine::Vmcs16;
using machine::Vmcs32;
using machine::Vmcs64;
using machine::VmcsNatural;
using machine::VmcsReadOnly32;
using machine::VmcsReadOnly64;
using machine::VmcsReadOnlyNatural;
using machine::VmxResult;
using vmx::ExitReason;

inline constexpr Spa kVmxonRegion{0x1000};
inline constexpr Spa kVmcsRegion{0x2000};
inline constexpr Spa kOtherVmcsRegion{0x3000};
inline constexpr Spa kIoBitmapA{0x4000};
inline constexpr Spa kIoBitmapB{0x5000};
inline constexpr Spa kMsrBitmap{0x6000};
inline constexpr std::uint64_t kEptRoot = 0x10000;
inline constexpr std::uint64_t kEptp = kEptRoot | vmx::kEptpWalkLength4 | vmx::kMemoryTypeWriteBack;

inline constexpr std::uint32_t kCodeRights = 0xA09B;  // present, ring 0, execute/read, L, G
inline constexpr std::uint32_t kDataRights = 0xC093;  // present, ring 0, read/write, 32-bit, G
inline constexpr std::uint32_t kTssRights = 0x008B;   // present, busy 64-bit TSS
inline constexpr std::uint32_t kUnusable = 1u << 16;

class TestProcessor {
 public:
  TestProcessor() : TestProcessor(haswell()) {}
  explicit TestProcessor(const Capabilities& processor_capabilities)
      : capabilities(processor_capabilities), cpu(platform, vmcss, capabilities, 0) {
    for (const Spa region : {kVmxonRegion, kVmcsRegion, kOtherVmcsRegion}) {
      platform.store(region, capabilities.revision());
    }
    (void)cpu.vmxon(kVmxonRegion);
    (void)cpu.vmclear(kVmcsRegion);
    (void)cpu.vmptrld(kVmcsRegion);
    write_baseline();
  }

  template <class Field>
  VmxResult write(Field field, std::uint64_t value) {
    return cpu.vmwrite(static_cast<std::uint32_t>(field), value);
  }
  template <class Field>
  std::uint64_t read(Field field) {
    return cpu.vmread(static_cast<std::uint32_t>(field)).value();
  }
  template <class Field>
  void set_bits(Field field, std::uint64_t bits) {
    (void)write(field, read(field) | bits);
  }
  template <class Field>
  void clear_bits(Field field, std::uint64_t bits) {
    (void)write(field, read(field) & ~bits);
  }
  void inject(std::uint32_t type, std::uint32_t vector, std::uint32_t more = 0) {
    (void)write(Vmcs32::kVmEntryInterruptionInformation,
                vmx::kEventValid | (type << vmx::kEventTypeShift) | vector | more);
  }
  EntryResult launch(std::uint64_t now_tsc = 0) { return cpu.enter(EntryKind::kLaunch, now_tsc); }
  EntryResult resume(std::uint64_t now_tsc = 0) { return cpu.enter(EntryKind::kResume, now_tsc); }
  std::uint64_t instruction_error() { return read(VmcsReadOnly32::kVmInstructionError); }

  void write_baseline();
  void make_virtual_8086();
  void make_unrestricted_real_mode();

  test_support::VtxPlatform platform;
  VmcsTable vmcss;
  Capabilities capabilities;
  Processor cpu;

 private:
  void write_control_baseline();
  void write_host_baseline();
  void write_guest_baseline();
  void write_segment_baseline();
};

}  // namespace sim_vtx_test
