// The client in every state.
#include "tests/support/recording_client.h"
#include "tests/support/seam_record.h"
#include "tests/vmbus_states/table.h"

namespace vmbus_states {

namespace {

using vmbus::ClientChannelState;
using vmbus::ClientGpadlState;
using vmbus::ClientState;
using vmbus::ClientStatus;
using vmbus::MessageType;
using vmbus_double::ClientFixture;

std::string_view name_of(ClientState state) {
  switch (state) {
    case ClientState::kDisconnected:
      return "Disconnected";
    case ClientState::kConnecting:
      return "Connecting";
    case ClientState::kConnected:
      return "Connected";
    case ClientState::kUnloading:
      return "Unloading";
  }
  return "";
}

std::string_view name_of(ClientChannelState state) {
  switch (state) {
    case ClientChannelState::kFree:
      return "unknown";
    case ClientChannelState::kOffered:
      return "Offered";
    case ClientChannelState::kOpening:
      return "Opening";
    case ClientChannelState::kOpen:
      return "Open";
    case ClientChannelState::kRescinded:
      return "Rescinded";
  }
  return "";
}

std::string_view name_of(ClientGpadlState state) {
  switch (state) {
    case ClientGpadlState::kFree:
      return "none";
    case ClientGpadlState::kCreating:
      return "Creating";
    case ClientGpadlState::kCreated:
      return "Created";
    case ClientGpadlState::kTearingDown:
      return "TearingDown";
  }
  return "";
}

/// A client with one channel (1) and one GPADL.
struct Bus {
  explicit Bus(vmbus::Version the_version)
      : version(the_version), f(vmbus::ClientConfiguration{.newest_version = the_version}) {}

  vmbus::Version version;
  ClientFixture f;
  vmbus::GpadlId gpadl{0xE1E10};

