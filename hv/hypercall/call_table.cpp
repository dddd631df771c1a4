#include "hv/hypercall/call_table.h"

#include <array>
#include <string_view>
#include <type_traits>

#include "hv/hypercall/call_handlers.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "hv/tlfs/privileges.h"

namespace hv {
namespace {

/// Describes a simple call with its input and output structures.
template <class Input, class Output = void>
constexpr CallEntry simple(CallCode code, std::string_view name, FastForm fast,
                           std::uint64_t privilege, CallHandler handler) {
  CallEntry entry;
  entry.description.code = code;
  entry.description.name = name;
  entry.description.fast = fast;
  entry.description.privilege = privilege;
  if constexpr (!std::is_void_v<Input>) {
    entry.description.header_size_bytes = sizeof(Input);
  }
  if constexpr (!std::is_void_v<Output>) {
    entry.description.output_size_bytes = sizeof(Output);
  }
  entry.handle = handler;
  return entry;
}

/// Describes a rep call with its header, its elements and what it answers for each.
template <class Header>
constexpr CallEntry rep(CallCode code, std::string_view name, std::size_t element_size_bytes,
                        std::size_t output_element_size_bytes, std::uint64_t privilege,
                        RepHandler handler) {
  CallEntry entry;
  entry.description.code = code;
  entry.description.name = name;
  entry.description.rep = RepKind::kRep;
  entry.description.header_size_bytes = sizeof(Header);
  entry.description.element_size_bytes = static_cast<std::uint16_t>(element_size_bytes);
  entry.description.output_element_size_bytes =
      static_cast<std::uint16_t>(output_element_size_bytes);
  entry.description.privilege = privilege;
  entry.handle_elements = handler;
  return entry;
}

constexpr CallEntry with_variable_header(CallEntry entry,
                                         VariableHeader most = VariableHeader::kBanks) {
  entry.description.variable_header = most;
  return entry;
}

constexpr std::uint64_t kNone = 0;
constexpr std::uint64_t kParent = static_cast<std::uint64_t>(Privilege::kCreatePartitions);
constexpr std::uint64_t kPool = static_cast<std::uint64_t>(Privilege::kAccessMemoryPool);
constexpr std::uint64_t kCpu = static_cast<std::uint64_t>(Privilege::kCpuManagement);
constexpr std::uint64_t kDebugging = static_cast<std::uint64_t>(Privilege::kDebugging);
constexpr std::uint64_t kExtended =
    static_cast<std::uint64_t>(Privilege::kEnableExtendedHypercalls);
constexpr std::uint64_t kStatistics = static_cast<std::uint64_t>(Privilege::kAccessStats);
constexpr FastForm kSlow = FastForm::kRefused;
constexpr FastForm kFast = FastForm::kAllowed;
constexpr std::size_t kId = sizeof(std::uint32_t);
constexpr std::size_t kPageNumber = sizeof(machine::Gpn);

// A plain array: g++ 12 does not place a std::array whose type it deduced in read-only memory.
constexpr CallEntry kCallEntries[] = {
    simple<SwitchVirtualAddressSpaceInput>(CallCode::kSwitchVirtualAddressSpace,
                                           "SwitchVirtualAddressSpace", kFast, kNone,
                                           calls::switch_virtual_address_space),
    simple<FlushVirtualAddressSpaceInput>(CallCode::kFlushVirtualAddressSpace,
                                          "FlushVirtualAddressSpace", kSlow, kNone,
                                          calls::flush_address_space),
    rep<FlushVirtualAddressSpaceInput>(CallCode::kFlushVirtualAddressList,
                                       "FlushVirtualAddressList", sizeof(GvaRange), 0, kNone,
                                       calls::flush_address_list),
    simple<GetLogicalProcessorRunTimeInput, GetLogicalProcessorRunTimeOutput>(
        CallCode::kGetLogicalProcessorRunTime, "GetLogicalProcessorRunTime", kSlow, kCpu,
        calls::get_logical_processor_run_time),
    simple<NotifyLongSpinWaitInput>(CallCode::kNotifyLongSpinWait, "NotifyLongSpinWait", kFast,
                                    kNone, calls::notify_long_spin_wait),
    simple<SendSyntheticClusterIpiInput>(CallCode::kSendSyntheticClusterIpi,
                                         "SendSyntheticClusterIpi", kFast, kNone,
                                         calls::send_synthetic_cluster_ipi),
    with_variable_header(simple<FlushVirtualAddressSpaceExInput>(
        CallCode::kFlushVirtualAddressSpaceEx, "FlushVirtualAddressSpaceEx", kSlow, kNone,
        calls::flush_address_space_ex)),
    with_variable_header(rep<FlushVirtualAddressSpaceExInput>(
        CallCode::kFlushVirtualAddressListEx, "FlushVirtualAddressListEx", sizeof(GvaRange), 0,
        kNone, calls::flush_address_list_ex)),
    with_variable_header(simple<SendSyntheticClusterIpiExInput>(
        CallCode::kSendSyntheticClusterIpiEx, "SendSyntheticClusterIpiEx", kSlow, kNone,
        calls::send_synthetic_cluster_ipi_ex)),
    simple<CreatePartitionInput, PartitionIdOutput>(CallCode::kCreatePartition, "CreatePartition",
                                                    kSlow, kParent, calls::create_partition),
    simple<PartitionInput>(CallCode::kInitializePartition, "InitializePartition", kFast, kParent,
                           calls::initialize_partition),
    simple<PartitionInput>(CallCode::kFinalizePartition, "FinalizePartition", kFast, kParent,
                           calls::finalize_partition),
    simple<PartitionInput>(CallCode::kDeletePartition, "DeletePartition", kFast, kParent,
                           calls::delete_partition),
    simple<GetPartitionPropertyInput, GetPartitionPropertyOutput>(
        CallCode::kGetPartitionProperty, "GetPartitionProperty", kSlow, kParent,
        calls::get_partition_property),
    simple<SetPartitionPropertyInput>(CallCode::kSetPartitionProperty, "SetPartitionProperty",
                                      kSlow, kParent, calls::set_partition_property),
    simple<void, PartitionIdOutput>(CallCode::kGetPartitionId, "GetPartitionId", kSlow,
                                    static_cast<std::uint64_t>(Privilege::kAccessPartitionId),
                                    calls::get_partition_id),
    simple<GetNextChildPartitionInput, GetNextChildPartitionOutput>(
        CallCode::kGetNextChildPartition, "GetNextChildPartition", kSlow, kParent,
        calls::get_next_child_partition),
    rep<DepositMemoryInput>(CallCode::kDepositMemory, "DepositMemory", kPageNumber, 0, kPool,
                            calls::deposit_memory),
    rep<MemoryPoolInput>(CallCode::kWithdrawMemory, "WithdrawMemory", 0, kPageNumber, kPool,
                         calls::withdraw_memory),
    simple<MemoryPoolInput, GetMemoryBalanceOutput>(CallCode::kGetMemoryBalance, "GetMemoryBalance",
                                                    kSlow, kPool, calls::get_memory_balance),
    rep<MapGpaPagesInput>(CallCode::kMapGpaPages, "MapGpaPages", kPageNumber, 0, kParent,
                          calls::map_gpa_pages),
    rep<UnmapGpaPagesInput>(CallCode::kUnmapGpaPages, "UnmapGpaPages", 0, 0, kParent,
                            calls::unmap_gpa_pages),
    simple<InstallInterceptInput>(CallCode::kInstallIntercept, "InstallIntercept", kSlow, kParent,
                                  calls::install_intercept),
    simple<CreateVpInput>(CallCode::kCreateVp, "CreateVp", kSlow, kParent, calls::create_vp),
    simple<DeleteVpInput>(CallCode::kDeleteVp, "DeleteVp", kFast, kParent, calls::delete_vp),
    rep<VpRegistersInput>(CallCode::kGetVpRegisters, "GetVpRegisters", sizeof(RegisterName),
                          sizeof(RegisterValue), kNone, calls::get_vp_registers),
    rep<VpRegistersInput>(CallCode::kSetVpRegisters, "SetVpRegisters", sizeof(RegisterAssignment),
                          0, kNone, calls::set_vp_registers),
    simple<TranslateVirtualAddressInput, TranslateVirtualAddressOutput>(
        CallCode::kTranslateVirtualAddress, "TranslateVirtualAddress", kSlow, kNone,
        calls::translate_virtual_address),
    simple<AccessGpaInput, ReadGpaOutput>(CallCode::kReadGpa, "ReadGpa", kSlow, kParent,
                                          calls::read_gpa),
    simple<WriteGpaInput, WriteGpaOutput>(CallCode::kWriteGpa, "WriteGpa", kSlow, kParent,
                                          calls::write_gpa),
    simple<PartitionInput>(CallCode::kClearVirtualInterrupt, "ClearVirtualInterrupt", kFast,
                           kParent, calls::clear_virtual_interrupt),
    simple<DeletePortInput>(CallCode::kDeletePort, "DeletePort", kFast, kNone, calls::delete_port),
    simple<GetPortPropertyInput, GetPortPropertyOutput>(
        CallCode::kGetPortProperty, "GetPortProperty", kSlow, kNone, calls::get_port_property),
    simple<DisconnectPortInput>(CallCode::kDisconnectPort, "DisconnectPort", kFast, kNone,
                                calls::disconnect_port),
    simple<PostMessageInput>(CallCode::kPostMessage, "PostMessage", kSlow,
                             static_cast<std::uint64_t>(Privilege::kPostMessages),
                             calls::post_message),
    simple<SignalEventInput>(CallCode::kSignalEvent, "SignalEvent", kFast,
                             static_cast<std::uint64_t>(Privilege::kSignalEvents),
                             calls::signal_event),
    simple<PostDebugDataInput, PostDebugDataOutput>(CallCode::kPostDebugData, "PostDebugData",
                                                    kSlow, kDebugging, calls::post_debug_data),
    simple<RetrieveDebugDataInput, RetrieveDebugDataOutput>(CallCode::kRetrieveDebugData,
                                                            "RetrieveDebugData", kSlow, kDebugging,
                                                            calls::retrieve_debug_data),
    simple<ResetDebugSessionInput>(CallCode::kResetDebugSession, "ResetDebugSession", kFast,
                                   kDebugging, calls::reset_debug_session),
    simple<MapStatsPageInput>(CallCode::kMapStatsPage, "MapStatsPage", kSlow, kStatistics,
                              calls::map_stats_page),
    simple<StatisticsPageInput>(CallCode::kUnmapStatsPage, "UnmapStatsPage", kSlow, kStatistics,
                                calls::unmap_stats_page),
    rep<SparseGpaPagesInput>(CallCode::kMapSparseGpaPages, "MapSparseGpaPages",
                             sizeof(SparseMapping), 0, kParent, calls::map_sparse_gpa_pages),
    simple<SetSystemPropertyInput>(CallCode::kSetSystemProperty, "SetSystemProperty", kFast, kCpu,
                                   calls::set_system_property),
    simple<SetPortPropertyInput>(CallCode::kSetPortProperty, "SetPortProperty", kSlow, kNone,
                                 calls::set_port_property),
    simple<OutputDebugCharacterInput>(CallCode::kOutputDebugCharacter, "OutputDebugCharacter",
                                      kFast, kNone, calls::output_debug_character),
    simple<AddLogicalProcessorInput, AddLogicalProcessorOutput>(CallCode::kAddLogicalProcessor,
                                                                "AddLogicalProcessor", kSlow, kCpu,
                                                                calls::add_logical_processor),
    simple<GetSystemPropertyInput, GetSystemPropertyOutput>(CallCode::kGetSystemProperty,
                                                            "GetSystemProperty", kSlow, kNone,
                                                            calls::get_system_property),
    with_variable_header(simple<MapDeviceInterruptInput, MapDeviceInterruptOutput>(
                             CallCode::kMapDeviceInterrupt, "MapDeviceInterrupt", kSlow, kCpu,
                             calls::map_device_interrupt),
                         VariableHeader::kMaskAndBanks),
    simple<UnmapDeviceInterruptInput>(CallCode::kUnmapDeviceInterrupt, "UnmapDeviceInterrupt",
                                      kSlow, kCpu, calls::unmap_device_interrupt),
    with_variable_header(simple<RetargetDeviceInterruptInput>(
                             CallCode::kRetargetDeviceInterrupt, "RetargetDeviceInterrupt", kSlow,
                             kNone, calls::retarget_device_interrupt),
                         VariableHeader::kMaskAndBanks),
    simple<EnterSleepStateInput>(CallCode::kEnterSleepState, "EnterSleepState", kFast, kCpu,
                                 calls::enter_sleep_state),
    simple<NotifyPartitionEventInput>(CallCode::kNotifyPartitionEvent, "NotifyPartitionEvent",
                                      kFast, kCpu, calls::notify_partition_event),
    simple<NotifyPortRingEmptyInput>(CallCode::kNotifyPortRingEmpty, "NotifyPortRingEmpty", kFast,
                                     kCpu, calls::notify_port_ring_empty),
    rep<SparseGpaPagesInput>(CallCode::kModifySparseGpaPages, "ModifySparseGpaPages", kPageNumber,
                             0, kParent, calls::modify_sparse_gpa_pages),
    simple<InterceptResultInput>(CallCode::kRegisterInterceptResult, "RegisterInterceptResult",
                                 kSlow, kParent, calls::register_intercept_result),
    simple<InterceptResultInput>(CallCode::kUnregisterInterceptResult, "UnregisterInterceptResult",
                                 kSlow, kParent, calls::unregister_intercept_result),
    simple<AssertVirtualInterruptInput>(CallCode::kAssertVirtualInterrupt, "AssertVirtualInterrupt",
                                        kSlow, kParent, calls::assert_virtual_interrupt),
    simple<CreatePortInput>(CallCode::kCreatePort, "CreatePort", kSlow, kNone, calls::create_port),
    simple<ConnectPortInput>(CallCode::kConnectPort, "ConnectPort", kSlow, kNone,
                             calls::connect_port),
    simple<StartVirtualProcessorInput>(
        CallCode::kStartVirtualProcessor, "StartVirtualProcessor", kSlow,
        static_cast<std::uint64_t>(Privilege::kStartVirtualProcessor),
        calls::start_virtual_processor),
    rep<GetVpIndexFromApicIdInput>(CallCode::kGetVpIndexFromApicId, "GetVpIndexFromApicId", kId,
                                   kId, kNone, calls::get_vp_index_from_apic_id),
    simple<TranslateVirtualAddressInput, TranslateVirtualAddressExOutput>(
        CallCode::kTranslateVirtualAddressEx, "TranslateVirtualAddressEx", kSlow, kNone,
        calls::translate_virtual_address_ex),
    simple<SignalEventDirectInput, SignalEventDirectOutput>(CallCode::kSignalEventDirect,
                                                            "SignalEventDirect", kSlow, kParent,
                                                            calls::signal_event_direct),
    simple<PostMessageDirectInput>(CallCode::kPostMessageDirect, "PostMessageDirect", kSlow,
                                   kParent, calls::post_message_direct),
    rep<GetGpaPagesAccessStatesInput>(CallCode::kGetGpaPagesAccessStates, "GetGpaPagesAccessStates",
                                      0, sizeof(std::uint8_t), kParent,
                                      calls::get_gpa_pages_access_states),
    rep<SpaPageHostAccessInput>(CallCode::kAcquireSparseSpaPageHostAccess,
                                "AcquireSparseSpaPageHostAccess", kPageNumber, 0, kCpu,
                                calls::acquire_sparse_spa_page_host_access),
    rep<SpaPageHostAccessInput>(CallCode::kReleaseSparseSpaPageHostAccess,
                                "ReleaseSparseSpaPageHostAccess", kPageNumber, 0, kCpu,
                                calls::release_sparse_spa_page_host_access),
    simple<MapVpStatePageInput, MapVpStatePageOutput>(CallCode::kMapVpStatePage, "MapVpStatePage",
                                                      kSlow, kParent, calls::map_vp_state_page),
    simple<UnmapVpStatePageInput>(CallCode::kUnmapVpStatePage, "UnmapVpStatePage", kFast, kParent,
                                  calls::unmap_vp_state_page),
    with_variable_header(simple<VpStateInput>(CallCode::kGetVpState, "GetVpState", kSlow, kParent,
                                              calls::get_vp_state)),
    with_variable_header(simple<VpStateInput>(CallCode::kSetVpState, "SetVpState", kSlow, kParent,
                                              calls::set_vp_state)),
    rep<GetVpCpuidValuesInput>(CallCode::kGetVpCpuidValues, "GetVpCpuidValues", sizeof(CpuidLeaf),
                               sizeof(CpuidValues), kParent, calls::get_vp_cpuid_values),
    simple<GetPartitionPropertyExInput, ProcessorSetValue>(CallCode::kGetPartitionPropertyEx,
                                                           "GetPartitionPropertyEx", kSlow, kParent,
                                                           calls::get_partition_property_ex),
    simple<MmioInput, MmioReadOutput>(CallCode::kMmioRead, "MmioRead", kSlow, kNone,
                                      calls::mmio_read),
    simple<MmioWriteInput>(CallCode::kMmioWrite, "MmioWrite", kSlow, kNone, calls::mmio_write),
    with_variable_header(simple<SetPartitionPropertyExInput>(
        CallCode::kSetPartitionPropertyEx, "SetPartitionPropertyEx", kSlow, kParent,
        calls::set_partition_property_ex)),
    simple<MapStatsPageInput>(CallCode::kMapStatsPage2, "MapStatsPage2", kSlow, kStatistics,
                              calls::map_stats_page2),
    simple<void, ExtendedCapabilities>(CallCode::kExtCallQueryCapabilities,
                                       "ExtCallQueryCapabilities", kSlow, kExtended,
                                       calls::query_extended_capabilities),
    simple<void, BootZeroedMemory>(CallCode::kExtCallGetBootZeroedMemory,
                                   "ExtCallGetBootZeroedMemory", kSlow, kExtended,
                                   calls::get_boot_zeroed_memory),
    rep<MemoryHeatHintInput>(CallCode::kExtCallMemoryHeatHint, "ExtCallMemoryHeatHint",
                             sizeof(std::uint64_t), 0, kExtended, calls::hint_memory_heat),
};

constexpr std::span<const CallEntry> kCalls{kCallEntries};

constexpr bool is_ascending() {
  for (std::size_t index = 1; index < kCalls.size(); ++index) {
    if (kCalls[index].description.code <= kCalls[index - 1].description.code) {
      return false;
    }
  }
  return true;
}
static_assert(is_ascending());

/// Extended calls have codes far above the others.
constexpr std::size_t kFirstExtended = 0x8000;

constexpr std::size_t count_ordinary_codes() {
  std::size_t codes = 0;
  for (const CallEntry& call : kCalls) {
    const auto code = static_cast<std::size_t>(call.description.code);
    codes = code < kFirstExtended ? code + 1 : codes;
  }
  return codes;
}

/// Slots of the index: the ordinary codes, then the extended ones. Out of range for other codes.
constexpr std::size_t kOrdinaryCodes = count_ordinary_codes();
constexpr std::size_t slot_of(std::size_t code) {
  return code < kFirstExtended ? (code < kOrdinaryCodes ? code : kFirstExtended)
                               : code - kFirstExtended + kOrdinaryCodes;
}
constexpr std::size_t kSlots =
    slot_of(static_cast<std::size_t>(kCalls.back().description.code)) + 1;
static_assert(kCalls.back().description.code >= CallCode::kExtCallQueryCapabilities);
static_assert(kSlots <= 512 && kCalls.size() < 256);

/// By slot: the place in the table and one; 0 where no call is.
consteval std::array<std::uint8_t, kSlots> index_calls() {
  std::array<std::uint8_t, kSlots> places{};
  for (std::size_t place = 0; place < kCalls.size(); ++place) {
    places[slot_of(static_cast<std::size_t>(kCalls[place].description.code))] =
        static_cast<std::uint8_t>(place + 1);
  }
  return places;
}
constexpr std::array<std::uint8_t, kSlots> kPlaces = index_calls();

}  // namespace

std::span<const CallEntry> call_table() { return kCalls; }

const CallEntry* find_call(std::uint16_t code) {
  const std::size_t slot = slot_of(code);
  const std::size_t place = slot < kPlaces.size() ? kPlaces[slot] : 0;
  return place != 0 ? &kCalls[place - 1] : nullptr;
}

}  // namespace hv
