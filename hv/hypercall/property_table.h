// The properties of a partition, in one table: code, when a parent may change it, how it is read
// and written (TLFS "Partition Properties").
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "hv/tlfs/partition.h"
#include "hv/tlfs/status.h"

namespace hv {

class LogicalProcessor;
class Partition;

enum class PropertyChange : std::uint8_t {
  kNever,
  /// Before InitializePartition. These can be read then, too.
  kEarly,
  kActive,
  /// While it is active, with its virtual processors stopped. The root's own are never.
  kStopped,
};

/// The partition that a property belongs to, under the management lock. `processor` is the
/// executing one.
struct PropertyAccess {
  LogicalProcessor& processor;
  Partition& partition;
};

using PropertyReader = std::uint64_t (*)(const PropertyAccess& access);
/// kPropertyValueOutOfRange, kInvalidPartitionState, kInvalidCpuGroupId: nothing changed.
using PropertyWriter = Status (*)(const PropertyAccess& access, std::uint64_t value);

struct PropertyDescription {
  PartitionProperty code{};
  std::string_view name;
  PropertyChange change = PropertyChange::kNever;
  PropertyReader read = nullptr;
  PropertyWriter write = nullptr;
};

/// In ascending order of codes.
[[nodiscard]] std::span<const PropertyDescription> property_table();
/// Null if there is none of that code.
[[nodiscard]] const PropertyDescription* find_property(PartitionProperty code);

}  // namespace hv
