// What a child may post to the VMBus service, and when: any messages, between any answers of the
// devices and any wish of the host.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "tests/fuzz/any_message.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/recording_server.h"
#include "tests/support/seam_record.h"

namespace {

using namespace vmbus;
using fuzz::FuzzInput;

constexpr std::uint32_t kIds = 8;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// What later versions brought.
void say_what_is_newer(FuzzInput& input, vmbus_double::ServerFixture& fixture) {
  const std::uint32_t channel = input.below(kIds);
  switch (input.below(6)) {
    case 0: {
      OpenReservedChannel message;
      message.channel_id = channel;
      message.target_vp = input.below(4);
      message.target_sint = input.below(20);
      message.ring_gpadl_id = input.below(kIds);
      message.downstream_page_offset = input.below(kIds);
      fixture.say(message);
      break;
    }
    case 1: {
      CloseReservedChannel message;
      message.channel_id = channel;
      message.target_vp = input.below(4);
      message.target_sint = input.below(20);
      fixture.say(message);
      break;
    }
    case 2: {
      TlConnectRequestWithSilo message;
      input.fill(std::as_writable_bytes(std::span(&message.request.endpoint, 1)));
      const auto bytes = bytes_of(message);
      fixture.server.handle_message(
          bytes.first(input.below(2) == 0 ? bytes.size()
                                          : input.below(static_cast<std::uint32_t>(bytes.size()))));
      break;
    }
    case 3: {
      ModifyChannel message;
      message.channel_id = channel;
      message.target_vp = input.below(4);
      fixture.say(message);
      break;
    }
    case 4: {
      ModifyConnection message;
      message.parent_to_child_monitor_gpa = std::uint64_t{input.below(4)} << 12;
      message.child_to_parent_monitor_gpa = std::uint64_t{input.below(4)} << 12;
      fixture.notifier.accepts_monitor_pages = input.below(4) != 0;
      fixture.say(message);
      break;
    }
    default:
      fixture.say_bare(input.below(2) == 0 ? MessageType::kPause : MessageType::kResume);
  }
}

/// The ranges that a header promised, or others.
void go_on_with_gpadl(FuzzInput& input, Server& server) {
  GpadlBody body;
  body.message_number = input.below(4);
  body.gpadl_id = input.below(kIds);
  const std::vector<std::uint64_t> words(input.below(30), input.take<std::uint16_t>());
  const auto bytes = gpadl_wire::message(body, std::span(words));
  server.handle_message(bytes);
}

/// A header whose range goes on in bodies.
void begin_gpadl(FuzzInput& input, Server& server) {
  constexpr std::size_t kWordsInHeader = 26;
  const auto words = gpadl_wire::whole_pages(1 + input.below(80));
  auto header = gpadl_wire::header(input.below(kIds), input.below(kIds), words.size());
  if (input.below(8) == 0) {
    header.range_bytes = input.take<std::uint16_t>();
    header.range_count = static_cast<std::uint16_t>(input.below(4));
  }
  const auto first = std::span(words).first(std::min(words.size(), kWordsInHeader));
  const auto bytes = gpadl_wire::message(header, first);
  server.handle_message(bytes);
}

Version any_version(FuzzInput& input) {
  return kVersionsNewestFirst[input.below(kVersionsNewestFirst.size())];
}

/// Of any version, with the features that both ends know if it has them.
void connect(FuzzInput& input, vmbus_double::ServerFixture& fixture) {
  InitiateContact message;
  message.version = static_cast<std::uint32_t>(any_version(input));
  message.target_vp = input.below(4);
  message.interrupt_page_or_target = std::uint64_t{kKnownFeatures} << 32 | kVmbusSint;
  std::array<std::byte, sizeof(InitiateContact) + sizeof(Guid)> bytes{};
  copy_bytes(bytes, bytes_of(message));
  fixture.server.handle_message(bytes);
  (void)fixture.server.contact_complete(ContactState::kSuccessful);
  fixture.say_bare(MessageType::kRequestOffers);
}

/// With ids that are likely to exist.
void say_what_is_likely(FuzzInput& input, vmbus_double::ServerFixture& fixture) {
  const std::uint32_t channel = input.below(kIds);
  const std::uint32_t gpadl = input.below(kIds);
  switch (input.below(10)) {
    case 0:
      if (input.below(4) == 0) {
        fixture.initiate_contact(input.take<std::uint32_t>() & 0x7'0007, input.below(4));
      } else {
        connect(input, fixture);
      }
      break;
    case 6:
      fixture.say_bare(MessageType::kUnload);
      break;
    case 7:
      say_what_is_newer(input, fixture);
      break;
    case 8:
      begin_gpadl(input, fixture.server);
      break;
    case 9:
      go_on_with_gpadl(input, fixture.server);
      break;
    case 1:
      fixture.say_bare(MessageType::kRequestOffers);
      break;
    case 2:
      fixture.send_gpadl(channel, gpadl, 1 + input.below(300));
      break;
    case 3:
      fixture.send_open(channel, gpadl, input.below(kIds));
      break;
    case 4:
      fixture.teardown(channel, gpadl);
      break;
    default:
      fixture.say_channel(
          input.below(2) == 0 ? MessageType::kCloseChannel : MessageType::kRelidReleased, channel);
  }
}

void act_as_host(FuzzInput& input, Server& server, std::span<const OfferId> ids) {
  const OfferId id = ids[input.below(static_cast<std::uint32_t>(ids.size()))];
  const bool success = input.below(2) == 0;
  switch (input.below(9)) {
    case 8:
      (void)server.refuse_tl_connect(input.take<Guid>(), input.take<Guid>(),
                                     kStatusConnectionRefused);
      break;
    case 0:
      (void)server.contact_complete(success ? ContactState::kSuccessful
                                            : ContactState::kLowResources);
      break;
    case 1:
      (void)server.open_complete(id, success);
      break;
    case 2:
      (void)server.close_complete(id);
      break;
    case 3:
      (void)server.retarget_complete(id, success);
      break;
    case 4:
      (void)server.gpadl_complete(id, GpadlId(input.below(kIds)), success);
      break;
    case 5:
      (void)server.gpadl_release_complete(id, GpadlId(input.below(kIds)));
      break;
    case 6:
      (void)server.revoke(id);
      break;
    default:
      server.reset();
  }
}

/// Once every device has let go, a reset leaves nothing behind.
void end(vmbus_double::ServerFixture& fixture, std::span<const OfferId> ids) {
  for (int round = 0; round < 4; ++round) {
    (void)fixture.server.contact_complete(ContactState::kSuccessful);
    fixture.server.reset();
    for (const OfferId id : ids) {
      (void)fixture.server.open_complete(id, false);
      (void)fixture.server.retarget_complete(id, false);
      (void)fixture.server.close_complete(id);
      for (const Gpadl& gpadl : fixture.gpadls) {
        (void)fixture.server.gpadl_complete(id, gpadl.id, false);
        (void)fixture.server.gpadl_release_complete(id, gpadl.id);
      }
    }
  }
  require(fixture.server.state() == ServerState::kDisconnected);
  require(fixture.server.gpadl_count() == 0);
  require(fixture.storage.used_words() == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  seam_record::forget_what_happened();
  FuzzInput input(data, size);
  vmbus_double::ServerFixture fixture;
  const std::array ids{fixture.offer(1), fixture.offer(2), fixture.offer(3)};
  if (input.below(2) == 0) {
    connect(input, fixture);
  }
  while (!input.empty()) {
    switch (input.below(3)) {
      case 0:
        fuzz::handle_any_message(input, fixture.server);
        break;
      case 1:
        say_what_is_likely(input, fixture);
        break;
      default:
        act_as_host(input, fixture.server, ids);
    }
    for (const auto& sent : fixture.notifier.sent) {
      require(sent.bytes.size() <= kMaxMessageSize);
    }
    fixture.notifier.sent.clear();
    fixture.notifier.lines.clear();
  }
  end(fixture, ids);
  return 0;
}
