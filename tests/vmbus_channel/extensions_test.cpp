// Streams to services, and the features of version 6.0, on both ends.
#include <catch2/catch.hpp>

#include "tests/support/recording_client.h"
#include "tests/support/recording_server.h"
#include "tests/support/seam_record.h"

using namespace vmbus;
using vmbus_double::ClientFixture;
using vmbus_double::ServerFixture;

namespace {

constexpr const char* kRefused = "vmbus.server.message_refused";
constexpr const char* kClientRefused = "vmbus.client.message_refused";
constexpr Guid kEndpoint{.data1 = 10};
constexpr Guid kService{.data1 = 20};
constexpr Guid kSilo{.data1 = 30};

InitiateContact contact_of(Version version, std::uint32_t features = 0) {
  InitiateContact message;
  message.version = static_cast<std::uint32_t>(version);
  message.interrupt_page_or_target = kVmbusSint | std::uint64_t{features} << 32;
  return message;
}

void connect_with(ServerFixture& f, std::uint32_t features) {
  f.say(contact_of(Version::kCopper, features));
  (void)f.server.contact_complete(ContactState::kSuccessful);
}

TlConnectRequestWithSilo request() {
  TlConnectRequestWithSilo message;
  message.request.endpoint = kEndpoint;
  message.request.service = kService;
  message.silo = kSilo;
  return message;
}

void modify_connection(ServerFixture& f, std::uint64_t first, std::uint64_t second) {
  ModifyConnection message;
  message.parent_to_child_monitor_gpa = first;
  message.child_to_parent_monitor_gpa = second;
  f.say(message);
}

/// A client of 6.0 whose server knows `features`.
void connect_client(ClientFixture& f, std::uint32_t features) {
  (void)f.client.connect();
  VersionResponse response;
  response.version_supported = 1;
  response.version_or_connection_id = 4;
  f.say(VersionResponseWithFeatures{response, features});
  f.clear();
}

}  // namespace

// --- Versions ------------------------------------------------------------------------------------

TEST_CASE("6.0 is answered with the features that both ends know", "[vmbus][server]") {
  ServerFixture f;
  connect_with(f, 0xFFFFFFFF);
  REQUIRE(f.notifier.sent.size() == 1);
  CHECK(f.notifier.sent[0].bytes.size() == 20);
  const auto answer = f.notifier.sent[0].as<VersionResponseWithFeatures>();
  CHECK(answer.response.version_supported == 1);
  CHECK(answer.response.version_or_connection_id == kMessageConnectionVersion5);
  CHECK(answer.features == kKnownFeatures);
  CHECK(f.server.features() == kKnownFeatures);
}

TEST_CASE("a feature that was not asked for is not there", "[vmbus][server]") {
  ServerFixture f;
  connect_with(f, kFeatureClientId);
  CHECK(f.server.features() == kFeatureClientId);
}

TEST_CASE("before 6.0 there are no features", "[vmbus][server]") {
  ServerFixture f;
  f.say(contact_of(Version::kIron, kKnownFeatures));
  (void)f.server.contact_complete(ContactState::kSuccessful);
  CHECK(f.server.features() == 0);
  CHECK(f.notifier.sent[0].bytes.size() == 16);
}

TEST_CASE("a client's id is taken if the feature is there and the message holds it",
          "[vmbus][server]") {
  const bool wanted = GENERATE(false, true);
  const bool told = GENERATE(false, true);
  ServerFixture f;
  struct {
    InitiateContact contact;
    Guid id{.data1 = 7};
  } message{contact_of(Version::kCopper, wanted ? kFeatureClientId : 0), {.data1 = 7}};
  f.server.handle_message(bytes_of(message).first(told ? 56 : 40));
  CHECK(f.notifier.contacts.at(0).client_id.data1 == (wanted && told ? 7u : 0u));
}

