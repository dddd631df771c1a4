#include "hv/statistics/statistics_pages.h"

#include <array>

#include "hv/gpa_changes.h"
#include "hv/hypervisor.h"
#include "hv/partition_life.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"

namespace hv {

/// A partition's mappings, in pages of its pool; a mapping of no partition is free.
struct StatisticsRecords {
  static constexpr std::size_t kRecords =
      (machine::kPageSize - 2 * sizeof(std::uint64_t)) / sizeof(StatisticsMapping);
  StatisticsRecords* next = nullptr;
  machine::Spn place;
  std::array<StatisticsMapping, kRecords> mappings{};
};
static_assert(sizeof(StatisticsRecords) <= machine::kPageSize);

namespace {

using machine::Gpn;
using machine::Spn;

/// Tables around the place of an overlay.
constexpr std::size_t kMostTables = 3;

/// An overlay of the mapper's, of which the page is a name.
OverlayId overlay_of(Spn page) {
  return {OverlayKind::kStatistics, VpIndex{static_cast<std::uint32_t>(page.value())}};
}

bool is_processors(const StatisticsObject& object) {
  return object.type == StatisticsObjectType::kVp ||
         object.type == StatisticsObjectType::kLogicalProcessor;
}

/// The list that an object's mappings are in.
StatisticsMapping*& list_of(Hypervisor& hypervisor, const StatisticsObject& object) {
  switch (object.type) {
    case StatisticsObjectType::kHypervisor:
      return hypervisor.statistics_mappings;
    case StatisticsObjectType::kLogicalProcessor:
      return hypervisor.processor(object.index).statistics_mappings;
    case StatisticsObjectType::kPartition:
      return hypervisor.find_partition(object.partition)->statistics_mappings;
    case StatisticsObjectType::kVp:
      break;
  }
  Partition* const partition = hypervisor.find_partition(object.partition);
  return partition->vp(VpIndex{object.index})->statistics.mappings;
}

template <class Visit>
void for_each_mapping(const Partition& mapper, Visit visit) {
  for (StatisticsRecords* page = mapper.statistics_records; page != nullptr; page = page->next) {
    for (StatisticsMapping& mapping : page->mappings) {
      visit(mapping);
    }
  }
}

StatisticsMapping* find(const Partition& mapper, const StatisticsObject& object,
                        StatisticsView view) {
  StatisticsMapping* found = nullptr;
  for_each_mapping(mapper, [&](StatisticsMapping& mapping) {
    if (mapping.mapper != nullptr && mapping.object == object && mapping.view == view) {
      found = &mapping;
    }
  });
  return found;
}

StatisticsMapping* find_free(const Partition& mapper) {
  StatisticsMapping* found = nullptr;
  for_each_mapping(mapper, [&](StatisticsMapping& mapping) {
    found = mapping.mapper == nullptr ? &mapping : found;
  });
  return found;
}

/// The pool has a page for it.
StatisticsMapping* add_records(Partition& mapper) {
  const std::optional<Spn> place = mapper.pool.take();
  INVARIANT(place.has_value());
  auto* const page =
      std::construct_at(reinterpret_cast<StatisticsRecords*>(machine::direct_map(*place)));
  page->place = *place;
  page->next = mapper.statistics_records;
  mapper.statistics_records = page;
  return page->mappings.data();
}

/// Where the counters of an object are brought up to date for the first time.
void publish(Hypervisor& hypervisor, const StatisticsObject& object) {
  const std::uint64_t now = machine::read_tsc();
  LogicalProcessor& here = this_processor();
  switch (object.type) {
    case StatisticsObjectType::kHypervisor:
      publish_statistics(hypervisor, hypervisor.root());
      return;
    case StatisticsObjectType::kPartition:
      publish_statistics(hypervisor, *hypervisor.find_partition(object.partition));
      return;
    case StatisticsObjectType::kLogicalProcessor:
      // Its own affair: it looks at its slot.
      hypervisor.nudge(object.index);
      return;
    case StatisticsObjectType::kVp:
      break;
  }
  VirtualProcessor& vp = *hypervisor.find_partition(object.partition)->vp(VpIndex{object.index});
  std::uint32_t running = kNoLp;
  {
    const machine::LockGuard guard(hypervisor.scheduler_lock);
    if (vp.state == RunState::kRunning && vp.lp != here.index()) {
      running = vp.lp;
    } else {
      publish_statistics(vp, now);
    }
  }
  if (running != kNoLp) {
    hypervisor.nudge(running);
  }
}

void put(const StatisticsMapping& mapping, auto counter, std::uint64_t value) {
  const std::uint64_t offset = static_cast<std::uint64_t>(counter) * sizeof(value);
  machine::store_u64(machine::Spa(mapping.page) + offset, value);
}

void remove_from(StatisticsMapping*& list, const StatisticsMapping& mapping) {
  StatisticsMapping** link = &list;
  while (*link != &mapping) {
    INVARIANT(*link != nullptr);
    link = &(*link)->next;
  }
  *link = mapping.next;
}

/// From here on nobody writes to the page.
void unlink(Hypervisor& hypervisor, const StatisticsMapping& mapping) {
  StatisticsMapping*& list = list_of(hypervisor, mapping.object);
  if (is_processors(mapping.object)) {
    const machine::LockGuard guard(hypervisor.scheduler_lock);
    remove_from(list, mapping);
  } else {
    remove_from(list, mapping);
  }
}

void unmap(Hypervisor& hypervisor, StatisticsMapping& mapping) {
  unlink(hypervisor, mapping);
  Partition& mapper = *mapping.mapper;
  {
    const machine::LockGuard guard(mapper.space_lock);
    mapper.space->hide_overlay(overlay_of(mapping.page));
  }
  finish_space_changes(hypervisor, mapper);
  mapper.pool.give(mapping.page);
  mapping = {};
}

void unmap_all(Hypervisor& hypervisor, StatisticsMapping*& list) {
  while (list != nullptr) {
    unmap(hypervisor, *list);
  }
}

std::uint64_t total_pages(const Hypervisor& hypervisor) {
  std::uint64_t pages = 0;
  hypervisor.for_each_partition([&](const Partition& partition) {
    pages += partition.pool.available() + partition.pool.in_use();
  });
  return pages;
}

void publish_hypervisor(const Hypervisor& hypervisor) {
  std::uint64_t partitions = 0;
  std::uint64_t vps = 0;
  hypervisor.for_each_partition([&](const Partition& partition) {
    ++partitions;
    vps += partition.vps.count();
  });
  const std::uint64_t pages = total_pages(hypervisor);
  for (const StatisticsMapping* mapping = hypervisor.statistics_mappings; mapping != nullptr;
       mapping = mapping->next) {
    put(*mapping, HypervisorCounter::kLogicalProcessors, hypervisor.processor_count());
    put(*mapping, HypervisorCounter::kPartitions, partitions);
    put(*mapping, HypervisorCounter::kTotalPages, pages);
    put(*mapping, HypervisorCounter::kVirtualProcessors, vps);
  }
}

}  // namespace

std::expected<Gpn, Status> map_statistics(Hypervisor& hypervisor, Partition& mapper,
                                          const StatisticsObject& object, StatisticsView view,
                                          std::optional<Gpn> place) {
  if (find(mapper, object, view) != nullptr) {
    return std::unexpected(Status::kOperationDenied);
  }
  StatisticsMapping* mapping = find_free(mapper);
  const std::uint32_t overlays = overlays_to_reserve(mapper, mapper.vps.count()) + 1;
  Spn page;
  {
    const machine::LockGuard guard(mapper.space_lock);
    GpaSpace& space = *mapper.space;
    const std::size_t needed =
        1 + (mapping == nullptr ? 1 : 0) + space.pages_to_reserve_overlays(overlays) + kMostTables;
    if (mapper.pool.available() < needed) {
      return std::unexpected(Status::kInsufficientMemory);
    }
    INVARIANT(space.reserve_overlays(overlays) == Status::kSuccess);
    page = *mapper.pool.take();
    const Gpn gpn = place.value_or(Gpn(page.value()));
    const Status status = space.contains(gpn)
                              ? space.show_overlay(overlay_of(page), gpn, page, GpaRights::read())
                              : Status::kSuccess;
    // Where no overlay may be, it is not seen either.
    INVARIANT(status == Status::kSuccess || status == Status::kInvalidParameter);
    place = gpn;
  }
  finish_space_changes(hypervisor, mapper);
  if (mapping == nullptr) {
    mapping = add_records(mapper);
  }
  *mapping = {nullptr, &mapper, object, page, *place, view};
  StatisticsMapping*& list = list_of(hypervisor, object);
  {
    const machine::LockGuard guard(hypervisor.scheduler_lock);
    mapping->next = list;
    list = mapping;
  }
  publish(hypervisor, object);
  return *place;
}

Status unmap_statistics(Hypervisor& hypervisor, Partition& mapper, const StatisticsObject& object,
                        StatisticsView view) {
  StatisticsMapping* const mapping = find(mapper, object, view);
  if (mapping == nullptr) {
    return Status::kOperationDenied;
  }
  unmap(hypervisor, *mapping);
  return Status::kSuccess;
}

const StatisticsMapping* find_statistics(const Partition& mapper, const StatisticsObject& object,
                                         StatisticsView view) {
  return find(mapper, object, view);
}

void end_statistics(Hypervisor& hypervisor, VirtualProcessor& vp) {
  unmap_all(hypervisor, vp.statistics.mappings);
}

void unmap_all_statistics(Hypervisor& hypervisor, Partition& mapper) {
  for_each_mapping(mapper, [&](StatisticsMapping& mapping) {
    if (mapping.mapper != nullptr) {
      unmap(hypervisor, mapping);
    }
  });
}

void end_statistics(Hypervisor& hypervisor, Partition& partition) {
  unmap_all(hypervisor, partition.statistics_mappings);
  unmap_all_statistics(hypervisor, partition);
  while (partition.statistics_records != nullptr) {
    const Spn place = partition.statistics_records->place;
    partition.statistics_records = partition.statistics_records->next;
    partition.pool.give(place);
  }
}

std::uint32_t statistics_overlay_count(const Partition& mapper) {
  std::uint32_t count = 0;
  for_each_mapping(mapper, [&](const StatisticsMapping& mapping) {
    count += mapping.mapper != nullptr ? 1 : 0;
  });
  return count;
}

void publish_statistics(Hypervisor& hypervisor, const Partition& partition) {
  if (hypervisor.statistics_mappings != nullptr) {
    publish_hypervisor(hypervisor);
  }
  if (partition.statistics_mappings == nullptr || !partition.space) {
    return;
  }
  const GpaSpaceFigures& figures = partition.space->figures();
  const std::uint64_t deposited = partition.pool.available() + partition.pool.in_use();
  for (const StatisticsMapping* mapping = partition.statistics_mappings; mapping != nullptr;
       mapping = mapping->next) {
    using enum PartitionCounter;
    put(*mapping, kVirtualProcessors, partition.vps.count());
    put(*mapping, kDepositedPages, deposited);
    put(*mapping, kGpaPages,
        figures.small_pages + GpaSpace::kPagesPerLargePage * figures.large_pages);
    put(*mapping, kGpaSpaceModifications, figures.modifications);
    put(*mapping, kGpaPages4K, figures.small_pages);
    put(*mapping, kGpaPages2M, figures.large_pages);
    put(*mapping, kPartitionId, static_cast<std::uint64_t>(partition.id));
    put(*mapping, kPagesShattered, figures.splits);
  }
}

void publish_statistics(const VirtualProcessor& vp, std::uint64_t now) {
  for (const StatisticsMapping* mapping = vp.statistics.mappings; mapping != nullptr;
       mapping = mapping->next) {
    std::uint64_t ticks = vp.run_time;
    if (vp.state == RunState::kRunning && now > vp.running_since) {
      ticks += now - vp.running_since;
    }
    put(*mapping, VpCounter::kTotalRunTime, reference_time(ticks, vp.partition.clock.scale(), 0));
    vp.statistics.for_each(
        [&](VpCounter counter, std::uint64_t value) { put(*mapping, counter, value); });
  }
}

void publish_statistics(const LogicalProcessor& processor, std::uint64_t now) {
  for (const StatisticsMapping* mapping = processor.statistics_mappings; mapping != nullptr;
       mapping = mapping->next) {
    using enum LogicalProcessorCounter;
    const std::uint64_t scale = processor.hypervisor().root().clock.scale();
    const LogicalProcessorFigures figures = processor.figures(now);
    put(*mapping, kGlobalTime, reference_time(now, scale, 0));
    put(*mapping, kTotalRunTime, reference_time(figures.run_ticks, scale, 0));
    put(*mapping, kHardwareInterrupts, figures.hardware_interrupts);
    put(*mapping, kContextSwitches, figures.context_switches);
  }
}

}  // namespace hv
