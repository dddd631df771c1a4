// HV_STATUS: what a hypercall answers (TLFS appendix "Hypercall Status Codes").
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace hv {

enum class Status : std::uint16_t {
  kSuccess = 0x0000,
  kInvalidHypercallCode = 0x0002,
  kInvalidHypercallInput = 0x0003,
  kInvalidAlignment = 0x0004,
  kInvalidParameter = 0x0005,
  kAccessDenied = 0x0006,
  kInvalidPartitionState = 0x0007,
  kOperationDenied = 0x0008,
  kUnknownProperty = 0x0009,
  kPropertyValueOutOfRange = 0x000A,
  kInsufficientMemory = 0x000B,
  kPartitionTooDeep = 0x000C,
  kInvalidPartitionId = 0x000D,
  kInvalidVpIndex = 0x000E,
  kNotFound = 0x0010,
  kInvalidPortId = 0x0011,
  kInvalidConnectionId = 0x0012,
  kInsufficientBuffers = 0x0013,
  kNotAcknowledged = 0x0014,
  kInvalidVpState = 0x0015,
  kAcknowledged = 0x0016,
  kInvalidSaveRestoreState = 0x0017,
  kInvalidSynicState = 0x0018,
  kObjectInUse = 0x0019,
  kInvalidProximityDomainInfo = 0x001A,
  kNoData = 0x001B,
  kInactive = 0x001C,
  kNoResources = 0x001D,
  kFeatureUnavailable = 0x001E,
  kPartialPacket = 0x001F,
  kProcessorFeatureNotSupported = 0x0020,
  kInsufficientBuffer = 0x0033,
  kInvalidLpIndex = 0x0041,
  kInvalidRegisterValue = 0x0050,
  kInvalidVtlState = 0x0051,
  kInvalidDeviceId = 0x0057,
  kInvalidDeviceState = 0x0058,
  kInvalidCpuGroupId = 0x006F,
  kOperationFailed = 0x0071,
  kInsufficientRootMemory = 0x0073,
  kTimeout = 0x0078,
  kCallPending = 0x0079,
  kUnknownRegisterName = 0x0087,
};

struct StatusName {
  Status status;
  std::string_view name;
};

inline constexpr std::array<StatusName, 43> kStatusNames = {{
    {Status::kSuccess, "SUCCESS"},
    {Status::kInvalidHypercallCode, "INVALID_HYPERCALL_CODE"},
    {Status::kInvalidHypercallInput, "INVALID_HYPERCALL_INPUT"},
    {Status::kInvalidAlignment, "INVALID_ALIGNMENT"},
    {Status::kInvalidParameter, "INVALID_PARAMETER"},
    {Status::kAccessDenied, "ACCESS_DENIED"},
    {Status::kInvalidPartitionState, "INVALID_PARTITION_STATE"},
    {Status::kOperationDenied, "OPERATION_DENIED"},
    {Status::kUnknownProperty, "UNKNOWN_PROPERTY"},
    {Status::kPropertyValueOutOfRange, "PROPERTY_VALUE_OUT_OF_RANGE"},
    {Status::kInsufficientMemory, "INSUFFICIENT_MEMORY"},
    {Status::kPartitionTooDeep, "PARTITION_TOO_DEEP"},
    {Status::kInvalidPartitionId, "INVALID_PARTITION_ID"},
    {Status::kInvalidVpIndex, "INVALID_VP_INDEX"},
    {Status::kNotFound, "NOT_FOUND"},
    {Status::kInvalidPortId, "INVALID_PORT_ID"},
    {Status::kInvalidConnectionId, "INVALID_CONNECTION_ID"},
    {Status::kInsufficientBuffers, "INSUFFICIENT_BUFFERS"},
    {Status::kNotAcknowledged, "NOT_ACKNOWLEDGED"},
    {Status::kInvalidVpState, "INVALID_VP_STATE"},
    {Status::kAcknowledged, "ACKNOWLEDGED"},
    {Status::kInvalidSaveRestoreState, "INVALID_SAVE_RESTORE_STATE"},
    {Status::kInvalidSynicState, "INVALID_SYNIC_STATE"},
    {Status::kObjectInUse, "OBJECT_IN_USE"},
    {Status::kInvalidProximityDomainInfo, "INVALID_PROXIMITY_DOMAIN_INFO"},
    {Status::kNoData, "NO_DATA"},
    {Status::kInactive, "INACTIVE"},
    {Status::kNoResources, "NO_RESOURCES"},
    {Status::kFeatureUnavailable, "FEATURE_UNAVAILABLE"},
    {Status::kPartialPacket, "PARTIAL_PACKET"},
    {Status::kProcessorFeatureNotSupported, "PROCESSOR_FEATURE_NOT_SUPPORTED"},
    {Status::kInsufficientBuffer, "INSUFFICIENT_BUFFER"},
    {Status::kInvalidLpIndex, "INVALID_LP_INDEX"},
    {Status::kInvalidRegisterValue, "INVALID_REGISTER_VALUE"},
    {Status::kInvalidVtlState, "INVALID_VTL_STATE"},
    {Status::kInvalidDeviceId, "INVALID_DEVICE_ID"},
    {Status::kInvalidDeviceState, "INVALID_DEVICE_STATE"},
    {Status::kInvalidCpuGroupId, "INVALID_CPU_GROUP_ID"},
    {Status::kOperationFailed, "OPERATION_FAILED"},
    {Status::kInsufficientRootMemory, "INSUFFICIENT_ROOT_MEMORY"},
    {Status::kTimeout, "TIMEOUT"},
    {Status::kCallPending, "CALL_PENDING"},
    {Status::kUnknownRegisterName, "UNKNOWN_REGISTER_NAME"},
}};

/// The name without the HV_STATUS_ prefix; "UNKNOWN" for a value that the interface does not have.
[[nodiscard]] constexpr std::string_view status_name(Status status) {
  for (const StatusName& entry : kStatusNames) {
    if (entry.status == status) {
      return entry.name;
    }
  }
  return "UNKNOWN";
}

}  // namespace hv