TEST_CASE("one monitor page without the other is refused", "[vmbus][server]") {
  ServerFixture f;
  InitiateContact message = contact_of(Version::kIron);
  message.parent_to_child_monitor_gpa = 0x1000;
  f.say(message);
  CHECK(f.notifier.sent.at(0).as<VersionResponse>().version_supported == 0);
  CHECK(f.server.state() == ServerState::kDisconnected);
}

TEST_CASE("a client asks 6.0 for features, and says who it is", "[vmbus][client]") {
  ClientFixture f({.newest_version = Version::kCopper, .client_id = {.data1 = 7}});
  (void)f.client.connect();
  const auto& sent = f.notifier.sent.at(0);
  CHECK(sent.bytes.size() == 56);
  CHECK(sent.as<InitiateContact>().interrupt_page_or_target >> 32 == kKnownFeatures);
  CHECK(read_object<Guid>(sent.bytes, kClientIdOffset)->data1 == 7);
  f.clear();
  connect_client(f, 0xFFFFFFFF);
  CHECK(f.client.features() == kKnownFeatures);
}

TEST_CASE("a client whose server knows 5.3 at most has no features", "[vmbus][client]") {
  ClientFixture f({.newest_version = Version::kCopper});
  (void)f.client.connect();
  f.respond(false);
  CHECK(f.notifier.sent.at(1).bytes.size() == 40);
  f.respond(true);
  CHECK(f.client.version() == Version::kIron);
  CHECK(f.client.features() == 0);
  CHECK(f.client.pause() == ClientStatus::kNotSupported);
  CHECK(f.client.modify_connection(0, 0) == ClientStatus::kNotSupported);
}

// --- Monitor pages -------------------------------------------------------------------------------

TEST_CASE("monitor pages can be changed where both ends know how", "[vmbus][server]") {
  seam_record::clear();
  ServerFixture f;
  connect_with(f, kFeatureModifyConnection);
  f.notifier.sent.clear();
  modify_connection(f, 0x1000, 0x2000);
  REQUIRE(f.notifier.sent.size() == 1);
  CHECK(f.notifier.sent[0].bytes.size() == 9);
  CHECK(f.notifier.sent[0].bytes[8] == std::byte{0});
  CHECK(f.notifier.last_monitor_pages.child_to_parent_gpa == 0x2000);
  modify_connection(f, 0x1000, 0);
  CHECK(f.notifier.sent.back().bytes[8] == std::byte{2});
  f.notifier.accepts_monitor_pages = false;
  modify_connection(f, 0, 0);
  CHECK(f.notifier.sent.back().bytes[8] == std::byte{2});
  CHECK(seam_record::count_traces(kRefused) == 0);
}

TEST_CASE("a channel that is offered later is monitored by the pages that are there by then",
          "[vmbus][server][monitor]") {
  ServerFixture f;
  connect_with(f, kFeatureModifyConnection);
  f.say_bare(MessageType::kRequestOffers);
  const auto is_monitored = [&](std::uint8_t number) {
    Offer offer;
    offer.interface_instance.data1 = number;
    offer.monitored = true;
    (void)f.server.offer(offer).value();
    return f.notifier.sent.back().as<OfferChannel>().monitor_allocated == 1;
  };
  CHECK_FALSE(is_monitored(1));
  f.notifier.accepts_monitor_pages = false;
  modify_connection(f, 0x1000, 0x2000);
  CHECK_FALSE(is_monitored(2));
  f.notifier.accepts_monitor_pages = true;
  modify_connection(f, 0x1000, 0x2000);
  CHECK(is_monitored(3));
  modify_connection(f, 0, 0);
  CHECK_FALSE(is_monitored(4));
}

TEST_CASE("without the features their messages are dropped", "[vmbus][server]") {
  seam_record::clear();
  ServerFixture f;
  connect_with(f, 0);
  f.notifier.sent.clear();
  modify_connection(f, 0, 0);
  f.say_bare(MessageType::kPause);
  f.say_bare(MessageType::kResume);
  CHECK(f.notifier.sent.empty());
  CHECK(seam_record::count_traces(kRefused) == 3);
}

