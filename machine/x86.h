// x86 facts that both machines and the code above them share: MSRs, control-register bits, vectors,
// x2APIC registers (SDM vol. 3 2.5, 10.12; vol. 4).
#pragma once

#include <cstddef>
#include <cstdint>

namespace machine::x86 {

// MSRs.
inline constexpr std::uint32_t kMsrTsc = 0x10;
inline constexpr std::uint32_t kMsrApicBase = 0x1B;
inline constexpr std::uint32_t kMsrFeatureControl = 0x3A;
inline constexpr std::uint32_t kMsrMtrrCap = 0xFE;
inline constexpr std::uint32_t kMsrSysenterCs = 0x174;
inline constexpr std::uint32_t kMsrSysenterEsp = 0x175;
inline constexpr std::uint32_t kMsrSysenterEip = 0x176;
inline constexpr std::uint32_t kMsrMiscEnable = 0x1A0;
inline constexpr std::uint32_t kMsrDebugctl = 0x1D9;
inline constexpr std::uint32_t kMsrPat = 0x277;
inline constexpr std::uint32_t kMsrVmxBasic = 0x480;
inline constexpr std::uint32_t kMsrVmxPinbasedControls = 0x481;
inline constexpr std::uint32_t kMsrVmxProcbasedControls = 0x482;
inline constexpr std::uint32_t kMsrVmxExitControls = 0x483;
inline constexpr std::uint32_t kMsrVmxEntryControls = 0x484;
inline constexpr std::uint32_t kMsrVmxMisc = 0x485;
inline constexpr std::uint32_t kMsrVmxCr0Fixed0 = 0x486;
inline constexpr std::uint32_t kMsrVmxCr0Fixed1 = 0x487;
inline constexpr std::uint32_t kMsrVmxCr4Fixed0 = 0x488;
inline constexpr std::uint32_t kMsrVmxCr4Fixed1 = 0x489;
inline constexpr std::uint32_t kMsrVmxProcbasedControls2 = 0x48B;
inline constexpr std::uint32_t kMsrVmxEptVpidCap = 0x48C;
inline constexpr std::uint32_t kMsrVmxTruePinbasedControls = 0x48D;
inline constexpr std::uint32_t kMsrVmxTrueProcbasedControls = 0x48E;
inline constexpr std::uint32_t kMsrVmxTrueExitControls = 0x48F;
inline constexpr std::uint32_t kMsrVmxTrueEntryControls = 0x490;
inline constexpr std::uint32_t kMsrTscDeadline = 0x6E0;
inline constexpr std::uint32_t kMsrEfer = 0xC0000080;
inline constexpr std::uint32_t kMsrStar = 0xC0000081;
inline constexpr std::uint32_t kMsrLstar = 0xC0000082;
inline constexpr std::uint32_t kMsrCstar = 0xC0000083;
inline constexpr std::uint32_t kMsrSfmask = 0xC0000084;
inline constexpr std::uint32_t kMsrFsBase = 0xC0000100;
inline constexpr std::uint32_t kMsrGsBase = 0xC0000101;
inline constexpr std::uint32_t kMsrKernelGsBase = 0xC0000102;
inline constexpr std::uint32_t kMsrTscAux = 0xC0000103;

// x2APIC registers, as MSRs (SDM vol. 3 table 10-6).
inline constexpr std::uint32_t kX2ApicFirst = 0x800;
inline constexpr std::uint32_t kX2ApicId = 0x802;
inline constexpr std::uint32_t kX2ApicVersion = 0x803;
inline constexpr std::uint32_t kX2ApicTpr = 0x808;
inline constexpr std::uint32_t kX2ApicPpr = 0x80A;
inline constexpr std::uint32_t kX2ApicEoi = 0x80B;
inline constexpr std::uint32_t kX2ApicLdr = 0x80D;
inline constexpr std::uint32_t kX2ApicSvr = 0x80F;
inline constexpr std::uint32_t kX2ApicIsr0 = 0x810;
inline constexpr std::uint32_t kX2ApicTmr0 = 0x818;
inline constexpr std::uint32_t kX2ApicIrr0 = 0x820;
inline constexpr std::uint32_t kX2ApicEsr = 0x828;
inline constexpr std::uint32_t kX2ApicIcr = 0x830;
inline constexpr std::uint32_t kX2ApicLvtCmci = 0x82F;
inline constexpr std::uint32_t kX2ApicLvtTimer = 0x832;
inline constexpr std::uint32_t kX2ApicLvtThermal = 0x833;
inline constexpr std::uint32_t kX2ApicLvtPerformance = 0x834;
inline constexpr std::uint32_t kX2ApicLvtLint0 = 0x835;
inline constexpr std::uint32_t kX2ApicLvtLint1 = 0x836;
inline constexpr std::uint32_t kX2ApicLvtError = 0x837;
inline constexpr std::uint32_t kX2ApicTimerInitialCount = 0x838;
inline constexpr std::uint32_t kX2ApicTimerCurrentCount = 0x839;
inline constexpr std::uint32_t kX2ApicTimerDivide = 0x83E;
inline constexpr std::uint32_t kX2ApicSelfIpi = 0x83F;
inline constexpr std::uint32_t kX2ApicLast = 0x8FF;

inline constexpr std::uint64_t kApicBaseBsp = 1u << 8;
inline constexpr std::uint64_t kApicBaseX2ApicEnable = 1u << 10;
inline constexpr std::uint64_t kApicBaseEnable = 1u << 11;
inline constexpr std::uint64_t kApicSoftwareEnable = 1u << 8;  // in SVR
inline constexpr std::uint64_t kLvtMasked = 1u << 16;
inline constexpr std::uint64_t kLvtDeliveryExtInt = 7u << 8;
inline constexpr std::uint64_t kLvtTimerOneShot = 0u << 17;
inline constexpr std::uint64_t kLvtTimerPeriodic = 1u << 17;
inline constexpr std::uint64_t kLvtTimerTscDeadline = 2u << 17;

// Control registers.
inline constexpr std::uint64_t kCr0Pe = 1u << 0;
inline constexpr std::uint64_t kCr0Mp = 1u << 1;
inline constexpr std::uint64_t kCr0Em = 1u << 2;
inline constexpr std::uint64_t kCr0Ts = 1u << 3;
inline constexpr std::uint64_t kCr0Et = 1u << 4;
inline constexpr std::uint64_t kCr0Ne = 1u << 5;
inline constexpr std::uint64_t kCr0Wp = 1u << 16;
inline constexpr std::uint64_t kCr0Nw = 1u << 29;
inline constexpr std::uint64_t kCr0Cd = 1u << 30;
inline constexpr std::uint64_t kCr0Pg = 1u << 31;
inline constexpr std::uint64_t kCr4Pae = 1u << 5;
inline constexpr std::uint64_t kCr4Pge = 1u << 7;
inline constexpr std::uint64_t kCr4Osfxsr = 1u << 9;
inline constexpr std::uint64_t kCr4Osxmmexcpt = 1u << 10;
inline constexpr std::uint64_t kCr4Vmxe = 1u << 13;
inline constexpr std::uint64_t kCr4Osxsave = 1u << 18;
inline constexpr std::uint64_t kEferLme = 1u << 8;
inline constexpr std::uint64_t kEferLma = 1u << 10;
inline constexpr std::uint64_t kEferNxe = 1u << 11;
inline constexpr std::uint64_t kRflagsFixed = 1u << 1;
inline constexpr std::uint64_t kRflagsIf = 1u << 9;

// Extended state components, as bits of XCR0 (SDM vol. 1 13.1), and CPUID's leaf of them.
inline constexpr std::uint64_t kXcr0X87 = 1u << 0;
inline constexpr std::uint64_t kXcr0Sse = 1u << 1;
inline constexpr std::uint64_t kXcr0Avx = 1u << 2;
inline constexpr std::uint64_t kXcr0Avx512 = 7u << 5;  // opmask, ZMM_Hi256, Hi16_ZMM
inline constexpr std::uint32_t kCpuidExtendedState = 0xD;

// The XSAVE area in the standard format (SDM vol. 1 13.4): legacy region, header, components.
inline constexpr std::size_t kXsaveFcw = 0;
inline constexpr std::size_t kXsaveMxcsr = 24;
inline constexpr std::size_t kXsaveMxcsrMask = 28;
inline constexpr std::size_t kXsaveSt0 = 32;
inline constexpr std::size_t kXsaveXmm0 = 160;
inline constexpr std::size_t kXsaveHeader = 512;  // XSTATE_BV first
inline constexpr std::size_t kXsaveHeaderBytes = 64;
inline constexpr std::uint16_t kFcwInitial = 0x037F;
inline constexpr std::uint32_t kMxcsrInitial = 0x1F80;
/// What an MXCSR_MASK of zero stands for (SDM vol. 1 11.6.6).
inline constexpr std::uint32_t kMxcsrMaskDefault = 0xFFBF;

// Exception vectors.
inline constexpr std::uint8_t kVectorDebug = 1;
inline constexpr std::uint8_t kVectorNmi = 2;
inline constexpr std::uint8_t kVectorInvalidOpcode = 6;
inline constexpr std::uint8_t kVectorDoubleFault = 8;
inline constexpr std::uint8_t kVectorGeneralProtection = 13;
inline constexpr std::uint8_t kVectorPageFault = 14;
inline constexpr std::uint8_t kVectorMachineCheck = 18;

}  // namespace machine::x86
