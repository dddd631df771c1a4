// The server in every state.
#include <memory>

#include "tests/support/recording_server.h"
#include "tests/support/seam_record.h"
#include "tests/vmbus_states/table.h"

namespace vmbus_states {

namespace {

using vmbus::GpadlState;
using vmbus::MessageType;
using vmbus::ServerChannelState;
using vmbus::ServerState;
using vmbus_double::ServerFixture;

constexpr std::uint32_t kRing = 1;
constexpr std::uint32_t kOther = 2;

std::string_view name_of(ServerState state) {
  switch (state) {
    case ServerState::kDisconnected:
      return "Disconnected";
    case ServerState::kConnecting:
      return "Connecting";
    case ServerState::kConnected:
      return "Connected";
    case ServerState::kDisconnecting:
      return "Disconnecting";
  }
  return "";
}

std::string_view name_of(ServerChannelState state) {
  switch (state) {
    case ServerChannelState::kFree:
      return "gone";
    case ServerChannelState::kClientReleased:
      return "ClientReleased";
    case ServerChannelState::kClosed:
      return "Closed";
    case ServerChannelState::kOpening:
      return "Opening";
    case ServerChannelState::kOpen:
      return "Open";
    case ServerChannelState::kClosing:
      return "Closing";
    case ServerChannelState::kClosingReopen:
      return "ClosingReopen";
    case ServerChannelState::kRevoked:
      return "Revoked";
    case ServerChannelState::kReoffered:
      return "Reoffered";
    case ServerChannelState::kOpeningClientRelease:
      return "OpeningClientRelease";
    case ServerChannelState::kClosingClientRelease:
      return "ClosingClientRelease";
  }
  return "";
}

std::string_view name_of(GpadlState state) {
  switch (state) {
    case GpadlState::kFree:
      return "none";
    case GpadlState::kInProgress:
      return "InProgress";
    case GpadlState::kOffered:
      return "Offered";
    case GpadlState::kAccepted:
      return "Accepted";
    case GpadlState::kTearingDown:
      return "TearingDown";
    case GpadlState::kOfferedTearingDown:
      return "OfferedTearingDown";
  }
  return "";
}

/// One channel (slot 0), its ring (GPADL 1) and another GPADL (2); a service of 6.0 beside it.
struct Bus {
  explicit Bus(vmbus::Version the_version) : version(the_version) {}

  vmbus::Version version;
  ServerFixture f;
  vmbus::OfferId id = f.offer();
  int goals = 0;

  void contact() {
    vmbus::InitiateContact message;
    message.version = static_cast<std::uint32_t>(version);
    message.interrupt_page_or_target = vmbus::kVmbusSint | std::uint64_t{vmbus::kKnownFeatures}
                                                               << 32;
    f.say(message);
  }
  void connect() {
    contact();
    (void)f.server.contact_complete(vmbus::ContactState::kSuccessful);
  }
  void take_offers() {
    connect();
    f.say_bare(MessageType::kRequestOffers);
  }
  void lend_ring() {
    take_offers();
    f.make_gpadl(id, kRing);
  }
  void begin_open() {
    lend_ring();
    f.send_open(1, kRing);
  }
  void open() {
    begin_open();
    (void)f.server.open_complete(id, true);
  }
  void begin_close() {
    open();
    f.say_channel(MessageType::kCloseChannel, 1);
  }
  void begin_open_reserved() {
    lend_ring();
    vmbus::OpenReservedChannel message;
    message.channel_id = 1;
    message.target_sint = vmbus::kVmbusSint;
    message.ring_gpadl_id = kRing;
    message.downstream_page_offset = 4;
    f.say(message);
  }
  void open_reserved() {
    begin_open_reserved();
    (void)f.server.open_complete(id, true);
  }
  void close_reserved() {
    vmbus::CloseReservedChannel message;
    message.channel_id = 1;
    message.target_sint = vmbus::kVmbusSint;
    f.say(message);
  }
  void begin_gpadl() {
    // 40 pages: the header and a body.
    const auto list = gpadl_wire::whole_pages(40);
    f.server.handle_message(
        gpadl_wire::message(gpadl_wire::header(1, kOther, list.size()), std::span(list).first(20)));
  }
  void modify(std::uint32_t target_vp) {
    vmbus::ModifyChannel message;
    message.channel_id = 1;
    message.target_vp = target_vp;
    f.say(message);
  }