TEST_CASE("a channel is monitored if its device and the client's pages allow it",
          "[vmbus][server][monitor]") {
  ServerFixture f;
  Offer offer;
  offer.interface_instance.data1 = 1;
  offer.monitored = true;
  const OfferId first = f.server.offer(offer).value();
  (void)f.offer(2);
  offer.interface_instance.data1 = 3;
  (void)f.server.offer(offer);
  const bool has_pages = GENERATE(false, true);
  InitiateContact message = contact_of(Version::kIron);
  message.parent_to_child_monitor_gpa = has_pages ? 0x1000 : 0;
  message.child_to_parent_monitor_gpa = has_pages ? 0x2000 : 0;
  f.say(message);
  (void)f.server.contact_complete(ContactState::kSuccessful);
  f.notifier.sent.clear();
  f.say_bare(MessageType::kRequestOffers);
  const auto sent = [&](std::size_t index) { return f.notifier.sent[index].as<OfferChannel>(); };
  CHECK(sent(0).monitor_allocated == (has_pages ? 1 : 0));
  CHECK(sent(0).monitor_id == 0);
  CHECK(sent(1).monitor_allocated == 0);
  CHECK(sent(2).monitor_allocated == (has_pages ? 1 : 0));
  CHECK(sent(2).monitor_id == (has_pages ? 1 : 0));
  f.make_gpadl(first, 1);
  f.send_open(1, 1);
  CHECK(f.notifier.last_opening.monitor.has_value() == has_pages);
  // A trigger is free again when its channel's id is.
  f.say_bare(MessageType::kUnload);
}

TEST_CASE("triggers are given to 128 channels and no more", "[vmbus][server][monitor]") {
  constexpr std::size_t kChannels = kMonitorTriggers + 2;
  std::vector<ServerChannel> channels(kChannels);
  std::array<std::uint64_t, 8> words{};
  FixedGpadlStorage storage{words};
  std::array<Gpadl, 1> gpadls{};
  vmbus_double::RecordingServerNotifier notifier;
  Server server({}, channels, gpadls, storage, notifier);
  for (std::uint32_t number = 0; number < kChannels; ++number) {
    Offer offer;
    offer.interface_instance.data1 = number;
    offer.monitored = true;
    REQUIRE(server.offer(offer));
  }
  InitiateContact message = contact_of(Version::kIron);
  message.parent_to_child_monitor_gpa = 0x1000;
  message.child_to_parent_monitor_gpa = 0x2000;
  server.handle_message(bytes_of(message));
  (void)server.contact_complete(ContactState::kSuccessful);
  server.handle_message(bytes_of(EmptyMessage{{MessageType::kRequestOffers, 0}}));
  std::size_t monitored = 0;
  std::array<bool, kMonitorTriggers> seen{};
  for (std::size_t at = 1; at <= kChannels; ++at) {
    const auto offer = notifier.sent[at].as<OfferChannel>();
    monitored += offer.monitor_allocated;
    if (offer.monitor_allocated != 0) {
      CHECK_FALSE(seen.at(offer.monitor_id));
      seen[offer.monitor_id] = true;
    }
  }
  CHECK(monitored == kMonitorTriggers);
}

