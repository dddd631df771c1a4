// The doorbells of one partition: writes to its address space that ring at its parent, without an
// exit to it.
#pragma once

#include <cstdint>

#include "hv/memory/page_pool.h"
#include "hv/memory/record_pages.h"
#include "hv/synic/port.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/ports.h"
#include "hv/tlfs/status.h"

namespace hv {

/// A write of a guest to memory that it cannot write to.
struct GuestStore {
  std::uint64_t gpa = 0;
  /// 1, 2, 4 or 8.
  std::uint32_t size_bytes = 0;
  std::uint64_t value = 0;
};

/// A connection to a doorbell port. Its id is unique among the partition's doorbells: they are not
/// among the connections that messages and events are sent to.
class Doorbell : public Connection {
 public:
  ConnectionInfo info;
  [[nodiscard]] bool matches(const GuestStore& store) const;

 private:
  friend class DoorbellTable;
  Doorbell* next_doorbell_ = nullptr;
};

/// Guarded like the other tables of port_table.h.
class DoorbellTable {
 public:
  explicit DoorbellTable(PagePool& pool) : records_(pool) {}
  DoorbellTable(const DoorbellTable&) = delete;
  DoorbellTable& operator=(const DoorbellTable&) = delete;

  /// The statuses of ConnectionTable::connect().
  [[nodiscard]] Status connect(ConnectionId id, PartitionId owner, const ConnectionInfo& info,
                               Port& port);
  [[nodiscard]] Doorbell* find(ConnectionId id);
  /// The doorbell that a write rings; null if there is none with a port.
  [[nodiscard]] Doorbell* find(const GuestStore& store);
  void remove(Doorbell& doorbell);
  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  [[nodiscard]] Doorbell* any() { return first_; }
  void destroy();

 private:
  RecordPages<Doorbell> records_;
  Doorbell* first_ = nullptr;
};

/// What ConnectPort may ask for: kInvalidParameter, kInvalidAlignment.
[[nodiscard]] Status check_doorbell(const ConnectionInfo& info);

}  // namespace hv
