// The client against a simple account of what its drivers may rely on: any messages, legal or not,
// from a server that keeps no rules, between any wishes of the drivers.
#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "tests/support/seam_record.h"
#include "vmbus/client/client.h"

using namespace vmbus;

namespace {

constexpr std::uint32_t kChannels = 4;
constexpr std::uint32_t kGpadls = 5;
constexpr std::uint32_t kFirstGpadl = 0xE1E10;

enum class Act {
  kConnect,
  kRequestOffers,
  kUnload,
  kLend,
  kTakeBack,
  kOpen,
  kClose,
  kModify,
  kRelease,
  kPause,
  kHear,
};
constexpr int kActs = 22;  // every other step is a message

struct Step {
  int act = 0;
  std::uint32_t type = 0;
  std::uint32_t channel = 0;
  std::uint32_t number = 0;
  bool success = false;
};
std::ostream& operator<<(std::ostream& os, const Step& step) {
  return os << step.act << "(" << step.type << "," << step.channel << "," << step.number << ","
            << step.success << ")";
}

struct Channel {
  bool rescinded = false;
  bool opening = false;
  bool open = false;
  bool modifying = false;
};
enum class Lent { kCreating, kCreated, kTearingDown };
struct Gpadl {
  Lent state = Lent::kCreating;
  std::uint32_t channel = 0;
};

/// Drivers that write down what they asked for, and hold the client to one answer for each.
class Drivers final : public ClientNotifier {
 public:
  explicit Drivers(Version newest)
      : client_({.newest_version = newest}, channel_slots_, gpadl_slots_, *this) {}

  void take(const Step& step);
  /// The server takes every channel away: whoever still waits must be answered by that.
  void rescind_all();
  void check();

  void send_message(std::uint32_t, std::span<const std::byte> message) override;
  void connected(Version) override {
    RC_ASSERT(connecting_);
    connecting_ = false;
  }
  void connect_failed() override { connected(Version::kWin8); }
  void offered(ChannelId channel, const OfferChannel&) override {
    RC_ASSERT(channel.value() != 0u && channel.value() <= kMaxChannelId);
    const bool fresh = channels_.try_emplace(channel.value()).second;
    RC_ASSERT(fresh);
  }
  void all_offers_delivered() override {
    RC_ASSERT(asked_for_offers_);
    asked_for_offers_ = false;
  }
  void opened(ChannelId channel, bool success) override {
    Channel& known = channels_.at(channel.value());
    RC_ASSERT(known.opening);
    known.opening = false;
    known.open = success;
  }
  void rescinded(ChannelId channel) override {
    Channel& known = channels_.at(channel.value());
    RC_ASSERT(!known.rescinded && !known.opening && !known.modifying);
    for (const auto& [id, gpadl] : gpadls_) {
      RC_ASSERT(gpadl.channel != channel.value() || gpadl.state == Lent::kCreated);
    }
    known.rescinded = true;
    known.open = false;
  }
  void modified(ChannelId channel, bool) override {
    Channel& known = channels_.at(channel.value());
    RC_ASSERT(known.modifying);
    known.modifying = false;
  }
  void gpadl_created(GpadlId id, bool success) override {
    Gpadl& gpadl = gpadls_.at(id.value());
    RC_ASSERT(gpadl.state == Lent::kCreating);
    if (success) {
      gpadl.state = Lent::kCreated;
    } else {
      gpadls_.erase(id.value());
    }
  }
  void gpadl_torndown(GpadlId id) override {
    RC_ASSERT(gpadls_.at(id.value()).state == Lent::kTearingDown);
    gpadls_.erase(id.value());
  }
  void unloaded() override {
    RC_ASSERT(unloading_);
    unloading_ = false;
    channels_.clear();
    gpadls_.clear();
  }
  void reserved_closed(ChannelId) override { RC_FAIL("nobody closed a reserved channel"); }
  void service_refused(const Guid&, const Guid&, std::uint32_t) override {}
  void connection_modified(bool) override { RC_FAIL("nobody changed the connection"); }
  void paused() override {
    RC_ASSERT(pausing_);
    pausing_ = false;
  }

 private:
  template <class T>
  void hear(const T& message) {
    client_.handle_message(bytes_of(message));
  }
  void hear(const Step& step);
  void wish(const Step& step);
  void lend(std::uint32_t channel);
  void take_back(std::uint32_t id);
  void open(std::uint32_t channel, std::uint32_t ring);
  void close(std::uint32_t channel);
  void modify(std::uint32_t channel);
  void release(std::uint32_t channel);
  Channel* known(std::uint32_t channel) {
    const auto found = channels_.find(channel);
    return found == channels_.end() ? nullptr : &found->second;
  }
  bool lends(std::uint32_t channel) const {
    return std::ranges::any_of(gpadls_,
                               [&](const auto& lent) { return lent.second.channel == channel; });
  }

