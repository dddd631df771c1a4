#include "scenarios/delivery_oracle.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "vmbus/server/server_channel.h"

namespace scenarios {
namespace {

constexpr const char* kDelivery = "rings deliver once, in order, unaltered";
constexpr const char* kWakeUp = "no wake-up is lost: what is in a ring is read";
constexpr const char* kInterrupt = "no wake-up is lost: disks are heard";

// vmbus/packet_trace.cpp and vmbus/server/server_channels.cpp. Sites of one name have one id.
constexpr machine::Site kSentToServer("vmbus.packet.sent_to_server");
constexpr machine::Site kSentToClient("vmbus.packet.sent_to_client");
constexpr machine::Site kReceivedByServer("vmbus.packet.received_by_server");
constexpr machine::Site kReceivedByClient("vmbus.packet.received_by_client");
constexpr machine::Site kChannelState("vmbus.server.channel_state");
// partitions/root/disks/ata_channel.cpp.
constexpr machine::Site kDiskIssued("root.disk.issued");
constexpr machine::Site kDiskEnded("root.disk.ended");
constexpr machine::Site kDiskOverdue("root.disk.overdue");

std::string name_of_ring(std::uint64_t track, bool to_server) {
  return fmt::format("channel {} of partition {}, to the {}", track & 0xFFFF, track >> 16,
                     to_server ? "server" : "client");
}

}  // namespace

void DeliveryOracle::report(const char* property, std::uint64_t virtual_ns, std::string message) {
  // The first says what went wrong; what follows from it would only hide that.
  if (violations_.empty()) {
    violations_.push_back(
        {.property = property, .virtual_ns = virtual_ns, .message = std::move(message)});
  }
}

void DeliveryOracle::take(const sim::TraceEvent& event) {
  const std::uint64_t site = event.site.id();
  if (site == kSentToServer.id()) {
    send({event.id, true}, event);
  } else if (site == kSentToClient.id()) {
    send({event.id, false}, event);
  } else if (site == kReceivedByServer.id()) {
    receive({event.id, true}, event);
  } else if (site == kReceivedByClient.id()) {
    receive({event.id, false}, event);
  } else if (site == kDiskIssued.id()) {
    issued_ns_[event.id] = event.virtual_ns;
  } else if (site == kDiskEnded.id()) {
    ++disk_commands_;
    if (event.virtual_ns > issued_ns_[event.id] + longest_wait_ns_) {
      report(kInterrupt, event.virtual_ns,
             fmt::format("a command of the disks on line {} was issued at {} ns and ends only now",
                         event.id, issued_ns_[event.id]));
    }
  } else if (site == kDiskOverdue.id() && !disks_fail_) {
    report(kInterrupt, event.virtual_ns,
           fmt::format("a command of the disks on line {} was given up {}", event.id,
                       event.a != 0 ? "though it had ended" : "without an answer"));
  } else if (site == kChannelState.id() &&
             event.a != static_cast<std::uint64_t>(vmbus::ServerChannelState::kOpen)) {
    const bool opens = event.a == static_cast<std::uint64_t>(vmbus::ServerChannelState::kOpening);
    end_rings(event.id, opens);
  }
}

// What was in the rings when the channel closed is nobody's. The other end may still read it, until
// the channel opens again with other rings.
void DeliveryOracle::end_rings(std::uint64_t track, bool opens_again) {
  for (const Name& name : {Name{track, true}, Name{track, false}}) {
    if (opens_again) {
      rings_.erase(name);
    } else if (const auto ring = rings_.find(name); ring != rings_.end()) {
      ring->second.closed = true;
    }
  }
}

void DeliveryOracle::send(const Name& name, const sim::TraceEvent& event) {
  rings_[name].under_way.push_back({event.a, event.b, event.virtual_ns});
}

void DeliveryOracle::receive(const Name& name, const sim::TraceEvent& event) {
  Ring& ring = rings_[name];
  ++received_;
  ++ring.received;
  const std::string ring_name = name_of_ring(name.first, name.second);
  if (ring.under_way.empty()) {
    report(kDelivery, event.virtual_ns,
           fmt::format("{}: packet {} was received and not sent", ring_name, ring.received));
    return;
  }
  const Packet packet = ring.under_way.front();
  ring.under_way.pop_front();
  if (packet.digest != event.a || packet.size_bytes != event.b) {
    report(
        kDelivery, event.virtual_ns,
        fmt::format("{}: packet {} was sent with {} bytes and digest {:#x}, and received with "
                    "{} bytes and digest {:#x}",
                    ring_name, ring.received, packet.size_bytes, packet.digest, event.b, event.a));
  } else if (event.virtual_ns > packet.sent_ns + longest_wait_ns_) {
    report(kWakeUp, event.virtual_ns,
           fmt::format("{}: packet {} was sent at {} ns and read only now", ring_name,
                       ring.received, packet.sent_ns));
  }
}

void DeliveryOracle::conclude(sim::RunResult& result, bool may_be_cut_short) const {
  std::vector<sim::Violation> found = violations_;
  const bool out_of_time = result.outcome == sim::Outcome::kTimeLimit && !may_be_cut_short;
  for (const auto& [name, ring] : rings_) {
    if (out_of_time && found.empty() && !ring.closed && !ring.under_way.empty()) {
      found.push_back(
          {.property = kWakeUp,
           .virtual_ns = result.virtual_ns,
           .message = fmt::format("{}: {} packets wait, the first since {} ns",
                                  name_of_ring(name.first, name.second), ring.under_way.size(),
                                  ring.under_way.front().sent_ns)});
    }
  }
  if (received_ != 0) {
    result.always[kDelivery] += received_;
    result.always[kWakeUp] += received_;
  }
  if (disk_commands_ != 0) {
    result.always[kInterrupt] += disk_commands_;
  }
  for (sim::Violation& violation : found) {
    violation.event = result.events;
    result.violations.push_back(std::move(violation));
  }
  if (!found.empty() && result.outcome == sim::Outcome::kStopped) {
    result.outcome = sim::Outcome::kViolation;
  }
}

}  // namespace scenarios
