// The server against a simple account of what a client and the devices may rely on: any messages,
// legal or not, from a guest that keeps no rules, between any answers and wishes of the host.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "tests/support/gpadl_wire.h"
#include "tests/support/seam_record.h"
#include "vmbus/server/server.h"

using namespace vmbus;

namespace {

constexpr std::uint32_t kDevices = 3;
constexpr std::uint32_t kIdsOfChannel = 3;

enum class Act {
  kContact,
  kRequestOffers,
  kHeader,
  kPartialHeader,
  kBody,
  kTeardown,
  kOpen,
  kOpenReserved,
  kClose,
  kCloseReserved,
  kModify,
  kReleaseRelid,
  kUnload,
  kAnswer,
  kOffer,
  kRevoke,
  kReset,
};
constexpr int kActs = static_cast<int>(Act::kReset) + 1;

struct Step {
  Act act = Act::kContact;
  std::uint32_t channel = 0;
  std::uint32_t number = 0;
  bool success = false;
};
std::ostream& operator<<(std::ostream& os, const Step& step) {
  return os << static_cast<int>(step.act) << "(" << step.channel << "," << step.number << ","
            << step.success << ")";
}

struct Question {
  enum class Kind { kContact, kOpen, kClose, kRetarget, kGpadl, kRelease };
  Kind kind = Kind::kContact;
  OfferId offer;
  GpadlId gpadl;
};

/// Devices that answer when they are told to, and the account of what was promised.
class Host final : public ServerNotifier {
 public:
  explicit Host(Version newest)
      : server_({.newest_version = newest}, channels_, gpadls_, storage_, *this) {}

  void take(const Step& step);
  /// Every device answers, until nobody is asked any more.
  void settle() {
    while (!questions_.empty()) {
      answer(0, true);
    }
  }
  void check_nobody_waits() const;
  void check_nothing_is_left();

  void send_message(std::uint32_t, std::span<const std::byte> message) override;
  void send_reserved_message(const ReservedTarget&, std::span<const std::byte> message) override;
  void hold_messages(bool) override {}
  void forget_messages() override {}
  void contact(const Contact&) override { ask(Question::Kind::kContact, {}); }
  bool change_monitor_pages(const MonitorPages&) override { return true; }
  void tl_connect(const TlConnect&) override {}
  void disconnected() override { held_.clear(); }
  void open(OfferId offer, const ChannelOpening& opening, const RingPages&) override {
    RC_ASSERT(!rings_.contains(offer.slot));
    RC_ASSERT(lent_.contains(opening.ring_gpadl.value()));
    rings_[offer.slot] = opening.ring_gpadl.value();
    ask(Question::Kind::kOpen, offer);
  }
  void close(OfferId offer) override {
    RC_ASSERT(rings_.contains(offer.slot));
    ask(Question::Kind::kClose, offer);
  }
  void retarget(OfferId offer, std::uint32_t) override { ask(Question::Kind::kRetarget, offer); }
  void gpadl(OfferId offer, const Gpadl& gpadl) override {
    lent_.insert(gpadl.id.value());
    ask(Question::Kind::kGpadl, offer, gpadl.id);
  }
  void gpadl_release(OfferId offer, GpadlId id) override {
    // The pages of a ring are not asked back from a device that still uses it.
    const auto ring = rings_.find(offer.slot);
    const bool is_used = ring != rings_.end() && ring->second == id.value();
    RC_ASSERT_FALSE(is_used);
    ask(Question::Kind::kRelease, offer, id);
  }

 private:
  struct Opened {
    int results = 0;
    bool accepted = false;
    bool lost = false;
  };

  void ask(Question::Kind kind, OfferId offer, GpadlId gpadl = {}) {
    questions_.push_back({kind, offer, gpadl});
  }
  void answer(std::size_t choice, bool success);
  void act_as_host(const Step& step);
  void revoke(std::uint32_t device);
  void say_open(std::uint32_t channel, std::uint32_t gpadl);
  void say_release(std::uint32_t channel);
  void say_end(const Step& step);
  template <class T>
  bool say(const T& message);
  static std::uint32_t gpadl_id(std::uint32_t channel, std::uint32_t number) {
    return channel * kIdsOfChannel + number % kIdsOfChannel;
  }

  std::array<std::uint64_t, 512> words_{};
  std::array<ServerChannel, kDevices + 1> channels_{};
  std::array<Gpadl, 8> gpadls_{};
  FixedGpadlStorage storage_{words_};
  Server server_;
  std::array<std::optional<OfferId>, kDevices> offers_{};
  std::vector<Question> questions_;

