// A client over a notifier that records, with what tests want to say to it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "vmbus/client/client.h"

namespace vmbus_double {

class RecordingClientNotifier final : public vmbus::ClientNotifier {
 public:
  struct Sent {
    std::uint32_t connection = 0;
    std::vector<std::byte> bytes;
    [[nodiscard]] vmbus::MessageType type() const {
      return vmbus::read_object<vmbus::MessageHeader>(bytes)->type;
    }
    template <class T>
    [[nodiscard]] T as() const {
      return *vmbus::read_object<T>(bytes);
    }
  };

  void send_message(std::uint32_t connection, std::span<const std::byte> message) override {
    sent.push_back({connection, {message.begin(), message.end()}});
  }
  void connected(vmbus::Version version) override {
    note("connected " + std::to_string(static_cast<std::uint32_t>(version) >> 16) + "." +
         std::to_string(static_cast<std::uint32_t>(version) & 0xFFFF));
  }
  void connect_failed() override { note("connect failed"); }
  void offered(vmbus::ChannelId channel, const vmbus::OfferChannel& offer) override {
    offers.push_back(offer);
    note("offered " + std::to_string(channel.value()));
  }
  void all_offers_delivered() override { note("all offers"); }
  void opened(vmbus::ChannelId channel, bool success) override {
    note("opened " + std::to_string(channel.value()) + outcome(success));
  }
  void rescinded(vmbus::ChannelId channel) override {
    note("rescinded " + std::to_string(channel.value()));
  }
  void modified(vmbus::ChannelId channel, bool success) override {
    note("modified " + std::to_string(channel.value()) + outcome(success));
  }
  void gpadl_created(vmbus::GpadlId gpadl, bool success) override {
    note("created " + number(gpadl) + outcome(success));
  }
  void gpadl_torndown(vmbus::GpadlId gpadl) override { note("torndown " + number(gpadl)); }
  void unloaded() override { note("unloaded"); }
  void reserved_closed(vmbus::ChannelId channel) override {
    note("reserved closed " + std::to_string(channel.value()));
  }
  void service_refused(const vmbus::Guid& endpoint, const vmbus::Guid& service,
                       std::uint32_t) override {
    note("service " + std::to_string(service.data1) + " refused to " +
         std::to_string(endpoint.data1));
  }
  void connection_modified(bool success) override {
    note("connection modified" + outcome(success));
  }
  void paused() override { note("paused"); }

  std::function<void(const std::string&)> react;
  std::vector<std::string> lines;
  std::vector<Sent> sent;
  std::vector<vmbus::OfferChannel> offers;

 private:
  /// GPADLs are counted from the first that a client makes.
  static std::string number(vmbus::GpadlId gpadl) {
    return std::to_string(gpadl.value() - 0xE1E10);
  }
  static std::string outcome(bool success) { return success ? " ok" : " failed"; }
  void note(std::string line) {
    lines.push_back(line);
    if (react) {
      react(line);
    }
  }
};

struct ClientFixture {
  explicit ClientFixture(vmbus::ClientConfiguration configuration = {})
      : client(configuration, channels, gpadls, notifier) {}

  std::array<vmbus::ClientChannel, 3> channels{};
  std::array<vmbus::ClientGpadl, 4> gpadls{};
  RecordingClientNotifier notifier;
  vmbus::Client client;
  std::vector<machine::Gpn> pages = std::vector<machine::Gpn>(8, machine::Gpn(5));

  template <class T>
  void say(const T& message) {
    client.handle_message(vmbus::bytes_of(message));
  }
  void say_bare(vmbus::MessageType type) { say(vmbus::EmptyMessage{{type, 0}}); }
  void say_channel(vmbus::MessageType type, std::uint32_t channel) {
    say(vmbus::ChannelMessage{{type, 0}, channel});
  }
  void respond(bool supported, std::uint32_t connection = 4) {
    vmbus::VersionResponse message;
    message.version_supported = supported ? 1 : 0;
    message.version_or_connection_id = connection;
    say(message);
  }
  void offer(std::uint32_t channel) {
    vmbus::OfferChannel message;
    message.channel_id = channel;
    message.connection_id = 0x2000 + channel;
    say(message);
  }
  void rescind(std::uint32_t channel) {
    say(vmbus::ChannelMessage{{vmbus::MessageType::kRescindChannelOffer, 0}, channel});
  }
  /// Connected, with channel 1 offered.
  void connect() {
    (void)client.connect();
    respond(true);
    (void)client.request_offers();
    offer(1);
    say_bare(vmbus::MessageType::kAllOffersDelivered);
    clear();
  }
  void answer_gpadl(std::uint32_t channel, vmbus::GpadlId gpadl, std::uint32_t status = 0) {
    vmbus::GpadlCreated message;
    message.channel_id = channel;
    message.gpadl_id = gpadl.value();
    message.status = status;
    say(message);
  }
  vmbus::GpadlId make_gpadl(std::uint32_t channel = 1) {
    vmbus::GpadlId id;
    (void)client.create_gpadl(vmbus::ChannelId(channel), pages, id);
    answer_gpadl(channel, id);
    return id;
  }
  void answer_open(std::uint32_t channel, std::uint32_t status = 0) {
    vmbus::OpenChannelResult message;
    message.channel_id = channel;
    message.open_id = channel;
    message.status = status;
    say(message);
  }
  /// Connected, with channel 1 open.
  vmbus::GpadlId connect_and_open() {
    connect();
    const vmbus::GpadlId ring = make_gpadl();
    (void)client.open(vmbus::ChannelId(1), {.ring_gpadl = ring, .downstream_page_offset = 4});
    answer_open(1);
    clear();
    return ring;
  }
  void torndown(vmbus::GpadlId gpadl) {
    vmbus::GpadlTorndown message;
    message.gpadl_id = gpadl.value();
    say(message);
  }
  void clear() {
    notifier.lines.clear();
    notifier.sent.clear();
  }
};

}  // namespace vmbus_double
