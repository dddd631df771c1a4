#include "tests/support/bus_world.h"

#include <algorithm>

namespace bus_world {

using vmbus::ChannelId;
using vmbus::ClientStatus;
using vmbus::GpadlId;
using vmbus::OfferId;

void expect(bool condition, const char* what) {
  if (!condition) {
    throw Broken{what};
  }
}

// --- Root ----------------------------------------------------------------------------------------

Root::Root(Queue& to_client)
    : to_client_(to_client), server_({}, channels_, gpadls_, storage_, *this) {}

void Root::send_reserved_message(const vmbus::ReservedTarget& target,
                                 std::span<const std::byte> message) {
  send_message(target.target_vp, message);
}

void Root::send_message(std::uint32_t, std::span<const std::byte> message) {
  const auto type = vmbus::read_object<vmbus::MessageHeader>(message)->type;
  // Nobody who awaits one of these has anything else to come.
  expect((type != vmbus::MessageType::kVersionResponse &&
          type != vmbus::MessageType::kUnloadResponse) ||
             to_client_.empty(),
         "messages of an ended connection are on their way to the next");
  to_client_.emplace_back(message.begin(), message.end());
}

Device& Root::device_of(OfferId offer) {
  for (Device& device : devices_) {
    if (device.offer == offer) {
      return device;
    }
  }
  throw Broken{"the server asks for a device that has gone"};
}

void Root::contact(const vmbus::Contact&) {
  questions_.push_back({Question::Kind::kContact, {}, {}});
}

void Root::disconnected() {
  for (const Device& device : devices_) {
    expect(!device.open && device.held.empty(), "disconnected while a device holds something");
  }
}

void Root::open(OfferId offer, const vmbus::ChannelOpening& opening, const vmbus::RingPages&) {
  Device& device = device_of(offer);
  expect(!device.open, "a device is asked to open twice");
  expect(device.held.contains(opening.ring_gpadl.value()), "the ring is not the device's");
  device.open = true;
  device.ring = opening.ring_gpadl;
  questions_.push_back({Question::Kind::kOpen, offer, {}});
}

void Root::close(OfferId offer) {
  expect(device_of(offer).open, "a device is asked to close what is not open");
  questions_.push_back({Question::Kind::kClose, offer, {}});
}

void Root::retarget(OfferId offer, std::uint32_t) {
  expect(device_of(offer).open, "a device that is not open is retargeted");
  questions_.push_back({Question::Kind::kRetarget, offer, {}});
}

void Root::gpadl(OfferId offer, const vmbus::Gpadl& gpadl) {
  device_of(offer);
  questions_.push_back({Question::Kind::kGpadl, offer, gpadl.id});
}

void Root::gpadl_release(OfferId offer, GpadlId id) {
  Device& device = device_of(offer);
  expect(device.held.contains(id.value()), "a GPADL is asked back that the device has not");
  expect(!device.open || device.ring != id, "the ring of an open device is asked back");
  questions_.push_back({Question::Kind::kRelease, offer, id});
}

bool Root::answer(std::size_t choice, bool success) {
  if (questions_.empty()) {
    return false;
  }
  const std::size_t index = choice % questions_.size();
  const Question question = questions_[index];
  // A device answers a retarget, and an open, before the close that follows.
  for (std::size_t earlier = 0; earlier < index; ++earlier) {
    if (questions_[earlier].offer == question.offer && question.kind == Question::Kind::kClose) {
      return false;
    }
  }
  questions_.erase(questions_.begin() + static_cast<std::ptrdiff_t>(index));
  answer(question, success);
  return true;
}

void Root::answer(const Question& question, bool success) {
  if (question.kind == Question::Kind::kContact) {
    const auto state =
        success ? vmbus::ContactState::kSuccessful : vmbus::ContactState::kLowResources;
    expect(server_.contact_complete(state), "the answer about a contact was not awaited");
    return;
  }
  Device& device = device_of(question.offer);
  switch (question.kind) {
    case Question::Kind::kOpen:
      device.open = success;
      expect(server_.open_complete(question.offer, success), "the open was not awaited");
      return;
    case Question::Kind::kClose:
      device.open = false;
      expect(server_.close_complete(question.offer), "the close was not awaited");
      return;
    case Question::Kind::kRetarget:
      expect(server_.retarget_complete(question.offer, success), "the retarget was not awaited");
      return;
    case Question::Kind::kGpadl:
      if (success) {
        device.held.insert(question.gpadl.value());
      }
      expect(server_.gpadl_complete(question.offer, question.gpadl, success),
             "the GPADL was not awaited");
      return;
    case Question::Kind::kRelease:
      device.held.erase(question.gpadl.value());
      expect(server_.gpadl_release_complete(question.offer, question.gpadl),
             "the release was not awaited");
      return;
    case Question::Kind::kContact:
      return;
  }
}

bool Root::offer_device(std::size_t index) {
  Device& device = devices_[index];
  if (device.offer) {
    return false;
  }
  vmbus::Offer offer;
  offer.interface_type = vmbus::kScsiInterface;
  offer.interface_instance.data1 = static_cast<std::uint32_t>(index);
  device = Device{};
  device.offer = server_.offer(offer);
  return device.offer.has_value();
}

bool Root::revoke_device(std::size_t index) {
  Device& device = devices_[index];
  if (!device.offer) {
    return false;
  }
  const OfferId offer = *device.offer;
  device = Device{};
  std::erase_if(questions_, [&](const Question& question) {
    return question.kind != Question::Kind::kContact && question.offer == offer;
  });
  expect(server_.revoke(offer), "a live offer could not be revoked");
  expect(!server_.revoke(offer), "an offer was revoked twice");
  return true;
}

// --- Child ---------------------------------------------------------------------------------------

Child::Child(Queue& to_server, vmbus::Version version) : to_server_(to_server), version_(version) {
  restart();
}

void Child::restart() {
  channels_ = {};
  gpadls_ = {};
  drivers_.clear();
  waiting_for_contact_ = false;
  waiting_for_unload_ = false;
  vmbus::ClientConfiguration configuration;
  configuration.newest_version = version_;
  client_ = std::make_unique<vmbus::Client>(configuration, channels_, gpadls_, *this);
}

void Child::send_message(std::uint32_t, std::span<const std::byte> message) {
  to_server_.emplace_back(message.begin(), message.end());
}

bool Child::connect() {
  if (client_->state() != vmbus::ClientState::kDisconnected) {
    return false;
  }
  waiting_for_contact_ = true;
  expect(client_->connect() == ClientStatus::kDone, "a connect was not possible");
  return true;
}

bool Child::unload() {
  // Before 3.0 the server hears nothing of it: such a child ends with its partition.
  if (client_->state() != vmbus::ClientState::kConnected ||
      !vmbus::has_unload(client_->version())) {
    return false;
  }
  waiting_for_unload_ = true;
  drivers_.clear();
  expect(client_->unload() == ClientStatus::kDone, "an unload was not possible");
  return true;
}

void Child::connected(vmbus::Version) {
  expect(waiting_for_contact_, "connected unasked");
  waiting_for_contact_ = false;
  expect(client_->request_offers() == ClientStatus::kDone, "offers could not be asked for");
}

void Child::connect_failed() {
  expect(waiting_for_contact_, "failed to connect unasked");
  waiting_for_contact_ = false;
}

void Child::unloaded() {
  expect(waiting_for_unload_, "unloaded unasked");
  waiting_for_unload_ = false;
}

void Child::offered(ChannelId channel, const vmbus::OfferChannel&) {
  expect(!drivers_.contains(channel.value()), "an id was offered twice");
  drivers_[channel.value()] = Driver{};
}

void Child::opened(ChannelId channel, bool success) {
  Driver& driver = drivers_.at(channel.value());
  expect(driver.state == Driver::State::kOpening, "opened unasked");
  driver.state = success ? Driver::State::kOpen : Driver::State::kReady;
}

void Child::rescinded(ChannelId channel) {
  Driver& driver = drivers_.at(channel.value());
  expect(driver.state != Driver::State::kOpening && driver.creating.empty() &&
             driver.tearing_down.empty() && !driver.modifying,
         "rescinded before everybody was answered");
  driver.rescinded = true;
}

void Child::modified(ChannelId channel, bool) {
  Driver& driver = drivers_.at(channel.value());
  expect(driver.modifying, "modified unasked");
  driver.modifying = false;
}

Driver& Child::driver_of_gpadl(GpadlId gpadl) {
  for (auto& [channel, driver] : drivers_) {
    if (driver.creating.contains(gpadl.value()) || driver.lent.contains(gpadl.value()) ||
        driver.tearing_down.contains(gpadl.value())) {
      return driver;
    }
  }
  throw Broken{"told of a GPADL that nobody has"};
}

void Child::gpadl_created(GpadlId gpadl, bool success) {
  Driver& driver = driver_of_gpadl(gpadl);
  expect(driver.creating.erase(gpadl.value()) == 1, "created unasked");
  if (success) {
    driver.lent.insert(gpadl.value());
  }
  if (driver.ring == gpadl.value()) {
    driver.state = success ? Driver::State::kReady : Driver::State::kIdle;
    driver.ring = success ? driver.ring : std::nullopt;
  }
}

void Child::gpadl_torndown(GpadlId gpadl) {
  Driver& driver = driver_of_gpadl(gpadl);
  expect(driver.tearing_down.erase(gpadl.value()) == 1, "torn down unasked");
}

bool Child::lend(std::uint32_t channel, Driver& driver, std::size_t count) {
  const std::vector<machine::Gpn> pages(count, machine::Gpn(9));
  GpadlId id;
  const ClientStatus status = client_->create_gpadl(ChannelId(channel), pages, id);
  if (status == ClientStatus::kNoRoom) {
    return false;
  }
  expect(status == ClientStatus::kDone, "a GPADL could not be lent");
  driver.creating.insert(id.value());
  if (!driver.ring) {
    driver.ring = id.value();
    driver.state = Driver::State::kCreatingRing;
  }
  return true;
}

bool Child::take_back(Driver& driver, std::uint32_t gpadl) {
  driver.lent.erase(gpadl);
  driver.tearing_down.insert(gpadl);
  if (driver.ring == gpadl) {
    driver.ring.reset();
    driver.state = Driver::State::kIdle;
  }
  expect(client_->teardown_gpadl(GpadlId(gpadl)) == ClientStatus::kDone,
         "a GPADL could not be taken back");
  return true;
}

bool Child::leave(std::uint32_t channel, Driver& driver) {
  if (!driver.lent.empty()) {
    return take_back(driver, *driver.lent.begin());
  }
  drivers_.erase(channel);
  expect(client_->release_channel(ChannelId(channel)) == ClientStatus::kDone,
         "a rescinded channel could not be released");
  return true;
}

bool Child::act_on(std::uint32_t channel, Driver& driver, std::size_t choice) {
  const ChannelId id(channel);
  if (driver.rescinded) {
    return leave(channel, driver);
  }
  switch (driver.state) {
    case Driver::State::kIdle:
      return lend(channel, driver, 8 + choice % 30);
    case Driver::State::kReady:
      if (choice % 4 == 0) {
        return take_back(driver, *driver.ring);
      }
      driver.state = Driver::State::kOpening;
      expect(client_->open(id, {.ring_gpadl = GpadlId(*driver.ring),
                                .downstream_page_offset = 4,
                                .target_vp = 0,
                                .user_data = {}}) == ClientStatus::kDone,
             "a channel could not be opened");
      return true;
    case Driver::State::kOpen:
      if (choice % 4 == 0) {
        return lend(channel, driver, 1 + choice % 60);
      }
      if (choice % 4 == 1 && driver.lent.size() > 1) {
        const auto other = std::ranges::find_if(
            driver.lent, [&](std::uint32_t gpadl) { return gpadl != driver.ring; });
        return take_back(driver, *other);
      }
      if (choice % 4 == 2 && !driver.modifying && vmbus::has_modify_channel(client_->version())) {
        driver.modifying = vmbus::has_modify_response(client_->version());
        expect(client_->modify(id, 1) == ClientStatus::kDone, "a channel could not be moved");
        return true;
      }
      expect(client_->close(id) == ClientStatus::kDone, "a channel could not be closed");
      driver.state = Driver::State::kReady;
      return true;
    case Driver::State::kCreatingRing:
    case Driver::State::kOpening:
      break;
  }
  return false;
}

bool Child::act(std::size_t choice) {
  if (drivers_.empty() || client_->state() != vmbus::ClientState::kConnected) {
    return false;
  }
  auto chosen = drivers_.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(choice % drivers_.size()));
  return act_on(chosen->first, chosen->second, choice / drivers_.size());
}