  [[nodiscard]] const vmbus::Gpadl* gpadl(std::uint32_t number) const {
    for (const vmbus::Gpadl& gpadl : f.gpadls) {
      if (gpadl.state != GpadlState::kFree && gpadl.id == vmbus::GpadlId(number)) {
        return &gpadl;
      }
    }
    return nullptr;
  }
  [[nodiscard]] std::string_view gpadl_state(std::uint32_t number) const {
    const vmbus::Gpadl* const found = gpadl(number);
    return name_of(found == nullptr ? GpadlState::kFree : found->state);
  }
};

/// Everything that a message may change, in words.
struct View {
  std::string connection;
  std::string channel;
  std::string ring;
  std::string other;
  std::size_t received = 0;
  bool answer_wanted = false;
  std::optional<std::uint32_t> next_target;
  int waits = 0;
};

View look(Bus& bus) {
  View view;
  view.connection = name_of(bus.f.server.state());
  view.channel = name_of(bus.f.channels[0].state);
  view.ring = bus.gpadl_state(kRing);
  view.other = bus.gpadl_state(kOther);
  if (const vmbus::Gpadl* const other = bus.gpadl(kOther)) {
    view.received = other->received;
  }
  if (const vmbus::Gpadl* const ring = bus.gpadl(kRing)) {
    view.answer_wanted = ring->answer_wanted;
  }
  view.next_target = bus.f.channels[0].next_target_vp;
  view.waits = seam_record::record().reached["vmbus.server.contact_came_during_reset"];
  return view;
}

std::string changes(const View& before, const View& after) {
  std::string text;
  append_change(text, "", before.connection, after.connection);
  append_change(text, "channel ", before.channel, after.channel);
  append_change(text, "ring ", before.ring, after.ring);
  append_change(text, "GPADL ", before.other, after.other);
  if (after.other == before.other && after.received != before.received) {
    text += "pages kept";
  }
  if (after.ring == before.ring && after.answer_wanted != before.answer_wanted) {
    text += "answer owed";
  }
  if (after.next_target != before.next_target && after.next_target) {
    text += "target kept for later";
  }
  if (after.waits != before.waits) {
    text += "newest contact kept";
  }
  return text;
}

std::string sent_text(const vmbus_double::RecordingServerNotifier::Sent& sent) {
  std::string text(vmbus_states::name_of(sent.type()));
  const auto status = [&](std::uint32_t value) {
    text += value == vmbus::kStatusSuccess ? " (success)" : " (failure)";
  };
  if (sent.type() == MessageType::kOpenChannelResult) {
    status(sent.as<vmbus::OpenChannelResult>().status);
  } else if (sent.type() == MessageType::kGpadlCreated) {
    status(sent.as<vmbus::GpadlCreated>().status);
  } else if (sent.type() == MessageType::kModifyChannelResponse) {
    status(sent.as<vmbus::ModifyChannelResponse>().status);
  }
  return text;
}

template <class Do>
Effect effect_of(Bus& bus, Do act) {
  const View before = look(bus);
  bus.f.notifier.sent.clear();
  bus.f.notifier.lines.clear();
  seam_record::record().traces.clear();
  act();
  Effect effect;
  for (const std::string& line : bus.f.notifier.lines) {
    effect.answers.push_back(line);
  }
  for (const auto& sent : bus.f.notifier.sent) {
    effect.answers.push_back(sent_text(sent));
  }
  effect.refused = seam_record::count_traces("vmbus.server.message_refused") != 0;
  effect.ignored = seam_record::count_traces("vmbus.server.message_ignored") != 0;
  effect.next = changes(before, look(bus));
  return effect;
}

/// The message of a type, about channel 1 and, where it names one, `gpadl`.
void say(Bus& bus, MessageType type, std::uint32_t gpadl) {
  switch (type) {
    case MessageType::kInitiateContact:
      return bus.contact();
    case MessageType::kOpenChannel:
      return bus.f.send_open(1, gpadl);
    case MessageType::kGpadlHeader:
      return bus.f.send_gpadl(1, gpadl);
    case MessageType::kGpadlBody: {
      struct {
        vmbus::GpadlBody body;
        std::array<std::uint64_t, 5> pages{};
      } message{.body = {.gpadl_id = gpadl}};
      return bus.f.server.handle_message(
          std::as_bytes(std::span(&message, 1)).first(sizeof(vmbus::GpadlBody) + 40));
    }
    case MessageType::kGpadlTeardown:
      return bus.f.teardown(1, gpadl);
    case MessageType::kModifyChannel:
      return bus.modify(3);
    case MessageType::kOpenReservedChannel: {
      vmbus::OpenReservedChannel message;
      message.channel_id = 1;
      message.target_sint = vmbus::kVmbusSint;
      message.ring_gpadl_id = gpadl;
      message.downstream_page_offset = 4;
      return bus.f.say(message);
    }
    case MessageType::kCloseReservedChannel:
      return bus.close_reserved();
    case MessageType::kTlConnectRequest:
      return bus.f.say(vmbus::TlConnectRequest{});
    case MessageType::kModifyConnection:
      return bus.f.say(vmbus::ModifyConnection{});
    default:
      // A header alone, or with a channel's id, which readers of the former do not look at.
      return bus.f.say_channel(type, 1);
  }
}

const std::vector<Case<Bus>>& connection_states() {
  static const std::vector<Case<Bus>> kStates = {
      {"Disconnected", [](Bus&) {}},
      {"Connecting", [](Bus& bus) { bus.contact(); }},
      {"Connected, no offers asked for", [](Bus& bus) { bus.connect(); }},
      {"Connected", [](Bus& bus) { bus.take_offers(); }},
      {"Connected, paused",
       [](Bus& bus) {
         bus.take_offers();
         bus.f.say_bare(MessageType::kPause);
       },
       &vmbus::has_feature_flags},
      {"Disconnecting after UNLOAD",
       [](Bus& bus) {
         bus.open();
         bus.f.say_bare(MessageType::kUnload);
       }},
      {"Disconnecting after a contact",
       [](Bus& bus) {
         bus.open();
         bus.contact();
       }},
      {"Disconnecting after a reset",
       [](Bus& bus) {
         bus.open();
         bus.f.server.reset();
       }},
      {"Disconnected, a reserved channel open",
       [](Bus& bus) {
         bus.open_reserved();
         bus.f.say_bare(MessageType::kUnload);
       },
       &vmbus::has_reserved_channels},
  };
  return kStates;
}

const std::vector<Case<Bus>>& channel_states() {
  static const std::vector<Case<Bus>> kStates = {
      {"unknown",
       [](Bus& bus) {
         bus.take_offers();
         (void)bus.f.server.revoke(bus.id);
         bus.f.say_channel(MessageType::kRelidReleased, 1);
       }},
      {"ClientReleased",
       [](Bus& bus) {
         bus.take_offers();
         bus.f.say_channel(MessageType::kRelidReleased, 1);
       }},
      {"Closed", [](Bus& bus) { bus.lend_ring(); }},
      {"Opening", [](Bus& bus) { bus.begin_open(); }},
      {"Open", [](Bus& bus) { bus.open(); }},
      {"Open, being retargeted",
       [](Bus& bus) {
         bus.open();
         bus.modify(1);
       },
       &vmbus::has_modify_channel},
      {"Closing", [](Bus& bus) { bus.begin_close(); }},
      {"Closing, being retargeted",
       [](Bus& bus) {
         bus.open();
         bus.modify(1);
         bus.f.say_channel(MessageType::kCloseChannel, 1);
       },
       &vmbus::has_modify_channel},
      {"ClosingReopen",
       [](Bus& bus) {
         bus.begin_close();
         bus.f.send_open(1, kRing);
       }},
      {"Revoked",
       [](Bus& bus) {
         bus.open();
         (void)bus.f.server.revoke(bus.id);
       }},
      {"Reoffered",
       [](Bus& bus) {
         bus.open();
         (void)bus.f.server.revoke(bus.id);
         (void)bus.f.offer();
       }},
      {"OpeningClientRelease",
       [](Bus& bus) {
         bus.begin_open();
         bus.f.say_bare(MessageType::kUnload);
       }},
      {"ClosingClientRelease",
       [](Bus& bus) {
         bus.begin_close();
         bus.f.say_channel(MessageType::kRelidReleased, 1);
       }},
      {"Opening, reserved", [](Bus& bus) { bus.begin_open_reserved(); },
       &vmbus::has_reserved_channels},
      {"Open, reserved", [](Bus& bus) { bus.open_reserved(); }, &vmbus::has_reserved_channels},
      {"Closing, reserved",
       [](Bus& bus) {
         bus.open_reserved();
         bus.close_reserved();
       },
       &vmbus::has_reserved_channels},
      {"Open, reserved, its connection gone",
       [](Bus& bus) {
         bus.open_reserved();
         bus.take_offers();
       },
       &vmbus::has_reserved_channels},
      {"Closing, reserved, its connection gone",
       [](Bus& bus) {
         bus.open_reserved();
         bus.close_reserved();
         bus.take_offers();
       },
       &vmbus::has_reserved_channels},
  };
  return kStates;
}

const std::vector<Case<Bus>>& gpadl_states() {
  static const std::vector<Case<Bus>> kStates = {
      {"none", [](Bus& bus) { bus.take_offers(); }},
      {"InProgress",
       [](Bus& bus) {
         bus.take_offers();
         bus.begin_gpadl();
       }},
      {"Offered",
       [](Bus& bus) {
         bus.take_offers();
         bus.f.send_gpadl(1, kOther);
       }},
      {"Accepted",
       [](Bus& bus) {
         bus.take_offers();
         bus.f.make_gpadl(bus.id, kOther);
       }},
      {"TearingDown",
       [](Bus& bus) {
         bus.take_offers();
         bus.f.make_gpadl(bus.id, kOther);
         bus.f.teardown(1, kOther);
       }},
      {"OfferedTearingDown",
       [](Bus& bus) {
         bus.take_offers();
         bus.f.send_gpadl(1, kOther);
         bus.f.say_channel(MessageType::kRelidReleased, 1);
       }},
      {"Accepted, channel revoked",
       [](Bus& bus) {
         bus.take_offers();
         bus.f.make_gpadl(bus.id, kOther);
         (void)bus.f.server.revoke(bus.id);
       }},
  };
  return kStates;
}

Rows rows(const std::vector<Case<Bus>>& states, const std::vector<MessageType>& types,
          std::uint32_t gpadl, vmbus::Version version) {
  return vmbus_states::rows<Bus>(states, types, version, [gpadl](Bus& bus, MessageType type) {
    return effect_of(bus, [&] { say(bus, type, gpadl); });
  });
}

/// What a look at a server that was brought into a state says of it.
template <class Look>
auto after(const Case<Bus>& state, Look look_at) {
  Bus bus(vmbus::Version::kCopper);
  state.enter(bus);
  return look_at(bus);
}

void expect_all_states(Printer& printer) {
  constexpr auto kName = [](auto state) { return name_of(state); };
  printer.expect_all<ServerState>(kName, connection_states(), [](const Case<Bus>& state) {
    return after(state, [](const Bus& bus) { return bus.f.server.state(); });
  });
  printer.expect_all<ServerChannelState>(kName, channel_states(), [](const Case<Bus>& state) {
    return after(state, [](const Bus& bus) { return bus.f.channels[0].state; });
  });
  printer.expect_all<GpadlState>(kName, gpadl_states(), [](const Case<Bus>& state) {
    return after(state, [](const Bus& bus) {
      const vmbus::Gpadl* const gpadl = bus.gpadl(kOther);
      return gpadl == nullptr ? GpadlState::kFree : gpadl->state;
    });
  });
}

/// What devices answer, and the host's own wish.
void print_host_events(Printer& printer) {
  const std::vector<Case<Bus>> events = {
      {"open_complete, success", [](Bus& bus) { (void)bus.f.server.open_complete(bus.id, true); }},
      {"open_complete, failure", [](Bus& bus) { (void)bus.f.server.open_complete(bus.id, false); }},
      {"close_complete", [](Bus& bus) { (void)bus.f.server.close_complete(bus.id); }},
      {"retarget_complete", [](Bus& bus) { (void)bus.f.server.retarget_complete(bus.id, true); }},
      {"revoke", [](Bus& bus) { (void)bus.f.server.revoke(bus.id); }},
      {"reset", [](Bus& bus) { bus.f.server.reset(); }},
  };
  for (const Case<Bus>& state : channel_states()) {
    for (const Case<Bus>& event : events) {
      const auto bus = std::make_unique<Bus>(vmbus::Version::kCopper);
      seam_record::clear();
      state.enter(*bus);
      Effect effect = effect_of(*bus, [&] { event.enter(*bus); });
      // An answer that nobody waits for returns false and changes nothing.
      effect.ignored = !effect.defined();
      printer.event_row(state.name, event.name, effect);
    }
  }
}

}  // namespace

void print_server(Printer& printer) {
  static const std::vector<MessageType> kOfChannels = {MessageType::kOpenChannel,
                                                       MessageType::kCloseChannel,
                                                       MessageType::kModifyChannel,
                                                       MessageType::kGpadlHeader,
                                                       MessageType::kGpadlTeardown,
                                                       MessageType::kRelidReleased,
                                                       MessageType::kOpenReservedChannel,
                                                       MessageType::kCloseReservedChannel,
                                                       MessageType::kUnload};
  constexpr auto kNewest = vmbus::Version::kCopper;
  expect_all_states(printer);
  printer.heading("Server: states of the connection, version 6.0");
  printer.begin_table("connection", "message");
  printer.rows(rows(connection_states(), all_types(), kRing, kNewest));
  printer.heading("Server: states of a channel, version 6.0");
  printer.begin_table("channel", "message");
  printer.rows(rows(channel_states(), kOfChannels, kRing, kNewest));
  printer.heading("Server: states of a GPADL");
  printer.begin_table("GPADL", "message");
  printer.rows(rows(gpadl_states(),
                    {MessageType::kGpadlHeader, MessageType::kGpadlBody,
                     MessageType::kGpadlTeardown, MessageType::kOpenChannel},
                    kOther, kNewest));
  printer.heading("Server: what devices answer and the host wishes");
  printer.begin_table("channel", "event");
  print_host_events(printer);
  printer.heading("Server: what each version does otherwise than the one after it");
  printer.begin_table("version and connection", "message");
  printer.differences([](vmbus::Version version) {
    return rows(connection_states(), all_types(), kRing, version);
  });
  printer.begin_table("version and channel", "message");
  printer.differences(
      [](vmbus::Version version) { return rows(channel_states(), kOfChannels, kRing, version); });
}

}  // namespace vmbus_states
