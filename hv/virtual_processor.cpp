#include "hv/virtual_processor.h"

#include <memory>

#include "hv/partition.h"
#include "machine/vmx_root.h"

namespace hv {

static_assert(sizeof(VirtualProcessor) <= machine::kPageSize);

namespace {

/// Behind the registers, in their page.
VpStatistics& make_statistics(machine::Spn extended_state) {
  std::byte* const page = machine::direct_map(extended_state);
  return *std::construct_at(reinterpret_cast<VpStatistics*>(page + VpStatistics::kOffsetInPage));
}

}  // namespace

VirtualProcessor::VirtualProcessor(Partition& its_partition, VpIndex its_index,
                                   const VpPages& its_pages)
    : partition(its_partition),
      index(its_index),
      pages(its_pages),
      records(
          *std::construct_at(reinterpret_cast<VpRecords*>(machine::direct_map(its_pages.records)))),
      context(its_pages.vmcs),
      extended(its_pages.extended_state),
      statistics(make_statistics(its_pages.extended_state)),
      synic(its_pages.message, its_pages.event_flags, its_pages.event_ring) {
  apic.reset(static_cast<std::uint32_t>(its_index));
  intercept_entry.owner = &intercept_owner;
  intercept_entry.payload = records.intercept_payload.data();
}

VirtualProcessor::~VirtualProcessor() { std::destroy_at(&records); }

}  // namespace hv
