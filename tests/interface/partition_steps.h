// Steps that rows about partitions share: partitions in each state, and their properties.
#pragma once

#include <cstdint>

#include "tests/interface/call_case.h"

namespace interface_test {

[[nodiscard]] hv::PartitionId created_partition(const hv::CreatePartitionInput& input = {});
/// Gives a created partition memory, and initializes it.
void initialize_with_memory(hv::PartitionId id);
/// Without virtual processors.
[[nodiscard]] hv::PartitionId active_partition();
[[nodiscard]] hv::PartitionId finalized_partition();
[[nodiscard]] hv::Status try_create_vp(hv::PartitionId id, std::uint32_t index);
void create_vp(hv::PartitionId id, std::uint32_t index);

[[nodiscard]] hv::Status get_property(hv::PartitionId id, hv::PartitionProperty property);
/// Its value; it must be readable.
[[nodiscard]] std::uint64_t property_of(hv::PartitionId id, hv::PartitionProperty property);
[[nodiscard]] hv::Status set_property(hv::PartitionId id, hv::PartitionProperty property,
                                      std::uint64_t value);
/// SetPartitionPropertyEx with a variable header of `qwords`, all `value`.
[[nodiscard]] hv::Status set_property_ex(hv::PartitionId id, hv::PartitionProperty property,
                                         std::uint32_t argument, std::uint32_t qwords,
                                         std::uint64_t value);

}  // namespace interface_test
