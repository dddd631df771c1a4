#include "hv/synic/doorbell_table.h"

#include "machine/address.h"
#include "machine/invariant.h"

namespace hv {

namespace {

/// 0 for any size.
std::uint32_t size_of(const ConnectionInfo& info) {
  const std::uint64_t code = info.flags & ConnectionInfo::kDoorbellSizeMask;
  return code == ConnectionInfo::kDoorbellAnySize ? 0 : 1u << (code - 1);
}

bool any_value(const ConnectionInfo& info) {
  return (info.flags & ConnectionInfo::kDoorbellAnyValue) != 0;
}

}  // namespace

Status check_doorbell(const ConnectionInfo& info) {
  constexpr std::uint64_t kFlags =
      ConnectionInfo::kDoorbellSizeMask | ConnectionInfo::kDoorbellAnyValue;
  if ((info.flags & ~kFlags) != 0 ||
      (info.flags & ConnectionInfo::kDoorbellSizeMask) > ConnectionInfo::kDoorbellQword) {
    return Status::kInvalidParameter;
  }
  const std::uint32_t size_bytes = size_of(info);
  const bool value_fits =
      size_bytes == 0 || size_bytes == 8 || (info.trigger_value >> (size_bytes * 8)) == 0;
  if (!any_value(info) && !value_fits) {
    return Status::kInvalidParameter;
  }
  return info.gpa % machine::kPageSize + size_bytes <= machine::kPageSize
             ? Status::kSuccess
             : Status::kInvalidAlignment;
}

bool Doorbell::matches(const GuestStore& store) const {
  const std::uint32_t size_bytes = size_of(info);
  return store.gpa == info.gpa && (size_bytes == 0 || size_bytes == store.size_bytes) &&
         (any_value(info) || store.value == info.trigger_value);
}

Status DoorbellTable::connect(ConnectionId id, PartitionId owner, const ConnectionInfo& info,
                              Port& port) {
  if (const Status status = check_connection(id, info); status != Status::kSuccess) {
    return status;
  }
  INVARIANT(info.type == PortType::kDoorbell);
  if (find(id) != nullptr) {
    return Status::kInvalidConnectionId;
  }
  if (const Status status = check_connectable(port, owner, info.type); status != Status::kSuccess) {
    return status;
  }
  if (!records_.has_room()) {
    return Status::kInsufficientMemory;
  }
  Doorbell& doorbell = records_.make();
  doorbell.id = id;
  doorbell.partition = owner;
  doorbell.type = info.type;
  doorbell.port_partition = port.partition;
  doorbell.port = &port;
  doorbell.info = info;
  doorbell.next_doorbell_ = first_;
  first_ = &doorbell;
  port.connection = &doorbell;
  return Status::kSuccess;
}

Doorbell* DoorbellTable::find(ConnectionId id) {
  Doorbell* doorbell = first_;
  while (doorbell != nullptr && doorbell->id != id) {
    doorbell = doorbell->next_doorbell_;
  }
  return doorbell;
}

Doorbell* DoorbellTable::find(const GuestStore& store) {
  Doorbell* doorbell = first_;
  while (doorbell != nullptr && (doorbell->port == nullptr || !doorbell->matches(store))) {
    doorbell = doorbell->next_doorbell_;
  }
  return doorbell;
}

void DoorbellTable::remove(Doorbell& doorbell) {
  if (doorbell.port != nullptr) {
    doorbell.port->connection = nullptr;
  }
  Doorbell** at = &first_;
  while (*at != &doorbell) {
    INVARIANT(*at != nullptr);
    at = &(*at)->next_doorbell_;
  }
  *at = doorbell.next_doorbell_;
  records_.end(doorbell);
}

void DoorbellTable::destroy() {
  INVARIANT(empty());
  records_.destroy();
}

}  // namespace hv
