// What an intercept message tells the parent (TLFS "Intercepts"), and how intercepts are installed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/tlfs/partition.h"
#include "hv/tlfs/register_values.h"

namespace hv {

enum class InterceptType : std::uint32_t {
  kX64IoPort = 0x0,
  kX64Msr = 0x1,
  kX64Cpuid = 0x2,
  kException = 0x3,
  kMmio = 0x5,
  kX64GlobalCpuid = 0x6,
  kX64ApicSmi = 0x7,
  kHypercall = 0x8,
  kX64ApicInitSipi = 0x9,
  kX64ApicWrite = 0xB,
  kX64MsrIndex = 0xC,
  kUnknownSynicConnection = 0xD,
  kX64ApicEoi = 0xE,
  kRetargetUnknownDevice = 0xF,
  kX64ExceptionTrap = 0x10,
  kX64IoPortRange = 0x11,
};
inline constexpr std::uint32_t kInterceptAccessNone = 0;
inline constexpr std::uint32_t kInterceptAccessRead = 1;
inline constexpr std::uint32_t kInterceptAccessWrite = 2;
inline constexpr std::uint32_t kInterceptAccessExecute = 4;

/// The access type in an intercept message's header.
enum class InterceptAccess : std::uint8_t { kRead = 0, kWrite = 1, kExecute = 2 };

/// What every intercept message but the small ones begins with.
struct InterceptHeader {
  static constexpr std::uint16_t kCr0Pe = 1u << 2;
  static constexpr std::uint16_t kCr0Am = 1u << 3;
  static constexpr std::uint16_t kEferLma = 1u << 4;
  static constexpr std::uint16_t kDebugActive = 1u << 5;
  static constexpr std::uint16_t kInterruptionPending = 1u << 6;
  static constexpr std::uint16_t kInterruptShadow = 1u << 12;

  VpIndex vp{};
  /// 3:0 instruction length, 0 when unknown; 7:4 CR8.
  std::uint8_t length_and_cr8 = 0;
  InterceptAccess access = InterceptAccess::kRead;
  /// 1:0 CPL and the bits above.
  std::uint16_t execution_state = 0;
  SegmentRegister cs;
  std::uint64_t rip = 0;
  std::uint64_t rflags = 0;

  [[nodiscard]] constexpr std::uint8_t instruction_length() const { return length_and_cr8 & 0xF; }
};
static_assert(sizeof(InterceptHeader) == 40);
static_assert(offsetof(InterceptHeader, access) == 5);
static_assert(offsetof(InterceptHeader, execution_state) == 6);
static_assert(offsetof(InterceptHeader, cs) == 8);
static_assert(offsetof(InterceptHeader, rip) == 24);
static_assert(offsetof(InterceptHeader, rflags) == 32);

/// UnmappedGpa and GpaIntercept.
struct MemoryIntercept {
  static constexpr std::uint8_t kGvaValid = 1u << 0;
  static constexpr std::uint8_t kGvaGpaValid = 1u << 1;

  InterceptHeader header;
  std::uint32_t cache_type = 0;
  std::uint8_t instruction_byte_count = 0;
  std::uint8_t access_info = 0;
  std::uint8_t tpr_priority = 0;
  std::uint8_t reserved = 0;
  std::uint64_t gva = 0;
  std::uint64_t gpa = 0;
  std::array<std::uint8_t, 16> instruction_bytes{};
  SegmentRegister ds;
  SegmentRegister ss;
  /// RAX to R15, in the numbering of the instruction set.
  std::array<std::uint64_t, 16> general{};
};
static_assert(sizeof(MemoryIntercept) == 240);
static_assert(offsetof(MemoryIntercept, ds) == 80);
static_assert(offsetof(MemoryIntercept, general) == 112);
static_assert(offsetof(MemoryIntercept, cache_type) == 40);
static_assert(offsetof(MemoryIntercept, access_info) == 45);
static_assert(offsetof(MemoryIntercept, gva) == 48);
static_assert(offsetof(MemoryIntercept, gpa) == 56);
static_assert(offsetof(MemoryIntercept, instruction_bytes) == 64);

struct IoPortIntercept {
  static constexpr std::uint8_t kSizeMask = 7;
  static constexpr std::uint8_t kString = 1u << 3;
  static constexpr std::uint8_t kRep = 1u << 4;