TEST_CASE("a client changes its monitor pages one wish at a time", "[vmbus][client]") {
  seam_record::clear();
  ClientFixture f({.newest_version = Version::kCopper});
  CHECK(f.client.modify_connection(1, 2) == ClientStatus::kWrongState);
  connect_client(f, kFeatureModifyConnection);
  CHECK(f.client.modify_connection(0x1000, 0x2000) == ClientStatus::kDone);
  CHECK(f.notifier.sent.at(0).as<ModifyConnection>().child_to_parent_monitor_gpa == 0x2000);
  CHECK(f.client.modify_connection(0, 0) == ClientStatus::kWrongState);
  ModifyConnectionResponse response;
  f.client.handle_message(bytes_of(response).first(8));  // Too short.
  f.client.handle_message(bytes_of(response).first(9));
  f.client.handle_message(bytes_of(response).first(9));  // Nobody waits.
  CHECK(f.notifier.lines == std::vector<std::string>{"connection modified ok"});
  CHECK(seam_record::count_traces(kClientRefused) == 2);
}

// --- Pauses --------------------------------------------------------------------------------------

TEST_CASE("a pause is answered, then messages are held until the client goes on",
          "[vmbus][server]") {
  seam_record::clear();
  ServerFixture f;
  connect_with(f, kFeaturePauseResume);
  f.notifier.lines.clear();
  f.say_bare(MessageType::kPause);
  CHECK(f.notifier.sent.back().type() == MessageType::kPauseResponse);
  CHECK(f.notifier.lines == std::vector<std::string>{"hold"});
  f.say_bare(MessageType::kPause);
  CHECK(seam_record::count_traces(kRefused) == 1);
  SECTION("it says so") {
    f.say_bare(MessageType::kResume);
    f.say_bare(MessageType::kResume);
    CHECK(seam_record::count_traces(kRefused) == 2);
  }
  SECTION("it leaves") {
    f.say_bare(MessageType::kUnload);
    CHECK(f.notifier.sent.back().type() == MessageType::kUnloadResponse);
  }
  SECTION("another kernel makes contact") { f.initiate_contact(0x00050003); }
  SECTION("it is reset") { f.server.reset(); }
  CHECK(std::ranges::count(f.notifier.lines, "go on") == 1);
}

TEST_CASE("a client pauses and goes on", "[vmbus][client]") {
  seam_record::clear();
  ClientFixture f({.newest_version = Version::kCopper});
  CHECK(f.client.pause() == ClientStatus::kWrongState);
  connect_client(f, kFeaturePauseResume);
  f.say_bare(MessageType::kPauseResponse);  // Nobody asked.
  CHECK(f.client.pause() == ClientStatus::kDone);
  CHECK(f.client.pause() == ClientStatus::kWrongState);
  CHECK(f.client.resume() == ClientStatus::kWrongState);
  f.say_bare(MessageType::kPauseResponse);
  CHECK(f.notifier.lines == std::vector<std::string>{"paused"});
  CHECK(f.client.resume() == ClientStatus::kDone);
  CHECK(f.notifier.sent.at(1).type() == MessageType::kResume);
  CHECK(seam_record::count_traces(kClientRefused) == 1);
}

// --- Streams -------------------------------------------------------------------------------------

TEST_CASE("a wish for a stream reaches the owner, who refuses or offers", "[vmbus][server]") {
  ServerFixture f;
  f.connect();
  f.say(request());
  REQUIRE(f.notifier.streams.size() == 1);
  CHECK(f.notifier.streams[0].endpoint == kEndpoint);
  CHECK(f.notifier.streams[0].service == kService);
  CHECK(f.notifier.streams[0].silo == kSilo);
  CHECK(f.server.refuse_tl_connect(kEndpoint, kService, kStatusConnectionRefused));
  const auto result = f.notifier.sent.back().as<TlConnectResult>();
  CHECK(result.endpoint == kEndpoint);
  CHECK(result.service == kService);
  CHECK(result.status == kStatusConnectionRefused);
  Offer offer;
  offer.interface_type = kService;
  offer.interface_instance = kEndpoint;
  offer.flags = kOfferTlnpiProvider;
  CHECK(f.server.offer(offer));
  CHECK(f.notifier.sent.back().as<OfferChannel>().interface_instance == kEndpoint);
}