  std::array<ClientChannel, kChannels> channel_slots_{};
  std::array<ClientGpadl, kGpadls> gpadl_slots_{};
  Client client_;
  std::map<std::uint32_t, Channel> channels_;
  std::map<std::uint32_t, Gpadl> gpadls_;
  bool connecting_ = false;
  bool asked_for_offers_ = false;
  bool unloading_ = false;
  bool pausing_ = false;
  std::size_t sent_ = 0;
  std::set<std::uint32_t> ever_lent_;
};

/// What goes out names only what the server has offered, and only while that makes sense.
void Drivers::send_message(std::uint32_t, std::span<const std::byte> message) {
  ++sent_;
  const auto type = read_object<MessageHeader>(message)->type;
  const auto channel = read_object<std::uint32_t>(message, sizeof(MessageHeader)).value_or(0);
  switch (type) {
    case MessageType::kOpenChannel:
    case MessageType::kCloseChannel:
    case MessageType::kModifyChannel:
    case MessageType::kGpadlHeader:
      RC_ASSERT(known(channel) != nullptr && !known(channel)->rescinded);
      return;
    case MessageType::kGpadlTeardown:
      RC_ASSERT(known(channel) != nullptr);
      return;
    case MessageType::kRelidReleased:
      RC_ASSERT(known(channel) != nullptr && known(channel)->rescinded && !lends(channel));
      return;
    default:
      return;
  }
}

void Drivers::lend(std::uint32_t channel) {
  const std::vector<machine::Gpn> pages(40, machine::Gpn(5));
  GpadlId id;
  // Its id counts up: it is known before the answer can come.
  const std::uint32_t next = kFirstGpadl + static_cast<std::uint32_t>(ever_lent_.size());
  gpadls_[next] = {Lent::kCreating, channel};
  if (client_.create_gpadl(ChannelId(channel), pages, id) == ClientStatus::kDone) {
    RC_ASSERT(id.value() == next);
    RC_ASSERT(ever_lent_.insert(next).second);
  } else {
    gpadls_.erase(next);
  }
}

void Drivers::take_back(std::uint32_t id) {
  const auto found = gpadls_.find(id);
  const Lent before = found == gpadls_.end() ? Lent::kCreating : found->second.state;
  if (found != gpadls_.end()) {
    found->second.state = Lent::kTearingDown;
  }
  const ClientStatus status = client_.teardown_gpadl(GpadlId(id));
  if (status == ClientStatus::kDone) {
    RC_ASSERT(before == Lent::kCreated);
  } else if (found != gpadls_.end()) {
    found->second.state = before;
  }
}

void Drivers::open(std::uint32_t channel, std::uint32_t ring) {
  OpenParameters parameters;
  parameters.ring_gpadl = GpadlId(ring);
  const ClientStatus status = client_.open(ChannelId(channel), parameters);
  if (status == ClientStatus::kDone) {
    RC_ASSERT(!known(channel)->opening && !known(channel)->open);
    RC_ASSERT(gpadls_.at(ring).state == Lent::kCreated && gpadls_.at(ring).channel == channel);
    known(channel)->opening = true;
  }
}

void Drivers::close(std::uint32_t channel) {
  if (client_.close(ChannelId(channel)) == ClientStatus::kDone) {
    RC_ASSERT(known(channel)->open);
    known(channel)->open = false;
  }
}

void Drivers::modify(std::uint32_t channel) {
  if (client_.modify(ChannelId(channel), 1) == ClientStatus::kDone) {
    RC_ASSERT(known(channel)->open && !known(channel)->modifying);
    RC_ASSERT(has_modify_channel(client_.version()));
    known(channel)->modifying = has_modify_response(client_.version());
  }
}

void Drivers::release(std::uint32_t channel) {
  if (client_.release_channel(ChannelId(channel)) == ClientStatus::kDone) {
    channels_.erase(channel);
  }
}

void Drivers::wish(const Step& step) {
  const std::uint32_t id = kFirstGpadl + step.number;
  switch (static_cast<Act>(step.act)) {
    case Act::kConnect:
      if (client_.state() == ClientState::kDisconnected) {
        connecting_ = true;
        asked_for_offers_ = false;
        pausing_ = false;
      }
      (void)client_.connect();
      return;
    case Act::kRequestOffers:
      asked_for_offers_ = client_.request_offers() == ClientStatus::kDone || asked_for_offers_;
      return;
    case Act::kUnload:
      if (client_.state() == ClientState::kConnected) {
        unloading_ = true;
      }
      (void)client_.unload();
      return;
    case Act::kLend:
      return lend(step.channel);
    case Act::kTakeBack:
      return take_back(id);
    case Act::kOpen:
      return open(step.channel, id);
    case Act::kClose:
      return close(step.channel);
    case Act::kModify:
      return modify(step.channel);
    case Act::kRelease:
      return release(step.channel);
    case Act::kPause:
      pausing_ = client_.pause() == ClientStatus::kDone || pausing_;
      return;
    case Act::kHear:
      return;
  }
}

void Drivers::hear(const Step& step) {
  const auto status = step.success ? kStatusSuccess : kStatusUnsuccessful;
  const std::uint32_t gpadl = kFirstGpadl + step.number;
  switch (MessageType{step.type}) {
    case MessageType::kVersionResponse: {
      VersionResponse message;
      message.version_supported = step.success ? 1 : 0;
      message.version_or_connection_id = 4;
      return hear(VersionResponseWithFeatures{message, kKnownFeatures});
    }
    case MessageType::kOfferChannel: {
      OfferChannel message;
      message.channel_id = step.channel;
      return hear(message);
    }
    case MessageType::kOpenChannelResult: {
      OpenChannelResult message;
      message.channel_id = step.channel;
      message.open_id = step.number == 0 ? 0 : step.channel;
      message.status = status;
      return hear(message);
    }
    case MessageType::kGpadlCreated: {
      GpadlCreated message;
      message.channel_id = step.channel;
      message.gpadl_id = gpadl;
      message.status = status;
      return hear(message);
    }
    case MessageType::kGpadlTorndown: {
      GpadlTorndown message;
      message.gpadl_id = gpadl;
      return hear(message);
    }
    case MessageType::kModifyChannelResponse: {
      ModifyChannelResponse message;
      message.channel_id = step.channel;
      message.status = status;
      return hear(message);
    }
    default:
      return hear(ChannelMessage{{MessageType{step.type}, 0}, step.channel});
  }
}

void Drivers::take(const Step& step) {
  if (step.act < static_cast<int>(Act::kHear)) {
    const std::size_t sent = sent_;
    const ClientState state = client_.state();
    wish(step);
    // What is refused sends nothing.
    RC_ASSERT(state != ClientState::kUnloading || sent_ == sent);
  } else {
    hear(step);
  }
  check();
}

void Drivers::check() {
  for (std::uint32_t channel = 1; channel <= kChannels + 1; ++channel) {
    const ClientChannelState state = client_.channel_state(ChannelId(channel));
    const Channel* const account = known(channel);
    RC_ASSERT((state == ClientChannelState::kFree) == (account == nullptr));
    if (account != nullptr) {
      RC_ASSERT((state == ClientChannelState::kRescinded) == account->rescinded);
      RC_ASSERT((state == ClientChannelState::kOpening) == account->opening);
      RC_ASSERT((state == ClientChannelState::kOpen) == account->open);
    }
  }
  RC_ASSERT(client_.gpadl_count() == gpadls_.size());
}

void Drivers::rescind_all() {
  if (client_.state() != ClientState::kConnected) {
    return;
  }
  const std::map<std::uint32_t, Channel> before = channels_;
  for (const auto& [id, channel] : before) {
    hear(ChannelMessage{{MessageType::kRescindChannelOffer, 0}, id});
    RC_ASSERT(known(id)->rescinded);
  }
  const std::map<std::uint32_t, Gpadl> lent = gpadls_;
  for (const auto& [id, gpadl] : lent) {
    take_back(id);
  }
  RC_ASSERT(gpadls_.empty());
  for (const auto& [id, channel] : before) {
    release(id);
  }
  RC_ASSERT(channels_.empty());
  check();
}

rc::Gen<Step> some_step() {
  return rc::gen::build<Step>(
      rc::gen::set(&Step::act, rc::gen::inRange(0, kActs)),
      rc::gen::set(&Step::type,
                   rc::gen::weightedOneOf<std::uint32_t>(
                       {{6, rc::gen::elementOf(std::vector<std::uint32_t>{1, 2, 4, 6, 10, 12, 15})},
                        {1, rc::gen::inRange<std::uint32_t>(0, 32)}})),
      rc::gen::set(&Step::channel, rc::gen::inRange<std::uint32_t>(0, kChannels + 2)),
      rc::gen::set(&Step::number, rc::gen::inRange<std::uint32_t>(0, 8)),
      rc::gen::set(&Step::success, rc::gen::arbitrary<bool>()));
}

/// What any client does first, so that the drawn steps find something.
std::vector<Step> beginning() {
  const auto hear = [](MessageType type, std::uint32_t channel) {
    return Step{static_cast<int>(Act::kHear), static_cast<std::uint32_t>(type), channel, 0, true};
  };
  return {{static_cast<int>(Act::kConnect), 0, 0, 0, false},
          hear(MessageType::kVersionResponse, 0),
          {static_cast<int>(Act::kRequestOffers), 0, 0, 0, false},
          hear(MessageType::kOfferChannel, 1),
          hear(MessageType::kOfferChannel, 2),
          {static_cast<int>(Act::kLend), 0, 1, 0, false},
          hear(MessageType::kGpadlCreated, 1)};
}

}  // namespace

TEST_CASE("a client answers its drivers once, whatever the server says",
          "[vmbus][client][property]") {
  for (const Version version :
       {Version::kCopper, Version::kIron, Version::kWin10Rs3, Version::kWin10, Version::kWin8}) {
    REQUIRE(rc::check([&] {
      seam_record::clear();
      const auto drivers = std::make_unique<Drivers>(version);
      for (const Step& step : beginning()) {
        drivers->take(step);
      }
      const auto steps = *rc::gen::container<std::vector<Step>>(some_step());
      for (const Step& step : steps) {
        drivers->take(step);
      }
      drivers->rescind_all();
    }));
  }
}