  InterceptHeader header;
  std::uint16_t port = 0;
  /// 2:0 size in bytes, and the bits above.
  std::uint8_t access_info = 0;
  std::uint8_t instruction_byte_count = 0;
  std::uint32_t reserved = 0;
  std::uint64_t rax = 0;
  std::array<std::uint8_t, 16> instruction_bytes{};
  SegmentRegister ds;
  SegmentRegister es;
  std::uint64_t rcx = 0;
  std::uint64_t rsi = 0;
  std::uint64_t rdi = 0;
};
static_assert(sizeof(IoPortIntercept) == 128);
static_assert(offsetof(IoPortIntercept, port) == 40);
static_assert(offsetof(IoPortIntercept, access_info) == 42);
static_assert(offsetof(IoPortIntercept, rax) == 48);
static_assert(offsetof(IoPortIntercept, ds) == 72);
static_assert(offsetof(IoPortIntercept, rcx) == 104);

struct MsrIntercept {
  InterceptHeader header;
  std::uint32_t msr = 0;
  std::uint32_t reserved = 0;
  std::uint64_t rdx = 0;
  std::uint64_t rax = 0;
};
static_assert(sizeof(MsrIntercept) == 64);
static_assert(offsetof(MsrIntercept, rdx) == 48);

struct CpuidIntercept {
  InterceptHeader header;
  std::uint64_t rax = 0;
  std::uint64_t rcx = 0;
  std::uint64_t rdx = 0;
  std::uint64_t rbx = 0;
  std::uint64_t default_rax = 0;
  std::uint64_t default_rcx = 0;
  std::uint64_t default_rdx = 0;
  std::uint64_t default_rbx = 0;
};
static_assert(sizeof(CpuidIntercept) == 104);
static_assert(offsetof(CpuidIntercept, default_rax) == 72);

struct ExceptionIntercept {
  static constexpr std::uint8_t kErrorCodeValid = 1u << 0;
  static constexpr std::uint8_t kSoftware = 1u << 1;

  InterceptHeader header;
  std::uint16_t vector = 0;
  std::uint8_t info = 0;
  std::uint8_t instruction_byte_count = 0;
  std::uint32_t error_code = 0;
  std::uint64_t parameter = 0;
  std::uint64_t reserved = 0;
  std::array<std::uint8_t, 16> instruction_bytes{};
  SegmentRegister ds;
  SegmentRegister ss;
  std::array<std::uint64_t, 16> general{};
};
static_assert(sizeof(ExceptionIntercept) == 240);
static_assert(offsetof(ExceptionIntercept, error_code) == 44);
static_assert(offsetof(ExceptionIntercept, instruction_bytes) == 64);
static_assert(offsetof(ExceptionIntercept, general) == 112);

/// UnrecoverableException and X64Halt.
struct BareIntercept {
  InterceptHeader header;
};
static_assert(sizeof(BareIntercept) == 40);

/// A call that the parent answers. Of the 128-bit registers, what a fast call passes.
struct HypercallIntercept {
  InterceptHeader header;
  std::uint64_t rax = 0;
  std::uint64_t rbx = 0;
  std::uint64_t rcx = 0;
  std::uint64_t rdx = 0;
  std::uint64_t r8 = 0;
  std::uint64_t rsi = 0;
  std::uint64_t rdi = 0;
  std::array<RegisterValue, 6> xmm{};
  std::uint32_t flags = 0;
  std::array<std::uint32_t, 3> reserved{};
};
static_assert(sizeof(HypercallIntercept) == 208);
static_assert(offsetof(HypercallIntercept, rax) == 40);
static_assert(offsetof(HypercallIntercept, xmm) == 96);
static_assert(offsetof(HypercallIntercept, flags) == 192);

struct InterruptionDeliverable {
  InterceptHeader header;
  std::uint8_t type = 0;
  std::array<std::uint8_t, 7> reserved{};
};
static_assert(sizeof(InterruptionDeliverable) == 48);

struct SynicSintDeliverable {
  InterceptHeader header;
  std::uint16_t sint_mask = 0;
  std::uint16_t reserved0 = 0;
  std::uint32_t reserved1 = 0;
};
static_assert(sizeof(SynicSintDeliverable) == 48);

struct SipiIntercept {
  InterceptHeader header;
  VpIndex target_vp{};
  std::uint32_t vector = 0;
};
static_assert(sizeof(SipiIntercept) == 48);

struct ApicEoiMessage {
  VpIndex vp{};
  std::uint32_t vector = 0;
};
static_assert(sizeof(ApicEoiMessage) == 8);

struct InvalidVpRegisterValueMessage {
  VpIndex vp{};
  std::uint32_t reserved = 0;
};
static_assert(sizeof(InvalidVpRegisterValueMessage) == 8);

struct UnsupportedFeatureMessage {
  static constexpr std::uint32_t kIntercept = 1;
  static constexpr std::uint32_t kTaskSwitch = 2;
  VpIndex vp{};
  std::uint32_t code = 0;
  std::uint64_t parameter = 0;
};
static_assert(sizeof(UnsupportedFeatureMessage) == 16);

struct SynicSintInterceptMessage {
  std::uint32_t sint = 0;
};
static_assert(sizeof(SynicSintInterceptMessage) == 4);

struct OpaqueInterceptMessage {
  VpIndex vp{};
};
static_assert(sizeof(OpaqueInterceptMessage) == 4);

}  // namespace hv