TEST_CASE("a silo is heard from 5.2 on, a refusal told from 4.1 on, a stream known from 4.0 on",
          "[vmbus][server]") {
  for (const Version version : kVersionsNewestFirst) {
    CAPTURE(static_cast<std::uint32_t>(version));
    ServerFixture f;
    f.connect(version);
    f.say(request());
    REQUIRE(f.notifier.streams.size() == (version >= Version::kWin10 ? 1 : 0));
    if (!f.notifier.streams.empty()) {
      CHECK((f.notifier.streams[0].silo == kSilo) == (version >= Version::kWin10Rs5));
    }
    CHECK(f.server.refuse_tl_connect(kEndpoint, kService, kStatusConnectionRefused) ==
          (version >= Version::kWin10Rs3));
  }
}

TEST_CASE("a wish for a stream that is cut short is refused", "[vmbus][server]") {
  seam_record::clear();
  ServerFixture f;
  f.connect();
  const auto message = request();
  f.server.handle_message(bytes_of(message).first(39));
  CHECK(seam_record::count_traces(kRefused) == 1);
  f.server.handle_message(bytes_of(message).first(40));
  CHECK(f.notifier.streams.at(0).silo == Guid());
  f.say_bare(MessageType::kUnload);
  CHECK_FALSE(f.server.refuse_tl_connect(kEndpoint, kService, kStatusConnectionRefused));
}

TEST_CASE("a client asks for a stream and hears a refusal", "[vmbus][client]") {
  ClientFixture f;
  CHECK(f.client.connect_service(kEndpoint, kService, kSilo) == ClientStatus::kWrongState);
  f.connect();
  CHECK(f.client.connect_service(kEndpoint, kService, kSilo) == ClientStatus::kDone);
  CHECK(f.notifier.sent.at(0).bytes.size() == 56);
  CHECK(f.client.connect_service(kEndpoint, kService, Guid()) == ClientStatus::kDone);
  CHECK(f.notifier.sent.at(1).bytes.size() == 40);
  TlConnectResult result;
  result.endpoint = kEndpoint;
  result.service = kService;
  f.say(result);
  CHECK(f.notifier.lines == std::vector<std::string>{"service 20 refused to 10"});
}

TEST_CASE("before 4.0 a client has no streams, before 4.1 it hears no refusal", "[vmbus][client]") {
  seam_record::clear();
  ClientFixture old({.newest_version = Version::kWin8_1});
  old.connect();
  CHECK(old.client.connect_service(kEndpoint, kService, Guid()) == ClientStatus::kNotSupported);
  ClientFixture f({.newest_version = Version::kWin10});
  f.connect();
  CHECK(f.client.connect_service(kEndpoint, kService, kSilo) == ClientStatus::kDone);
  CHECK(f.notifier.sent.at(0).bytes.size() == 40);
  f.say(TlConnectResult{});
  CHECK(seam_record::count_traces(kClientRefused) == 1);
}

TEST_CASE("from 5.3 on a retarget of a channel that is not there is answered with a failure",
          "[vmbus][server]") {
  ServerFixture f;
  f.connect();
  ModifyChannel message;
  message.channel_id = 9;
  f.say(message);
  CHECK(f.notifier.sent.at(0).as<ModifyChannelResponse>().status == kStatusUnsuccessful);
}

TEST_CASE("what a pause held back is forgotten when its connection ends", "[vmbus][server]") {
  ServerFixture f;
  connect_with(f, kFeaturePauseResume);
  f.say_bare(MessageType::kRequestOffers);
  f.say_bare(MessageType::kPause);
  (void)f.offer();
  const std::size_t sent = f.notifier.sent.size();
  // Messages flow again only when those are gone.
  f.notifier.answer = [&](const std::string& line) {
    if (line == "go on") {
      CHECK(f.notifier.forgotten == sent);
    }
  };
  f.say_bare(MessageType::kUnload);
  CHECK(f.notifier.lines.back() == "disconnected");
}
