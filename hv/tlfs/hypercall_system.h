// Parameters of the calls on the computer as a whole, of those that a guest makes for its debugger
// and for memory-mapped devices, and of the extended calls (TLFS "Hypercall Reference").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/tlfs/hypercall_partition.h"

namespace hv {

/// SwitchVirtualAddressSpace: what MOV to CR3 would write.
struct SwitchVirtualAddressSpaceInput {
  std::uint64_t address_space = 0;
};
static_assert(sizeof(SwitchVirtualAddressSpaceInput) == 8);

struct GetLogicalProcessorRunTimeInput {
  std::uint32_t logical_processor = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(GetLogicalProcessorRunTimeInput) == 8);

/// In units of 100 ns.
struct GetLogicalProcessorRunTimeOutput {
  std::uint64_t global_time = 0;
  std::uint64_t local_run_time = 0;
  std::uint64_t reserved = 0;
  std::uint64_t hypervisor_time = 0;
};
static_assert(sizeof(GetLogicalProcessorRunTimeOutput) == 32);
static_assert(offsetof(GetLogicalProcessorRunTimeOutput, hypervisor_time) == 24);

/// AddLogicalProcessor: how the start went, zero for well.
struct AddLogicalProcessorOutput {
  std::array<std::uint64_t, 7> startup_status{};
};
static_assert(sizeof(AddLogicalProcessorOutput) == 56);

enum class SystemProperty : std::uint32_t {
  kSleepState = 3,
  kSchedulerType = 15,
};

/// SystemProperty::kSchedulerType.
enum class SchedulerType : std::uint64_t {
  /// The classic scheduler, which schedules every thread of a core by itself.
  kClassic = 1,
  kClassicSmt = 2,
  kCore = 3,
  kRoot = 4,
};

struct GetSystemPropertyInput {
  SystemProperty property{};
  std::uint32_t reserved = 0;
  std::uint64_t argument = 0;
};
static_assert(sizeof(GetSystemPropertyInput) == 16);

struct GetSystemPropertyOutput {
  std::uint64_t value = 0;
};
static_assert(sizeof(GetSystemPropertyOutput) == 8);

/// SystemProperty::kSleepState: what the firmware wants written to enter a sleep state (ACPI
/// "\_Sx"): bits 31:0 the state, 39:32 and 47:40 the types for the two control registers.
struct SleepStateInfo {
  static constexpr std::uint32_t kFirst = 1;
  static constexpr std::uint32_t kLast = 5;
  std::uint32_t sleep_state = 0;
  std::uint8_t pm1a_type = 0;
  std::uint8_t pm1b_type = 0;
  std::array<std::uint8_t, 2> reserved{};
};
static_assert(sizeof(SleepStateInfo) == 8);

struct SetSystemPropertyInput {
  SystemProperty property{};
  std::uint32_t reserved = 0;
  std::uint64_t value = 0;
};
static_assert(sizeof(SetSystemPropertyInput) == 16);

enum class PartitionEvent : std::uint32_t {
  kDebugDeviceAvailable = 1,
  kRootCrashdump = 2,
  kAcpiReenabled = 3,
  kAllProcessorsStarted = 4,
  kCommitProcessorIndices = 5,
};

/// The argument of kRootCrashdump.
enum class CrashdumpAction : std::uint32_t {
  kNone = 0,
  kSuspendAllVps = 1,
  kPrepareForStateSave = 2,
  kStateSaved = 3,
  kEntry = 4,
};

/// NotifyPartitionEvent. The argument of kCommitProcessorIndices is the number of processors.
struct NotifyPartitionEventInput {
  PartitionEvent event{};
  std::uint32_t argument = 0;
};
static_assert(sizeof(NotifyPartitionEventInput) == 8);

/// PostDebugData: `count` bytes follow the header, up to the end of the page.
struct PostDebugDataInput {
  static constexpr std::uint32_t kLoop = 1u << 0;
  static constexpr std::uint32_t kRawPacket = 1u << 1;
  static constexpr std::uint32_t kMaxBytes = 4088;
  std::uint32_t count = 0;
  std::uint32_t options = 0;
};
static_assert(sizeof(PostDebugDataInput) == 8);

/// How many of the bytes were not taken.
struct PostDebugDataOutput {
  std::uint32_t pending_count = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(PostDebugDataOutput) == 8);

struct RetrieveDebugDataInput {
  static constexpr std::uint32_t kLoop = 1u << 0;
  static constexpr std::uint32_t kTestActivity = 1u << 1;
  static constexpr std::uint32_t kRawPacket = 1u << 2;
  static constexpr std::uint64_t kMaxTimeout100ns = 4'000'000;
  std::uint32_t count = 0;
  std::uint32_t options = 0;
  std::uint64_t timeout_100ns = 0;
};
static_assert(sizeof(RetrieveDebugDataInput) == 16);

/// `retrieved_count` bytes follow.
struct RetrieveDebugDataOutput {
  std::uint32_t retrieved_count = 0;
  std::uint32_t remaining_count = 0;
};
static_assert(sizeof(RetrieveDebugDataOutput) == 8);

struct ResetDebugSessionInput {
  static constexpr std::uint32_t kPurgeIncoming = 1u << 0;
  static constexpr std::uint32_t kPurgeOutgoing = 1u << 1;
  std::uint32_t options = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(ResetDebugSessionInput) == 8);

/// OutputDebugCharacter.
struct OutputDebugCharacterInput {
  std::uint32_t character = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(OutputDebugCharacterInput) == 8);

/// MmioRead; MmioWrite has the bytes after it. Not across the end of a page.
struct MmioInput {
  static constexpr std::uint32_t kMaxBytes = 64;
  std::uint64_t gpa = 0;
  std::uint32_t size_bytes = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(MmioInput) == 16);

using MmioData = std::array<std::byte, MmioInput::kMaxBytes>;

struct MmioReadOutput {
  MmioData data{};
};
static_assert(sizeof(MmioReadOutput) == 64);

struct MmioWriteInput {
  MmioInput where;
  MmioData data{};
};
static_assert(sizeof(MmioWriteInput) == 80);

/// ExtCallQueryCapabilities.
struct ExtendedCapabilities {
  static constexpr std::uint64_t kBootZeroedMemory = 1u << 0;
  static constexpr std::uint64_t kMemoryHeatHint = 1u << 1;
  std::uint64_t calls = 0;
};
static_assert(sizeof(ExtendedCapabilities) == 8);

/// ExtCallGetBootZeroedMemory: how many of the ranges count.
struct BootZeroedMemory {
  struct Range {
    std::uint64_t first_page = 0;
    std::uint64_t page_count = 0;
  };
  static constexpr std::size_t kMaxRanges = 255;
  std::uint64_t range_count = 0;
  std::array<Range, kMaxRanges> ranges{};
};
static_assert(sizeof(BootZeroedMemory) == 4088);
static_assert(offsetof(BootZeroedMemory, ranges) == 8);

/// The header of ExtCallMemoryHeatHint; its elements are ranges of pages: 63:12 the first, 11:0 how
/// many follow it.
struct MemoryHeatHintInput {
  static constexpr std::uint64_t kTypeMask = 3;
  static constexpr std::uint64_t kHot = 0;
  static constexpr std::uint64_t kCold = 1;
  static constexpr std::uint64_t kColdDiscard = 2;
  std::uint64_t type = 0;
};
static_assert(sizeof(MemoryHeatHintInput) == 8);

}  // namespace hv
