#include "hv/processor/monitor_pages.h"

#include "hv/gpa_changes.h"
#include "hv/hypervisor.h"
#include "hv/partition_life.h"
#include "hv/processor/monitored_events.h"

namespace hv {
namespace {

using machine::Gpa;
using machine::Spn;

/// Tables around the place of an overlay.
constexpr std::size_t kMostTables = 3;

/// The page is the overlay's name; who is connected to its own port sees it twice.
OverlayId overlay_of(OverlayKind kind, Spn page) {
  return {kind, VpIndex{static_cast<std::uint32_t>(page.value())}};
}

Status show(Hypervisor& hypervisor, Partition& viewer, OverlayId id, Spn page, Gpa place) {
  {
    const machine::LockGuard guard(viewer.space_lock);
    GpaSpace& space = *viewer.space;
    const std::uint32_t overlays = overlays_to_reserve(viewer, viewer.vps.count()) + 1;
    if (viewer.pool.available() < space.pages_to_reserve_overlays(overlays) + kMostTables) {
      return Status::kInsufficientMemory;
    }
    INVARIANT(space.reserve_overlays(overlays) == Status::kSuccess);
    const Status status = space.show_overlay(id, place.page(), page, GpaRights::read_write());
    if (status != Status::kSuccess) {
      return status;
    }
  }
  finish_space_changes(hypervisor, viewer);
  ++viewer.monitor_pages_shown;
  return Status::kSuccess;
}

void hide(Hypervisor& hypervisor, Partition& viewer, OverlayId id) {
  {
    const machine::LockGuard guard(viewer.space_lock);
    viewer.space->hide_overlay(id);
  }
  finish_space_changes(hypervisor, viewer);
  --viewer.monitor_pages_shown;
}

/// The sender sees the page no more, so nothing comes after what is passed on.
void stop_monitoring(Hypervisor& hypervisor, Connection& connection) {
  Partition& sender = *hypervisor.find_partition(connection.partition);
  const Spn page = connection.port->monitor_page;
  hide(hypervisor, sender, overlay_of(OverlayKind::kMonitorOfConnection, page));
  const machine::LockGuard guard(hypervisor.communication_lock);
  (void)pass_on_monitored(hypervisor, sender, connection);
}

}  // namespace

Status create_monitor_port(Hypervisor& hypervisor, Partition& owner, PortId id,
                           const Partition& sender, const PortInfo& info) {
  Port* port = nullptr;
  {
    const machine::LockGuard guard(hypervisor.communication_lock);
    const auto created = owner.ports.create(id, owner.id, sender.id, info);
    if (!created) {
      return created.error();
    }
    port = *created;
    port->owner = &owner;
  }
  const std::optional<Spn> page = owner.pool.take();
  const Gpa place(info.monitor_gpa());
  const Status status =
      page ? show(hypervisor, owner, overlay_of(OverlayKind::kMonitorOfPort, *page), *page, place)
           : Status::kInsufficientMemory;
  const machine::LockGuard guard(hypervisor.communication_lock);
  if (status == Status::kSuccess) {
    port->monitor_page = *page;
    return status;
  }
  owner.ports.remove(*port);
  if (page) {
    owner.pool.give(*page);
  }
  return status;
}

Status connect_monitor(Hypervisor& hypervisor, Partition& sender, ConnectionId id,
                       const ConnectionInfo& info, Port& port) {
  {
    const machine::LockGuard guard(hypervisor.communication_lock);
    const Status status = sender.connections.connect(id, sender.id, info, port);
    if (status != Status::kSuccess) {
      return status;
    }
  }
  const Status status =
      show(hypervisor, sender, overlay_of(OverlayKind::kMonitorOfConnection, port.monitor_page),
           port.monitor_page, Gpa(info.gpa));
  if (status != Status::kSuccess) {
    const machine::LockGuard guard(hypervisor.communication_lock);
    sender.connections.remove(*port.connection);
    return status;
  }
  sender.monitors_due.store(0);
  return status;
}

void end_port(Hypervisor& hypervisor, Partition& owner, Port& port) {
  const bool is_monitor = port.info.type == PortType::kMonitor;
  const Spn page = port.monitor_page;
  if (is_monitor) {
    if (port.connection != nullptr) {
      stop_monitoring(hypervisor, *port.connection);
    }
    hide(hypervisor, owner, overlay_of(OverlayKind::kMonitorOfPort, page));
  }
  {
    const machine::LockGuard guard(hypervisor.communication_lock);
    drop_messages(owner, port.messages);
    owner.ports.remove(port);
  }
  if (is_monitor) {
    owner.pool.give(page);
  }
}

void end_connection(Hypervisor& hypervisor, Partition& sender, Connection& connection) {
  if (connection.type == PortType::kMonitor && connection.port != nullptr) {
    stop_monitoring(hypervisor, connection);
  }
  const machine::LockGuard guard(hypervisor.communication_lock);
  sender.connections.remove(connection);
}

}  // namespace hv
