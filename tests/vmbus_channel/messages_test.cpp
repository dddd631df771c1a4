// The wire, byte by byte, where a struct could silently be wrong.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <set>

#include "vmbus/protocol/bytes.h"
#include "vmbus/protocol/guid.h"
#include "vmbus/protocol/messages.h"
#include "vmbus/protocol/monitor_page.h"
#include "vmbus/protocol/version.h"
#include "vmbus/stream/stream_protocol.h"
#include "vmbus/vmbus.h"

using namespace vmbus;

TEST_CASE("a GUID lies on the wire with its first three fields little endian",
          "[vmbus][protocol]") {
  const auto bytes = bytes_of(kScsiInterface);
  const std::uint8_t expected[] = {0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29, 0x4d,
                                   0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f};
  for (std::size_t index = 0; index < 16; ++index) {
    CHECK(static_cast<std::uint8_t>(bytes[index]) == expected[index]);
  }
}

TEST_CASE("messages have the sizes that guests check", "[vmbus][protocol]") {
  // Linux drops what is shorter.
  CHECK(sizeof(OfferChannel) == 196);
  CHECK(sizeof(OpenChannel) == 148);
  CHECK(sizeof(OpenChannelResult) == 20);
  CHECK(sizeof(GpadlCreated) == 20);
  CHECK(sizeof(GpadlTorndown) == 12);
  CHECK(sizeof(InitiateContact) == 40);
  CHECK(sizeof(VersionResponse) == 16);
  CHECK(sizeof(ModifyChannelResponse) == 16);
  CHECK(sizeof(TlConnectResult) == 44);
}

TEST_CASE("an object is read only from bytes that hold all of it", "[vmbus][protocol]") {
  const ChannelMessage message{{MessageType::kCloseChannel, 0}, 77};
  const auto bytes = bytes_of(message);
  REQUIRE(read_object<ChannelMessage>(bytes));
  CHECK(read_object<ChannelMessage>(bytes)->channel_id == 77);
  CHECK(read_object<std::uint32_t>(bytes, 8) == 77u);
  CHECK_FALSE(read_object<std::uint32_t>(bytes, 9));
  CHECK_FALSE(read_object<std::uint32_t>(bytes, 13));
  CHECK_FALSE(read_object<std::uint32_t>(bytes, ~std::size_t{0}));
  CHECK_FALSE(read_object<ChannelMessage>(bytes.first(11)));
}

TEST_CASE("versions are tried newest first and bring what they brought", "[vmbus][protocol]") {
  for (std::size_t index = 1; index < kVersionsNewestFirst.size(); ++index) {
    CHECK(kVersionsNewestFirst[index - 1] > kVersionsNewestFirst[index]);
  }
  CHECK(known_version(0x00050003) == Version::kIron);
  CHECK(known_version(0x00020004) == Version::kWin8);
  CHECK(known_version(0x00060000) == Version::kCopper);
  CHECK_FALSE(known_version(0x0000000D));
  CHECK_FALSE(known_version(0x00010001));
  CHECK(has_message_connection(Version::kWin10V5));
  CHECK_FALSE(has_message_connection(Version::kWin10Rs3));
  CHECK(has_modify_channel(Version::kWin10Rs3));
  CHECK_FALSE(has_modify_channel(Version::kWin10));
  CHECK(has_modify_response(Version::kIron));
  CHECK_FALSE(has_modify_response(Version::kWin10Rs5));
  CHECK_FALSE(has_unload(Version::kWin8));
}

TEST_CASE("the connection of a channel names its id and the SINT", "[vmbus][protocol]") {
  CHECK(signal_connection(ChannelId(1)) == 0x2001);
  CHECK(signal_connection(ChannelId(2047)) == 0x27FF);
}

TEST_CASE("a trigger has a bit, a latency and parameters of its own in the monitor page",
          "[vmbus][protocol][monitor]") {
  const MonitorTrigger first(0);
  CHECK(first.bit() == 1u);
  CHECK(first.pending_offset() == 0x8u);
  CHECK(first.latency_offset() == 0x240u);
  CHECK(first.parameter_offset() == 0x440u);
  const MonitorTrigger last(127);
  CHECK(last.bit() == 0x8000'0000u);
  CHECK(last.pending_offset() == 0x20u);
  CHECK(last.latency_offset() == 0x340u - sizeof(std::uint16_t));
  CHECK(last.parameter_offset() == 0x840u - sizeof(MonitorParameter));
  std::set<std::uint64_t> places;
  for (std::uint32_t id = 0; id < kMonitorGroups * kMonitorTriggersPerGroup; ++id) {
    const MonitorTrigger trigger(static_cast<std::uint8_t>(id));
    CHECK(places.insert(trigger.pending_offset() << 32 | trigger.bit()).second);
  }
  // What a peer may say is out of range does not leave the page.
  CHECK(MonitorTrigger(255).latency_offset() < 0x340u);
}

TEST_CASE("a port is a service's GUID, and no other GUID is one", "[vmbus][protocol][stream]") {
  CHECK(guid_of_port(7) == guid("00000007-facb-11e6-bd58-64006a7986d3"));
  CHECK(guid_of_port(0xFFFFFFFF).data1 == 0xFFFFFFFF);
  CHECK(is_port(guid_of_port(0)));
  CHECK_FALSE(is_port(kScsiInterface));
  CHECK_FALSE(is_port(Guid()));
  CHECK_FALSE(is_port(guid("00000007-facb-11e6-bd58-64006a7986d4")));
}

TEST_CASE("a stream that calls a partition says so behind the type of its pipe",
          "[vmbus][protocol][stream]") {
  std::array<std::uint8_t, kUserDataSize> user_data{};
  CHECK_FALSE(is_call(user_data));
  mark_as_call(user_data);
  CHECK(is_call(user_data));
  // A pipe of bytes, to be accepted, for no container, with version 1 as 32 bits that lie
  // unaligned.
  const std::array<std::uint8_t, 12> expected = {0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0};
  CHECK(std::equal(expected.begin(), expected.end(), user_data.begin()));
}
