// A server over a notifier that records, with what tests want to say to it.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/gpadl_wire.h"
#include "vmbus/server/server.h"

namespace vmbus_double {

/// Writes down what the server asks for, as short lines, and the messages that it sends.
class RecordingServerNotifier final : public vmbus::ServerNotifier {
 public:
  struct Sent {
    std::uint32_t target_vp = 0;
    std::vector<std::byte> bytes;
    [[nodiscard]] vmbus::MessageType type() const {
      return vmbus::read_object<vmbus::MessageHeader>(bytes)->type;
    }
    template <class T>
    [[nodiscard]] T as() const {
      return *vmbus::read_object<T>(bytes);
    }
  };

  void send_message(std::uint32_t target_vp, std::span<const std::byte> message) override {
    sent.push_back({target_vp, {message.begin(), message.end()}});
  }
  void send_reserved_message(const vmbus::ReservedTarget& target,
                             std::span<const std::byte> message) override {
    reserved_targets.push_back(target);
    sent.push_back({target.target_vp, {message.begin(), message.end()}});
  }
  void hold_messages(bool hold) override { note(hold ? "hold" : "go on"); }
  void forget_messages() override { forgotten = sent.size(); }
  [[nodiscard]] bool change_monitor_pages(const vmbus::MonitorPages& pages) override {
    last_monitor_pages = pages;
    note("monitor pages");
    return accepts_monitor_pages;
  }
  void tl_connect(const vmbus::TlConnect& request) override {
    streams.push_back(request);
    note("stream to " + std::to_string(request.service.data1));
  }
  void contact(const vmbus::Contact& contact) override {
    contacts.push_back(contact);
    note("contact");
  }
  void disconnected() override { note("disconnected"); }
  void open(vmbus::OfferId offer, const vmbus::ChannelOpening& opening,
            const vmbus::RingPages& rings) override {
    last_opening = opening;
    last_rings = rings;
    note("open " + std::to_string(offer.slot));
  }
  void close(vmbus::OfferId offer) override { note("close " + std::to_string(offer.slot)); }
  void retarget(vmbus::OfferId offer, std::uint32_t target_vp) override {
    note("retarget " + std::to_string(offer.slot) + " to " + std::to_string(target_vp));
  }
  void gpadl(vmbus::OfferId offer, const vmbus::Gpadl& gpadl) override {
    note("gpadl " + std::to_string(offer.slot) + "/" + std::to_string(gpadl.id.value()));
  }
  void gpadl_release(vmbus::OfferId offer, vmbus::GpadlId id) override {
    note("release " + std::to_string(offer.slot) + "/" + std::to_string(id.value()));
  }

  /// Called after each line: a device that answers at once.
  std::function<void(const std::string&)> answer;
  std::vector<std::string> lines;
  std::vector<Sent> sent;
  /// So many of them, the first ones, may not arrive any more.
  std::size_t forgotten = 0;
  std::vector<vmbus::Contact> contacts;
  std::vector<vmbus::ReservedTarget> reserved_targets;
  std::vector<vmbus::TlConnect> streams;
  vmbus::MonitorPages last_monitor_pages;
  bool accepts_monitor_pages = true;
  vmbus::ChannelOpening last_opening;
  vmbus::RingPages last_rings;

 private:
  void note(std::string line) {
    lines.push_back(line);
    if (answer) {
      answer(line);
    }
  }
};

/// A server with room for four channels, and the child's part of the conversation.
struct ServerFixture {
  explicit ServerFixture(vmbus::ServerConfiguration configuration = {})
      : server(configuration, channels, gpadls, storage, notifier) {}

  std::array<std::uint64_t, 4096> words{};
  std::array<vmbus::ServerChannel, 4> channels{};
  std::array<vmbus::Gpadl, 6> gpadls{};
  vmbus::FixedGpadlStorage storage{words};
  RecordingServerNotifier notifier;
  vmbus::Server server;

  template <class T>
  void say(const T& message) {
    server.handle_message(vmbus::bytes_of(message));
  }
  void say_bare(vmbus::MessageType type) { say(vmbus::EmptyMessage{{type, 0}}); }
  void say_channel(vmbus::MessageType type, std::uint32_t channel) {
    say(vmbus::ChannelMessage{{type, 0}, channel});
  }
  void initiate_contact(std::uint32_t version, std::uint32_t target_vp = 0) {
    vmbus::InitiateContact message;
    message.version = version;
    message.target_vp = target_vp;
    message.interrupt_page_or_target = vmbus::kVmbusSint;
    say(message);
  }
  void connect(vmbus::Version version = vmbus::Version::kIron) {
    initiate_contact(static_cast<std::uint32_t>(version));
    (void)server.contact_complete(vmbus::ContactState::kSuccessful);
    say_bare(vmbus::MessageType::kRequestOffers);
    notifier.sent.clear();
    notifier.lines.clear();
  }
  /// A disk, told apart from others by `number`.
  vmbus::OfferId offer(std::uint8_t number = 1, std::uint16_t subchannel = 0) {
    vmbus::Offer offer;
    offer.interface_type = vmbus::kScsiInterface;
    offer.interface_instance.data1 = number;
    offer.subchannel_index = subchannel;
    return server.offer(offer).value();
  }
  void send_gpadl(std::uint32_t channel, std::uint32_t id, std::size_t pages = 8) {
    const auto list = gpadl_wire::whole_pages(pages);
    const auto bytes =
        gpadl_wire::message(gpadl_wire::header(channel, id, list.size()), std::span(list));
    server.handle_message(bytes);
  }
  void make_gpadl(vmbus::OfferId offer, std::uint32_t id, std::size_t pages = 8) {
    send_gpadl(vmbus::Server::channel_id(offer).value(), id, pages);
    (void)server.gpadl_complete(offer, vmbus::GpadlId(id), true);
  }
  void teardown(std::uint32_t channel, std::uint32_t id) {
    vmbus::GpadlTeardown message;
    message.channel_id = channel;
    message.gpadl_id = id;
    say(message);
  }
  void send_open(std::uint32_t channel, std::uint32_t gpadl, std::uint32_t downstream = 4) {
    vmbus::OpenChannel message;
    message.channel_id = channel;
    message.open_id = channel + 1000;
    message.ring_gpadl_id = gpadl;
    message.downstream_page_offset = downstream;
    say(message);
  }
  /// A connected client with one open channel whose ring is GPADL 1.
  vmbus::OfferId connect_and_open(vmbus::Version version = vmbus::Version::kIron) {
    const vmbus::OfferId id = offer();
    connect(version);
    make_gpadl(id, 1);
    send_open(vmbus::Server::channel_id(id).value(), 1);
    (void)server.open_complete(id, true);
    notifier.sent.clear();
    notifier.lines.clear();
    return id;
  }
  /// The types of what was sent, in order.
  [[nodiscard]] std::vector<vmbus::MessageType> sent_types() const {
    std::vector<vmbus::MessageType> types;
    for (const auto& message : notifier.sent) {
      types.push_back(message.type());
    }
    return types;
  }
};

}  // namespace vmbus_double
