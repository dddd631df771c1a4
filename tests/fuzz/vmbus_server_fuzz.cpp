// What a child may post to the VMBus service, and when: any messages, between any answers of the
// devices and any wish of the host.
#include <array>
#include <cstdlib>

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

/// Well-formed as to type and size; what it says is the input's.
void say_something(FuzzInput& input, Server& server) {
  std::array<std::byte, kMaxMessageSize + 8> message;
  const std::size_t size = input.take<std::uint8_t>() % message.size();
  const std::span<std::byte> used = std::span(message).first(size);
  input.fill(used);
  if (size >= 4) {
    const std::uint32_t type = std::to_integer<std::uint32_t>(used[0]) % 32;
    copy_bytes(used, bytes_of(type));
  }
  server.handle_message(used);
}

/// With ids that are likely to exist.
void say_what_is_likely(FuzzInput& input, vmbus_double::ServerFixture& fixture) {
  const std::uint32_t channel = input.below(kIds);
  const std::uint32_t gpadl = input.below(kIds);
  switch (input.below(6)) {
    case 0:
      fixture.initiate_contact(input.take<std::uint32_t>() & 0x7'0007, input.below(4));
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
  switch (input.below(8)) {
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
  seam_record::clear();
  FuzzInput input(data, size);
  vmbus_double::ServerFixture fixture;
  const std::array ids{fixture.offer(1), fixture.offer(2), fixture.offer(3)};
  if (input.below(2) == 0) {
    fixture.connect();
  }
  while (!input.empty()) {
    switch (input.below(3)) {
      case 0:
        say_something(input, fixture.server);
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
