// What a host may send to a child's VMBus driver, between anything that the driver's owner does.
#include <cstdlib>

#include "tests/fuzz/any_message.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/recording_client.h"
#include "tests/support/seam_record.h"

namespace {

using namespace vmbus;
using fuzz::FuzzInput;

constexpr std::uint32_t kChannels = 6;
constexpr std::uint32_t kFirstGpadl = 0xE1E10;

/// The answers of later versions.
void hear_what_is_newer(FuzzInput& input, vmbus_double::ClientFixture& fixture) {
  const std::uint32_t channel = input.below(kChannels);
  switch (input.below(5)) {
    case 0: {
      ModifyChannelResponse message;
      message.channel_id = channel;
      message.status = input.below(2);
      fixture.say(message);
      break;
    }
    case 1: {
      TlConnectResult message;
      message.status = input.below(2);
      fixture.say(message);
      break;
    }
    case 2: {
      ModifyConnectionResponse message;
      message.connection_state = ContactState{static_cast<std::uint8_t>(input.below(3))};
      fixture.client.handle_message(bytes_of(message).first(
          input.below(2) == 0 ? kModifyConnectionResponseSize : sizeof(message)));
      break;
    }
    case 3:
      fixture.say_channel(MessageType::kCloseReservedResponse, channel);
      break;
    default:
      fixture.say_bare(MessageType::kPauseResponse);
  }
}

/// With the features of 6.0, which a plain answer does not have.
void hear_of_newest_version(FuzzInput& input, vmbus_double::ClientFixture& fixture) {
  VersionResponseWithFeatures message;
  message.response.version_supported = 1;
  message.response.version_or_connection_id = 4;
  message.features = input.below(4) == 0 ? input.take<std::uint32_t>() : kKnownFeatures;
  fixture.say(message);
}

void hear_what_is_likely(FuzzInput& input, vmbus_double::ClientFixture& fixture) {
  const std::uint32_t channel = input.below(kChannels);
  const GpadlId gpadl(kFirstGpadl + input.below(kChannels));
  const std::uint32_t status = input.below(2);
  switch (input.below(9)) {
    case 7:
      hear_what_is_newer(input, fixture);
      break;
    case 8:
      hear_of_newest_version(input, fixture);
      break;
    case 0:
      fixture.respond(status == 0, input.take<std::uint32_t>());
      break;
    case 1:
      fixture.offer(channel);
      break;
    case 2:
      fixture.rescind(channel);
      break;
    case 3:
      fixture.answer_gpadl(channel, gpadl, status);
      break;
    case 4:
      fixture.answer_open(channel, status);
      break;
    case 5:
      fixture.torndown(gpadl);
      break;
    default:
      fixture.say_bare(input.below(2) == 0 ? MessageType::kAllOffersDelivered
                                           : MessageType::kUnloadResponse);
  }
}

void ask_for_what_is_newer(FuzzInput& input, vmbus_double::ClientFixture& fixture) {
  const ChannelId channel(input.below(kChannels));
  const std::uint32_t sint = input.below(20);
  switch (input.below(7)) {
    case 0:
      (void)fixture.client.unload();
      break;
    case 1: {
      const GpadlId ring(kFirstGpadl + input.below(kChannels));
      (void)fixture.client.open_reserved(channel, {.ring_gpadl = ring}, sint);
      break;
    }
    case 2:
      (void)fixture.client.close_reserved(channel, input.below(4), sint);
      break;
    case 3: {
      const auto endpoint = input.take<Guid>();
      (void)fixture.client.connect_service(endpoint, input.take<Guid>(), input.take<Guid>());
      break;
    }
    case 4: {
      const std::uint64_t to_child = std::uint64_t{input.below(4)} << 12;
      (void)fixture.client.modify_connection(to_child, std::uint64_t{input.below(4)} << 12);
      break;
    }
    case 5:
      (void)fixture.client.pause();
      break;
    default:
      (void)fixture.client.resume();
  }
}

void act_as_owner(FuzzInput& input, vmbus_double::ClientFixture& fixture) {
  const ChannelId channel(input.below(kChannels));
  GpadlId gpadl(kFirstGpadl + input.below(kChannels));
  switch (input.below(10)) {
    case 9:
      ask_for_what_is_newer(input, fixture);
      break;
    case 0:
      (void)fixture.client.connect();
      break;
    case 1:
      (void)fixture.client.request_offers();
      break;
    case 2:
      (void)fixture.client.create_gpadl(channel, fixture.pages, gpadl);
      break;
    case 3:
      (void)fixture.client.open(channel, {.ring_gpadl = gpadl});
      break;
    case 4:
      (void)fixture.client.close(channel);
      break;
    case 5:
      (void)fixture.client.teardown_gpadl(gpadl);
      break;
    case 6:
      (void)fixture.client.modify(channel, input.below(4));
      break;
    case 7:
      (void)fixture.client.release_channel(channel);
      break;
    default:
      (void)fixture.client.contact_post_failed();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  seam_record::forget_what_happened();
  FuzzInput input(data, size);
  ClientConfiguration configuration;
  configuration.newest_version =
      kVersionsNewestFirst[input.below(static_cast<std::uint32_t>(kVersionsNewestFirst.size()))];
  vmbus_double::ClientFixture fixture(configuration);
  if (input.below(2) == 0) {
    fixture.connect();
  }
  while (!input.empty()) {
    switch (input.below(3)) {
      case 0:
        fuzz::handle_any_message(input, fixture.client);
        break;
      case 1:
        hear_what_is_likely(input, fixture);
        break;
      default:
        act_as_owner(input, fixture);
    }
    for (const auto& sent : fixture.notifier.sent) {
      if (sent.bytes.size() > kMaxMessageSize) {
        std::abort();
      }
    }
    fixture.clear();
    fixture.notifier.offers.clear();
  }
  return 0;
}
