#include "sim/physical_processor.h"

#include <algorithm>

#include "machine/x86.h"
#include "sim/computer.h"

namespace sim {

namespace x86 = machine::x86;

namespace {

// "GenuineIntel" in EBX, EDX, ECX.
constexpr std::uint32_t kVendorB = 0x756E'6547;
constexpr std::uint32_t kVendorD = 0x4965'6E69;
constexpr std::uint32_t kVendorC = 0x6C65'746E;
constexpr std::uint32_t kSignature = 0x0003'06C3;  // family 6, model 0x3C

// Leaf 1 (SDM vol. 2 CPUID): FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT
// CLFSH MMX FXSR SSE SSE2.
constexpr std::uint32_t kFeaturesD = 0x0788'FBFF | (1u << 19);
// SSE3 VMX SSSE3 CX16 SSE4.1 SSE4.2 x2APIC POPCNT TSC-deadline XSAVE OSXSAVE AVX.
constexpr std::uint32_t kFeaturesC = (1u << 0) | (1u << 5) | (1u << 9) | (1u << 13) | (1u << 19) |
                                     (1u << 20) | (1u << 21) | (1u << 23) | (1u << 24) |
                                     (1u << 26) | (1u << 27) | (1u << 28);
constexpr std::uint32_t kXsaveopt = 1u << 0;  // leaf 0DH, subleaf 1
// Leaf 80000001H: SYSCALL NX 1-GiB pages RDTSCP LM; LAHF.
constexpr std::uint32_t kExtendedD = (1u << 11) | (1u << 20) | (1u << 26) | (1u << 27) | (1u << 29);

machine::CpuidResult extended_state(const ExtendedRegisters& registers, std::uint32_t subleaf) {
  switch (subleaf) {
    case 0:
      return {ExtendedRegisters::kComponents,
              static_cast<std::uint32_t>(registers.area_bytes_in_use()),
              ExtendedRegisters::kAreaBytes, 0};
    case 1:
      return {kXsaveopt, 0, 0, 0};
    case 2:  // the upper halves of YMM0 to YMM15
      return {ExtendedRegisters::kHighHalvesBytes, ExtendedRegisters::kHighHalvesOffset, 0, 0};
    default:
      return {};
  }
}

machine::CpuidResult topology(const Computer& computer, const LogicalProcessor& processor,
                              std::uint32_t subleaf) {
  const std::uint32_t count = computer.configuration().logical_processors;
  std::uint32_t bits = 0;
  while ((1u << bits) < count) {
    ++bits;
  }
  switch (subleaf) {
    case 0:  // one thread a core
      return {0, 1, 0x0000'0100, processor.index};
    case 1:
      return {bits, count, 0x0000'0201, processor.index};
    default:
      return {0, 0, subleaf & 0xFF, processor.index};
  }
}

/// SDM vol. 4 table 2-2: two of them have only 32 bits, three hold addresses.
bool is_legal_switched_msr(const LogicalProcessor& processor, std::uint32_t msr,
                           std::uint64_t value) {
  switch (msr) {
    case x86::kMsrStar:
      return true;
    case x86::kMsrSfmask:
    case x86::kMsrTscAux:
      return (value >> 32) == 0;
    default:
      return processor.vtx.capabilities().is_canonical(value);
  }
}

}  // namespace

machine::CpuidResult physical_cpuid(const Computer& computer, const LogicalProcessor& processor,
                                    std::uint32_t leaf, std::uint32_t subleaf) {
  const std::uint64_t frequency = computer.configuration().tsc_frequency_hz;
  switch (leaf) {
    case 0:
      return {0x15, kVendorB, kVendorC, kVendorD};
    case 1:  // identifiers of eight bits; those of leaf 0BH are whole
      return {kSignature,
              (processor.index << 24) |
                  (std::min(computer.configuration().logical_processors, 0xFFu) << 16) | 0x800,
              kFeaturesC, kFeaturesD};
    case 0xB:
      return topology(computer, processor, subleaf);
    case x86::kCpuidExtendedState:
      return extended_state(processor.extended, subleaf);
    case 0x15:  // crystal of 25 MHz
      return {1, static_cast<std::uint32_t>(frequency / 25'000'000), 25'000'000, 0};
    case 0x8000'0000:
      return {0x8000'0008, 0, 0, 0};
    case 0x8000'0001:
      return {0, 0, 1, kExtendedD};
    case 0x8000'0007:  // invariant TSC
      return {0, 0, 0, 1u << 8};
    case 0x8000'0008:
      return {computer.capabilities().physical_address_bits |
                  (computer.capabilities().linear_address_bits << 8),
              0, 0, 0};
    default:
      return {};
  }
}

std::uint64_t* SwitchedMsrs::find(std::uint32_t msr) {
  switch (msr) {
    case x86::kMsrStar:
      return &star;
    case x86::kMsrLstar:
      return &lstar;
    case x86::kMsrCstar:
      return &cstar;
    case x86::kMsrSfmask:
      return &sfmask;
    case x86::kMsrKernelGsBase:
      return &kernel_gs_base;
    case x86::kMsrTscAux:
      return &tsc_aux;
    default:
      return nullptr;
  }
}

std::optional<std::uint64_t> read_physical_msr(Computer& computer, LogicalProcessor& processor,
                                               std::uint32_t msr) {
  if (LocalApic::owns(msr)) {
    return processor.apic.read(msr);
  }
  if (const auto capability = processor.vtx.read_capability_msr(msr)) {
    return capability;
  }
  if (const std::uint64_t* const switched = processor.switched_msrs.find(msr)) {
    return *switched;
  }
  switch (msr) {
    case x86::kMsrTsc:
      return computer.tsc_of(processor.now);
    case x86::kMsrMtrrCap:
      return 0;
    case x86::kMsrMiscEnable:
      return 1;  // fast strings
    case x86::kMsrPat:
      return 0x0007'0406'0007'0406;
    case x86::kMsrEfer:
      return x86::kEferLme | x86::kEferLma | x86::kEferNxe;
    case x86::kMsrSysenterCs:
    case x86::kMsrSysenterEsp:
    case x86::kMsrSysenterEip:
    case x86::kMsrDebugctl:
      return 0;
    default:
      return std::nullopt;
  }
}

bool write_physical_msr(LogicalProcessor& processor, std::uint32_t msr, std::uint64_t value) {
  if (LocalApic::owns(msr)) {
    return processor.apic.write(msr, value);
  }
  if (std::uint64_t* const switched = processor.switched_msrs.find(msr)) {
    if (!is_legal_switched_msr(processor, msr, value)) {
      return false;
    }
    *switched = value;
    return true;
  }
  switch (msr) {
    // What the hypervisor's machine has set up already may be written as it is.
    case x86::kMsrPat:
      return value == 0x0007'0406'0007'0406;
    case x86::kMsrEfer:
      return (value & ~(x86::kEferLma | 1)) == (x86::kEferLme | x86::kEferNxe);
    case x86::kMsrSysenterCs:
    case x86::kMsrSysenterEsp:
    case x86::kMsrSysenterEip:
    case x86::kMsrDebugctl:
      return value == 0;
    default:
      return false;
  }
}

}  // namespace sim