// --- Both ----------------------------------------------------------------------------------------

bool World::deliver_to_server() {
  if (to_server.empty()) {
    return false;
  }
  const std::vector<std::byte> message = to_server.front();
  to_server.pop_front();
  root.server().handle_message(message);
  return true;
}

bool World::deliver_to_client() {
  if (to_client.empty()) {
    return false;
  }
  const std::vector<std::byte> message = to_client.front();
  to_client.pop_front();
  child.client().handle_message(message);
  return true;
}

void World::reset_partition() {
  to_server.clear();
  child.restart();
  root.server().reset();
}

bool World::crash() {
  // A version response on its way could not be told from the next kernel's own.
  if (child.client().state() != vmbus::ClientState::kConnected) {
    return false;
  }
  child.restart();
  return child.connect();
}

void World::settle() {
  bool moved = true;
  while (moved) {
    moved = deliver_to_server();
    moved = deliver_to_client() || moved;
    moved = root.answer(0, true) || moved;
    if (child.client().state() != vmbus::ClientState::kConnected) {
      continue;
    }
    std::size_t index = 0;
    for (const auto& [channel, driver] : child.drivers()) {
      if (driver.rescinded) {
        moved = child.act(index) || moved;
        break;
      }
      ++index;
    }
  }
}

void World::check_settled() {
  using State = vmbus::ServerChannelState;
  expect(!child.connecting(), "somebody waits for contact for ever");
  expect(!child.unloading(), "somebody waits for goodbye for ever");
  expect(root.questions().empty(), "a question was left");
  std::size_t lent = 0;
  std::size_t opened = 0;
  for (const auto& [channel, driver] : child.drivers()) {
    expect(driver.state != Driver::State::kOpening, "somebody waits for an open for ever");
    expect(driver.creating.empty(), "somebody waits for a GPADL for ever");
    expect(driver.tearing_down.empty(), "somebody waits for a teardown for ever");
    expect(!driver.modifying, "somebody waits for a move for ever");
    expect(!driver.rescinded, "a rescinded channel stayed");
    lent += driver.lent.size();
    opened += driver.state == Driver::State::kOpen ? 1 : 0;
  }
  expect(root.server().gpadl_count() == lent, "the ends count different GPADLs");
  std::size_t known = 0;
  std::size_t held = 0;
  for (const Device& device : root.devices()) {
    held += device.held.size();
    opened -= device.open ? 1 : 0;
    const auto state =
        device.offer ? root.server().channel_state(*device.offer) : std::optional<State>();
    known += state && state != State::kClientReleased ? 1 : 0;
    expect(!state || state == State::kClosed || state == State::kOpen ||
               state == State::kClientReleased,
           "a channel is between states for ever");
  }
  expect(opened == 0, "the ends disagree on what is open");
  expect(held == lent, "devices hold other GPADLs than were lent");
  expect(known == child.drivers().size(), "the ends count different channels");
}

}  // namespace bus_world
