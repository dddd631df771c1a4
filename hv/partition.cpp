#include "hv/partition.h"

#include "hv/hypervisor.h"
#include "hv/processor/logical_processor.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"

namespace hv {

bool is_memory(const std::optional<GpaMapping>& mapping) {
  return mapping && this_processor().hypervisor().is_memory(*mapping);
}

Partition::Partition(PartitionId its_id, Partition* its_parent, machine::Spn its_page)
    : id(its_id), parent(its_parent), page(its_page) {}

bool Partition::read_memory(machine::Gpa from, std::span<std::byte> to) {
  INVARIANT(from.offset_in_page() + to.size() <= machine::kPageSize);
  const machine::LockGuard guard(space_lock);
  const std::optional<GpaMapping> mapping = space->lookup(from.page());
  if (!is_memory(mapping) || !mapping->rights.can_read()) {
    return false;
  }
  machine::read_memory(machine::Spa(mapping->page) + from.offset_in_page(), to);
  space->note_access(from.page(), false);
  return true;
}

bool Partition::write_memory(machine::Gpa to, std::span<const std::byte> from) {
  INVARIANT(to.offset_in_page() + from.size() <= machine::kPageSize);
  const machine::LockGuard guard(space_lock);
  const std::optional<GpaMapping> mapping = space->lookup(to.page());
  if (!is_memory(mapping) || !mapping->rights.can_write()) {
    return false;
  }
  machine::write_memory(machine::Spa(mapping->page) + to.offset_in_page(), from);
  space->note_access(to.page(), true);
  return true;
}

bool Partition::is_readable(machine::Gpa address) {
  const machine::LockGuard guard(space_lock);
  const std::optional<GpaMapping> mapping = space->lookup(address.page());
  return is_memory(mapping) && mapping->rights.can_read();
}

bool Partition::is_writable(machine::Gpa address) {
  const machine::LockGuard guard(space_lock);
  const std::optional<GpaMapping> mapping = space->lookup(address.page());
  return is_memory(mapping) && mapping->rights.can_write();
}

bool may_use_x2apic(const Partition& partition) {
  return partition.is_root() || (partition.creation_flags & kCreateX2ApicCapable) != 0;
}

}  // namespace hv