  std::set<std::uint32_t> held_;                  // channel ids that the client knows
  std::set<std::uint32_t> lent_;                  // GPADLs that a device may touch
  std::map<std::uint32_t, std::uint32_t> rings_;  // of devices that are open, by slot
  std::map<std::uint32_t, Opened> opened_;        // by open id
  std::uint32_t next_open_id_ = 1;
  int unloads_owed_ = 0;
  int reserved_closes_ = 0;
};

template <class T>
bool Host::say(const T& message) {
  seam_record::record().traces.clear();
  server_.handle_message(bytes_of(message));
  return seam_record::count_traces("vmbus.server.message_refused") == 0 &&
         seam_record::count_traces("vmbus.server.message_ignored") == 0;
}

void Host::send_message(std::uint32_t, std::span<const std::byte> message) {
  switch (read_object<MessageHeader>(message)->type) {
    case MessageType::kOfferChannel: {
      const std::uint32_t id = read_object<OfferChannel>(message)->channel_id;
      RC_ASSERT(held_.insert(id).second);  // Not before the client has let it go.
      return;
    }
    case MessageType::kRescindChannelOffer:
      RC_ASSERT(held_.contains(read_object<ChannelMessage>(message)->channel_id));
      return;
    case MessageType::kOpenChannelResult: {
      Opened& opened = opened_[read_object<OpenChannelResult>(message)->open_id];
      RC_ASSERT(!opened.lost);
      RC_ASSERT(++opened.results == 1);
      return;
    }
    case MessageType::kGpadlTorndown:
      RC_ASSERT(!lent_.contains(read_object<GpadlTorndown>(message)->gpadl_id));
      return;
    case MessageType::kUnloadResponse:
      RC_ASSERT(unloads_owed_-- == 1);
      return;
    default:
      return;
  }
}

void Host::send_reserved_message(const ReservedTarget&, std::span<const std::byte> message) {
  if (read_object<MessageHeader>(message)->type == MessageType::kCloseReservedResponse) {
    RC_ASSERT(reserved_closes_-- > 0);
  }
}

void Host::answer(std::size_t choice, bool success) {
  std::size_t at = choice % questions_.size();
  // A device answers a retarget before the close that follows it.
  for (std::size_t earlier = 0; earlier < at; ++earlier) {
    if (questions_[earlier].kind == Question::Kind::kRetarget &&
        questions_[earlier].offer == questions_[at].offer) {
      at = earlier;
    }
  }
  const Question question = questions_[at];
  questions_.erase(questions_.begin() + static_cast<std::ptrdiff_t>(at));
  switch (question.kind) {
    case Question::Kind::kContact:
      RC_ASSERT(server_.contact_complete(success ? ContactState::kSuccessful
                                                 : ContactState::kLowResources));
      return;
    case Question::Kind::kOpen:
      if (!success) {
        rings_.erase(question.offer.slot);
      }
      RC_ASSERT(server_.open_complete(question.offer, success));
      return;
    case Question::Kind::kClose:
      rings_.erase(question.offer.slot);
      RC_ASSERT(server_.close_complete(question.offer));
      return;
    case Question::Kind::kRetarget:
      (void)server_.retarget_complete(question.offer, success);
      return;
    case Question::Kind::kGpadl:
      if (!success) {
        lent_.erase(question.gpadl.value());
      }
      RC_ASSERT(server_.gpadl_complete(question.offer, question.gpadl, success));
      return;
    case Question::Kind::kRelease:
      lent_.erase(question.gpadl.value());
      RC_ASSERT(server_.gpadl_release_complete(question.offer, question.gpadl));
      return;
  }
}

/// The device has stopped: it answers nothing more and touches nothing.
void Host::revoke(std::uint32_t device) {
  const OfferId offer = *offers_[device];
  std::erase_if(questions_, [&](const Question& question) {
    return question.kind != Question::Kind::kContact && question.offer == offer;
  });
  rings_.erase(offer.slot);
  for (std::uint32_t number = 0; number < kIdsOfChannel; ++number) {
    lent_.erase(gpadl_id(offer.slot + 1, number));
  }
  RC_ASSERT(server_.revoke(offer));
  offers_[device].reset();
}

void Host::act_as_host(const Step& step) {
  const std::uint32_t device = step.channel % kDevices;
  if (step.act == Act::kAnswer && !questions_.empty()) {
    answer(step.number, step.success);
  } else if (step.act == Act::kOffer && !offers_[device]) {
    Offer offer;
    offer.interface_instance.data1 = device + 1;
    offers_[device] = server_.offer(offer);
  } else if (step.act == Act::kRevoke && offers_[device]) {
    revoke(device);
  } else if (step.act == Act::kReset) {
    say_end(step);
  }
}

/// What ends a connection, in one way or another: nobody waits for an open of it any more.
void Host::say_end(const Step& step) {
  const ServerState before = server_.state();
  if (before == ServerState::kConnected) {
    for (auto& [id, opened] : opened_) {
      opened.lost = true;
    }
  }
  if (step.act == Act::kUnload) {
    unloads_owed_ += before == ServerState::kConnected ? 1 : 0;
    (void)say(EmptyMessage{{MessageType::kUnload, 0}});
    return;
  }
  unloads_owed_ = 0;
  if (step.act == Act::kReset) {
    reserved_closes_ = 0;
    server_.reset();
    return;
  }
  InitiateContact message;
  message.version =
      static_cast<std::uint32_t>(kVersionsNewestFirst[step.number % kVersionsNewestFirst.size()]);
  message.interrupt_page_or_target = kVmbusSint;
  (void)say(message);
}

void Host::say_open(std::uint32_t channel, std::uint32_t gpadl) {
  OpenChannel message;
  message.channel_id = channel;
  message.open_id = next_open_id_++;
  message.ring_gpadl_id = gpadl;
  message.downstream_page_offset = 2;
  const bool accepted = say(message);
  opened_[message.open_id].accepted = accepted;
}

void Host::say_release(std::uint32_t channel) {
  // The server may offer the device again at once.
  const bool was_held = held_.erase(channel) != 0;
  if (!say(ChannelMessage{{MessageType::kRelidReleased, 0}, channel}) && was_held) {
    held_.insert(channel);
  }
}

void Host::take(const Step& step) {
  const std::uint32_t channel = step.channel;
  const std::uint32_t gpadl = gpadl_id(channel, step.number);
  switch (step.act) {
    case Act::kContact:
    case Act::kUnload:
      return say_end(step);
    case Act::kRequestOffers:
      (void)say(EmptyMessage{{MessageType::kRequestOffers, 0}});
      return;
    case Act::kHeader:
    case Act::kPartialHeader: {
      const auto list = gpadl_wire::whole_pages(4);
      const auto part = std::span(list).first(step.act == Act::kHeader ? list.size() : 2);
      server_.handle_message(
          gpadl_wire::message(gpadl_wire::header(channel, gpadl, list.size()), part));
      return;
    }
    case Act::kBody: {
      struct {
        GpadlBody body;
        std::array<std::uint64_t, 3> pages{5, 6, 7};
      } message{.body = {.gpadl_id = gpadl}};
      server_.handle_message(std::as_bytes(std::span(&message, 1)));
      return;
    }
    case Act::kTeardown: {
      GpadlTeardown message;
      message.channel_id = channel;
      message.gpadl_id = gpadl;
      (void)say(message);
      return;
    }
    case Act::kOpen:
      return say_open(channel, gpadl);
    case Act::kOpenReserved: {
      OpenReservedChannel message;
      message.target_sint = kVmbusSint;
      message.channel_id = channel;
      message.ring_gpadl_id = gpadl;
      message.downstream_page_offset = 2;
      (void)say(message);
      return;
    }
    case Act::kClose:
      (void)say(ChannelMessage{{MessageType::kCloseChannel, 0}, channel});
      return;
    case Act::kCloseReserved: {
      CloseReservedChannel message;
      message.target_sint = kVmbusSint;
      message.channel_id = channel;
      ++reserved_closes_;
      reserved_closes_ -= say(message) ? 0 : 1;
      return;
    }
    case Act::kModify: {
      ModifyChannel message;
      message.channel_id = channel;
      message.target_vp = step.number;
      (void)say(message);
      return;
    }
    case Act::kReleaseRelid:
      return say_release(channel);
    case Act::kAnswer:
    case Act::kOffer:
    case Act::kRevoke:
    case Act::kReset:
      return act_as_host(step);
  }
}

void Host::check_nobody_waits() const {
  for (const auto& [id, opened] : opened_) {
    const bool right = opened.lost || opened.results == (opened.accepted ? 1 : 0);
    RC_ASSERT(right);
  }
  RC_ASSERT(unloads_owed_ == 0);
}

void Host::check_nothing_is_left() {
  server_.reset();
  settle();
  server_.reset();
  settle();
  RC_ASSERT(server_.state() == ServerState::kDisconnected);
  RC_ASSERT(server_.gpadl_count() == 0u);
  RC_ASSERT(storage_.used_words() == 0u);
  RC_ASSERT(rings_.empty());
  RC_ASSERT(lent_.empty());
}

rc::Gen<Step> some_step() {
  return rc::gen::exec([] {
    Step step;
    // Answers are as frequent as all that asks for them.
    step.act = *rc::gen::inRange(0, 2) == 0 ? Act::kAnswer : Act{*rc::gen::inRange(0, kActs)};
    step.channel = *rc::gen::inRange<std::uint32_t>(0, kDevices + 2);
    step.number = *rc::gen::inRange<std::uint32_t>(0, 12);
    step.success = *rc::gen::inRange(0, 6) != 0;
    return step;
  });
}

/// A connected client with every device offered, and a ring on channel 1.
void begin(Host& host) {
  for (std::uint32_t device = 0; device < kDevices; ++device) {
    host.take({Act::kOffer, device, 0, true});
  }
  host.take({Act::kContact, 0, 0, true});
  host.settle();
  host.take({Act::kRequestOffers, 0, 0, true});
  host.take({Act::kHeader, 1, 0, true});
  host.settle();
}

}  // namespace

TEST_CASE("whatever a guest says and a host does, what the protocol promises is kept",
          "[vmbus][server][property]") {
  REQUIRE(rc::check([] {
    const auto steps = *rc::gen::resize(300, rc::gen::container<std::vector<Step>>(some_step()));
    const auto host = std::make_unique<Host>(Version::kCopper);
    begin(*host);
    for (const Step& step : steps) {
      host->take(step);
    }
    host->settle();
    host->check_nobody_waits();
    host->check_nothing_is_left();
  }));
}
