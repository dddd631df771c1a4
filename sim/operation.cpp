#include "sim/operation.h"

#include <array>
#include <utility>

namespace sim {

namespace {

constexpr auto kNames = std::to_array<std::pair<Operation, const char*>>({
    {Operation::kCpuid, "cpuid"},
    {Operation::kReadMsr, "read_msr"},
    {Operation::kWriteMsr, "write_msr"},
    {Operation::kIn, "in"},
    {Operation::kOut, "out"},
    {Operation::kReadTsc, "read_tsc"},
    {Operation::kFence, "fence"},
    {Operation::kPause, "pause"},
    {Operation::kDisableInterrupts, "disable_interrupts"},
    {Operation::kEnableInterrupts, "enable_interrupts"},
    {Operation::kInterruptsEnabled, "interrupts_enabled"},
    {Operation::kStiHlt, "sti_hlt"},
    {Operation::kSetInterruptHandler, "set_interrupt_handler"},
    {Operation::kProcessorLocal, "processor_local"},
    {Operation::kSetProcessorLocal, "set_processor_local"},
    {Operation::kArena, "arena"},
    {Operation::kSpend, "spend"},
    {Operation::kInterrupt, "interrupt"},
    {Operation::kReadXmm, "read_xmm"},
    {Operation::kWriteXmm, "write_xmm"},
    {Operation::kLoad, "load"},
    {Operation::kStore, "store"},
    {Operation::kExchange, "exchange"},
    {Operation::kCompareExchange, "compare_exchange"},
    {Operation::kFetchOr, "fetch_or"},
    {Operation::kFetchAnd, "fetch_and"},
    {Operation::kReadMemory, "read_memory"},
    {Operation::kWriteMemory, "write_memory"},
    {Operation::kFillMemory, "fill_memory"},
    {Operation::kSharedLoad, "shared_load"},
    {Operation::kSharedStore, "shared_store"},
    {Operation::kSharedExchange, "shared_exchange"},
    {Operation::kSharedCompareExchange, "shared_compare_exchange"},
    {Operation::kSharedFetchAdd, "shared_fetch_add"},
    {Operation::kSharedFetchOr, "shared_fetch_or"},
    {Operation::kSharedFetchAnd, "shared_fetch_and"},
    {Operation::kHypercall, "hypercall"},
    {Operation::kImageBase, "image_base"},
    {Operation::kReadXcr0, "read_xcr0"},
    {Operation::kWriteXcr0, "write_xcr0"},
    {Operation::kVmxon, "vmxon"},
    {Operation::kVmxoff, "vmxoff"},
    {Operation::kVmclear, "vmclear"},
    {Operation::kVmptrld, "vmptrld"},
    {Operation::kVmread, "vmread"},
    {Operation::kVmwrite, "vmwrite"},
    {Operation::kWriteHostState, "write_host_state"},
    {Operation::kEnterGuest, "enter_guest"},
    {Operation::kInvept, "invept"},
    {Operation::kInvvpid, "invvpid"},
    {Operation::kDirectMap, "direct_map"},
    {Operation::kStop, "stop"},
    {Operation::kSaveExtendedState, "save_extended_state"},
    {Operation::kRestoreExtendedState, "restore_extended_state"},
    {Operation::kChoose, "choose"},
    {Operation::kAlways, "always"},
    {Operation::kSometimes, "sometimes"},
    {Operation::kTrace, "trace"},
    {Operation::kLockWanted, "lock_wanted"},
    {Operation::kLockAcquired, "lock_acquired"},
    {Operation::kLockReleased, "lock_released"},
});

}  // namespace

const char* name_of(Operation operation) {
  for (const auto& [value, name] : kNames) {
    if (value == operation) {
      return name;
    }
  }
  return "unknown";
}

}  // namespace sim
