// VMBus: the bus between the root partition and a child.
//
// This folder owns the wire protocol (protocol/), the ring (ring.h), GPADLs (gpadl.h), the state
// machines of both ends (server/, client/) and of the storage protocol (storage/). The partitions'
// kernels call it: they bring it messages and carry out what it tells its notifier. It does no I/O,
// allocates nothing and knows nothing of hypercalls, interrupts, tasks or devices; guest memory it
// reaches only through the memory policy of a ring. What the other end says is read once, checked,
// and only then used.
#pragma once

#include <compare>
#include <cstdint>

namespace vmbus {

/// A number that belongs to one kind of thing.
template <class Tag>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(std::uint32_t value) : value_(value) {}
  [[nodiscard]] constexpr std::uint32_t value() const { return value_; }
  friend constexpr auto operator<=>(Id, Id) = default;

 private:
  std::uint32_t value_ = 0;
};

struct ChannelTag;
struct GpadlTag;

/// What the messages call child_relid: 1..2047, also the number of the event flag.
using ChannelId = Id<ChannelTag>;
/// Chosen by the child; unique on its connection.
using GpadlId = Id<GpadlTag>;

inline constexpr std::uint32_t kMaxChannelId = 2047;

/// Where the bus lives in the SynIC.
inline constexpr std::uint32_t kVmbusSint = 2;
/// SINTs are below it; 0 is no one's to choose.
inline constexpr std::uint32_t kSints = 16;
inline constexpr std::uint32_t kVmbusMessageType = 1;
/// Connections to which a child posts: before version 5.0, and INITIATE_CONTACT from 5.0 on.
inline constexpr std::uint32_t kMessageConnection = 1;
inline constexpr std::uint32_t kMessageConnectionVersion5 = 4;

/// The connection that a child signals for a channel; the root makes the port for it.
[[nodiscard]] constexpr std::uint32_t signal_connection(ChannelId channel) {
  return channel.value() | (kVmbusSint << 12);
}

/// The track of a channel in traces, the same for both ends: children count their channels each
/// for themselves. `partition` is what both ends call the client's partition.
[[nodiscard]] constexpr std::uint64_t channel_track(std::uint64_t partition, ChannelId channel) {
  return partition << 16 | channel.value();
}

/// A target processor that means "no interrupts for this channel".
inline constexpr std::uint32_t kNoTargetVp = 0xFFFFFFFF;

}  // namespace vmbus