  void connect() {
    (void)f.client.connect();
    vmbus::VersionResponse response;
    response.version_supported = 1;
    response.version_or_connection_id = 4;
    if (vmbus::has_feature_flags(version)) {
      f.say(vmbus::VersionResponseWithFeatures{response, vmbus::kKnownFeatures});
    } else {
      f.say(response);
    }
  }
  void take_offers() {
    connect();
    (void)f.client.request_offers();
    f.offer(1);
    f.say_bare(MessageType::kAllOffersDelivered);
  }
  void begin_lend() {
    take_offers();
    (void)f.client.create_gpadl(vmbus::ChannelId(1), f.pages, gpadl);
  }
  void lend() {
    begin_lend();
    f.answer_gpadl(1, gpadl);
  }
  void begin_open() {
    lend();
    (void)f.client.open(vmbus::ChannelId(1), {.ring_gpadl = gpadl, .downstream_page_offset = 4});
  }
  void open() {
    begin_open();
    f.answer_open(1);
  }
  void begin_open_reserved() {
    lend();
    (void)f.client.open_reserved(vmbus::ChannelId(1), {.ring_gpadl = gpadl}, 5);
  }
  void open_reserved() {
    begin_open_reserved();
    vmbus::OpenChannelResult result;
    result.channel_id = 1;
    f.say(result);
  }
};

struct View {
  std::string connection;
  std::string channel;
  std::string gpadl;
};

View look(const Bus& bus) {
  View view;
  view.connection = name_of(bus.f.client.state());
  view.channel = name_of(bus.f.client.channel_state(vmbus::ChannelId(1)));
  view.gpadl = name_of(ClientGpadlState::kFree);
  for (const vmbus::ClientGpadl& gpadl : bus.f.gpadls) {
    if (gpadl.state != ClientGpadlState::kFree) {
      view.gpadl = name_of(gpadl.state);
    }
  }
  return view;
}

template <class Do>
Effect effect_of(Bus& bus, Do act) {
  const View before = look(bus);
  bus.f.clear();
  seam_record::record().traces.clear();
  act();
  Effect effect;
  for (const std::string& line : bus.f.notifier.lines) {
    effect.answers.push_back(line);
  }
  for (const auto& sent : bus.f.notifier.sent) {
    effect.answers.emplace_back(vmbus_states::name_of(sent.type()));
  }
  effect.refused = seam_record::count_traces("vmbus.client.message_refused") != 0;
  effect.ignored = seam_record::count_traces("vmbus.client.message_ignored") != 0;
  const View after = look(bus);
  append_change(effect.next, "", before.connection, after.connection);
  append_change(effect.next, "channel ", before.channel, after.channel);
  append_change(effect.next, "GPADL ", before.gpadl, after.gpadl);
  return effect;
}

void say(Bus& bus, MessageType type) {
  switch (type) {
    case MessageType::kVersionResponse:
      return bus.f.respond(true);
    case MessageType::kOfferChannel:
      return bus.f.offer(1);
    case MessageType::kOpenChannelResult:
      return bus.f.answer_open(1);
    case MessageType::kGpadlCreated:
      return bus.f.answer_gpadl(1, bus.gpadl);
    case MessageType::kGpadlTorndown:
      return bus.f.torndown(bus.gpadl);
    case MessageType::kModifyChannelResponse: {
      vmbus::ModifyChannelResponse message;
      message.channel_id = 1;
      return bus.f.say(message);
    }
    case MessageType::kTlConnectResult:
      return bus.f.say(vmbus::TlConnectResult{});
    case MessageType::kModifyConnectionResponse:
      return bus.f.say(vmbus::ModifyConnectionResponse{});
    default:
      return bus.f.say_channel(type, 1);
  }
}

const std::vector<Case<Bus>>& connection_states() {
  static const std::vector<Case<Bus>> kStates = {
      {"Disconnected", [](Bus&) {}},
      {"Connecting", [](Bus& bus) { (void)bus.f.client.connect(); }},
      {"Connected, no offers asked for", [](Bus& bus) { bus.connect(); }},
      {"Connected, offers asked for",
       [](Bus& bus) {
         bus.connect();
         (void)bus.f.client.request_offers();
       }},
      {"Connected", [](Bus& bus) { bus.take_offers(); }},
      {"Connected, MODIFY_CONNECTION sent",
       [](Bus& bus) {
         bus.take_offers();
         (void)bus.f.client.modify_connection(0, 0);
       },
       &vmbus::has_feature_flags},
      {"Connected, PAUSE sent",
       [](Bus& bus) {
         bus.take_offers();
         (void)bus.f.client.pause();
       },
       &vmbus::has_feature_flags},
      {"Connected, paused",
       [](Bus& bus) {
         bus.take_offers();
         (void)bus.f.client.pause();
         bus.f.say_bare(MessageType::kPauseResponse);
       },
       &vmbus::has_feature_flags},
      {"Unloading",
       [](Bus& bus) {
         bus.take_offers();
         (void)bus.f.client.unload();
       },
       &vmbus::has_unload},
  };
  return kStates;
}

const std::vector<Case<Bus>>& channel_states() {
  static const std::vector<Case<Bus>> kStates = {
      {"unknown",
       [](Bus& bus) {
         bus.connect();
         (void)bus.f.client.request_offers();
       }},
      {"Offered", [](Bus& bus) { bus.take_offers(); }},
      {"Offered, MODIFYCHANNEL sent",
       [](Bus& bus) {
         bus.open();
         (void)bus.f.client.modify(vmbus::ChannelId(1), 1);
         (void)bus.f.client.close(vmbus::ChannelId(1));
       },
       &vmbus::has_modify_response},
      {"Opening", [](Bus& bus) { bus.begin_open(); }},
      {"Opening, reserved", [](Bus& bus) { bus.begin_open_reserved(); },
       &vmbus::has_reserved_channels},
      {"Open", [](Bus& bus) { bus.open(); }},
      {"Open, MODIFYCHANNEL sent",
       [](Bus& bus) {
         bus.open();
         (void)bus.f.client.modify(vmbus::ChannelId(1), 1);
       },
       &vmbus::has_modify_response},
      {"Open, reserved", [](Bus& bus) { bus.open_reserved(); }, &vmbus::has_reserved_channels},
      {"Open, CLOSE_RESERVED_CHANNEL sent",
       [](Bus& bus) {
         bus.open_reserved();
         (void)bus.f.client.close_reserved(vmbus::ChannelId(1), 0, 5);
       },
       &vmbus::has_reserved_channels},
      {"Rescinded",
       [](Bus& bus) {
         bus.take_offers();
         bus.f.rescind(1);
       }},
  };
  return kStates;
}

const std::vector<Case<Bus>>& gpadl_states() {
  static const std::vector<Case<Bus>> kStates = {
      {"none", [](Bus& bus) { bus.take_offers(); }},
      {"Creating", [](Bus& bus) { bus.begin_lend(); }},
      {"Created", [](Bus& bus) { bus.lend(); }},
      {"TearingDown",
       [](Bus& bus) {
         bus.lend();
         (void)bus.f.client.teardown_gpadl(bus.gpadl);
       }},
  };
  return kStates;
}

Rows rows(const std::vector<Case<Bus>>& states, const std::vector<MessageType>& types,
          vmbus::Version version) {
  return vmbus_states::rows<Bus>(states, types, version, [](Bus& bus, MessageType type) {
    return effect_of(bus, [&] { say(bus, type); });
  });
}

/// What a look at a client that was brought into a state says of it.
template <class Look>
auto after(const Case<Bus>& state, Look look_at) {
  Bus bus(vmbus::Version::kCopper);
  state.enter(bus);
  return look_at(bus);
}

void expect_all_states(Printer& printer) {
  constexpr auto kName = [](auto state) { return name_of(state); };
  printer.expect_all<ClientState>(kName, connection_states(), [](const Case<Bus>& state) {
    return after(state, [](const Bus& bus) { return bus.f.client.state(); });
  });
  printer.expect_all<ClientChannelState>(kName, channel_states(), [](const Case<Bus>& state) {
    return after(state,
                 [](const Bus& bus) { return bus.f.client.channel_state(vmbus::ChannelId(1)); });
  });
  printer.expect_all<ClientGpadlState>(kName, gpadl_states(), [](const Case<Bus>& state) {
    return after(state, [](const Bus& bus) {
      for (const vmbus::ClientGpadl& gpadl : bus.f.gpadls) {
        if (gpadl.state != ClientGpadlState::kFree) {
          return gpadl.state;
        }
      }
      return ClientGpadlState::kFree;
    });
  });
}

}  // namespace

void print_client(Printer& printer) {
  static const std::vector<MessageType> kOfChannels = {
      MessageType::kOfferChannel,          MessageType::kRescindChannelOffer,
      MessageType::kOpenChannelResult,     MessageType::kModifyChannelResponse,
      MessageType::kCloseReservedResponse, MessageType::kUnloadResponse};
  constexpr auto kNewest = vmbus::Version::kCopper;
  expect_all_states(printer);
  printer.heading("Client: states of the connection, version 6.0");
  printer.begin_table("connection", "message");
  printer.rows(rows(connection_states(), all_types(), kNewest));
  printer.heading("Client: states of a channel");
  printer.begin_table("channel", "message");
  printer.rows(rows(channel_states(), kOfChannels, kNewest));
  printer.heading("Client: states of a GPADL");
  printer.begin_table("GPADL", "message");
  printer.rows(rows(
      gpadl_states(),
      {MessageType::kGpadlCreated, MessageType::kGpadlTorndown, MessageType::kRescindChannelOffer},
      kNewest));
  printer.heading("Client: what each version does otherwise than the one after it");
  printer.begin_table("version and connection", "message");
  printer.differences(
      [](vmbus::Version version) { return rows(connection_states(), all_types(), version); });
  printer.begin_table("version and channel", "message");
  printer.differences(
      [](vmbus::Version version) { return rows(channel_states(), kOfChannels, version); });
}

}  // namespace vmbus_states
