// Loop-back connections: each VP posts messages to, and signals, the partition that it is in.
#include <algorithm>
#include <cstring>

#include "machine/machine.h"
#include "machine/testing.h"
#include "partitions/child/program.h"
#include "partitions/child/workloads/loop_path.h"
#include "partitions/child/workloads/workload.h"
#include "partitions/kernel/posting.h"
#include "partitions/kernel/random.h"

namespace child {

namespace {

constexpr machine::Site kUnaltered("child.loop.a_message_comes_unaltered");
constexpr machine::Site kSentAndOnce("child.loop.a_message_was_sent_and_comes_once");
constexpr machine::Site kInOrder("child.loop.messages_of_a_sender_come_in_order");
constexpr machine::Site kSignalled("child.loop.only_signalled_flags_come");
constexpr machine::Site kAccepted("child.loop.a_connection_accepts");
constexpr machine::Site kAllCome("child.loop.everything_sent_comes");
constexpr machine::Site kNoRoom("child.loop.a_port_has_no_room");
constexpr machine::Site kMerged("child.loop.signals_merge");

constexpr hv::MessageType kLoopMessage{0x6};
/// More than a port has buffers.
constexpr std::uint32_t kMostMessagesInARound = 20;
/// Enough for some to come to a word of flags that is being cleared.
constexpr std::uint32_t kMostSignalsInARound = 8;
constexpr std::uint64_t kLookAgain100ns = 500;
constexpr std::uint32_t kMostLooks = 20'000;
/// What should not come has so long to do so.
constexpr std::uint64_t kStrayTime100ns = 10'000;

/// Takes what comes at one SINT of one VP, and belongs to that VP from attach() on.
class LoopReceiver final : public kernel::SintReceiver {
 public:
  LoopReceiver(std::span<LoopPath*> paths, std::uint32_t sint, std::uint32_t senders)
      : paths_(paths), sint_(sint), sender_count_(senders) {}

  void message_arrived(const hv::Message& message) override;
  [[nodiscard]] std::uint32_t event_flag_limit() const override {
    LoopPath* const path = event_path();
    return path == nullptr ? 0 : path->connection().flags;
  }
  void event_flag_set(std::uint32_t flag) override;

 private:
  [[nodiscard]] LoopPath* event_path() const;

  std::span<LoopPath*> paths_;
  std::uint32_t sint_;
  std::uint32_t sender_count_;
  /// The number of the newest message, by path and sender.
  std::array<std::array<std::uint32_t, kMaxLoopSenders>, kernel::kMaxLoopConnections> newest_{};
};

LoopPath* LoopReceiver::event_path() const {
  const auto found = std::ranges::find_if(paths_, [this](const LoopPath* path) {
    return path->carries_events() && path->connection().sint == sint_;
  });
  return found == paths_.end() ? nullptr : *found;
}

void LoopReceiver::message_arrived(const hv::Message& message) {
  const auto found = std::ranges::find_if(paths_, [&](const LoopPath* path) {
    return !path->carries_events() && path->connection().sint == sint_ &&
           path->connection().id == message.header.origination;
  });
  std::array<std::uint32_t, 2> names{};
  std::memcpy(names.data(), message.payload.data(), sizeof names);
  const auto [sender, number] = names;
  if (found == paths_.end() || sender >= sender_count_ || number == 0 ||
      number > kMaxLoopMessages) {
    machine::always(kUnaltered, false, message.header.origination, number);
    return;
  }
  LoopPath& path = **found;
  const LoopMessage expected(path.seed(), sender, number);
  const bool same =
      message.header.type == kLoopMessage && message.header.payload_size == expected.size &&
      std::ranges::equal(expected.content(), std::span(message.payload).first(expected.size));
  machine::always(kUnaltered, same, path.connection().id, number);
  const bool first = path.take(sender, number);
  machine::always(kSentAndOnce, first, sender, number);
  std::uint32_t& newest = newest_[static_cast<std::size_t>(found - paths_.begin())][sender];
  machine::always(kInOrder, number > newest, newest, number);
  newest = number;
}

void LoopReceiver::event_flag_set(std::uint32_t flag) {
  // The words of flags are looked at as a whole: there are some beyond the port's.
  LoopPath* const path = event_path();
  const bool signalled = path != nullptr && flag < path->connection().flags && path->see(flag);
  machine::always(kSignalled, signalled, sint_, flag);
}

/// What one VP sends; used there, and looked at by VP 0 between the rounds.
struct LoopSender {
  std::span<LoopPath*> paths;
  std::uint32_t index = 0;
  std::uint32_t most = 0;
  /// Of how much comes together.
  kernel::Random random{0};
  /// How many messages or signals went through each path.
  std::array<std::uint32_t, kernel::kMaxLoopConnections> sent{};
  bool accepted = true;

  void send_messages(LoopPath& path, std::uint32_t& count);
  void send_signals(LoopPath& path, std::uint32_t& count);
  [[nodiscard]] bool done() const {
    return std::ranges::all_of(std::span(sent).first(paths.size()),
                               [this](std::uint32_t count) { return count == most; });
  }
};

void LoopSender::send_messages(LoopPath& path, std::uint32_t& count) {
  for (std::uint32_t turn = 0; turn < kMostMessagesInARound && count < most; ++turn) {
    const LoopMessage message(path.seed(), index, count + 1);
    path.message_begun(index, count + 1);
    const hv::Status status = kernel::try_post(kernel::make_message(
        hv::ConnectionId{path.connection().id}, kLoopMessage, message.content()));
    const bool no_room = status == hv::Status::kInsufficientBuffers;
    machine::sometimes(kNoRoom, no_room);
    if (no_room) {
      return;
    }
    accepted = accepted && status == hv::Status::kSuccess;
    ++count;
  }
}

void LoopSender::send_signals(LoopPath& path, std::uint32_t& count) {
  const std::uint64_t signals = random.below(kMostSignalsInARound + 1);
  for (std::uint64_t turn = 0; turn < signals && count < most; ++turn) {
    // Every other time the VPs signal the same flag.
    const std::uint32_t offset = count % 2 == 0 ? 0 : index;
    const std::uint32_t flag = (count + offset) % path.connection().flags;
    path.signal_begun(flag);
    const hv::Status status = kernel::signal_event(hv::ConnectionId{path.connection().id},
                                                   static_cast<std::uint16_t>(flag));
    accepted = accepted && status == hv::Status::kSuccess;
    ++count;
  }
}

void send_here(ProcessorState&, std::uint64_t argument) {
  LoopSender& sender = *reinterpret_cast<LoopSender*>(argument);
  for (std::size_t place = 0; place < sender.paths.size(); ++place) {
    LoopPath& path = *sender.paths[place];
    if (path.carries_events()) {
      sender.send_signals(path, sender.sent[place]);
    } else {
      sender.send_messages(path, sender.sent[place]);
    }
  }
}

/// The receivers of one VP, by SINT.
using LoopReceivers = std::array<LoopReceiver*, hv::kSintCount>;

void attach_here(ProcessorState& here, std::uint64_t argument) {
  const LoopReceivers& receivers = *reinterpret_cast<const LoopReceivers*>(argument);
  for (std::uint32_t sint = 0; sint < receivers.size(); ++sint) {
    if (receivers[sint] != nullptr) {
      here.processor().synic().attach(sint, *receivers[sint]);
    }
  }
}

/// Stays for as long as the kernel: its receivers are attached.
class LoopTester {
 public:
  explicit LoopTester(Program& program);
  kernel::Task<bool> run();

 private:
  kernel::Task<> attach();
  /// Every VP sends at the same time.
  kernel::Task<> send_round();
  /// Waits until what was sent has come: the signals only, or all. False after a long time.
  kernel::Task<bool> arrived(bool messages_too);
  [[nodiscard]] bool all_come(bool messages_too) const;
  [[nodiscard]] std::span<LoopSender> senders() { return std::span(senders_).first(count_); }
  void report();

  Program& program_;
  std::uint32_t count_;
  std::array<LoopPath*, kernel::kMaxLoopConnections> paths_{};
  std::array<LoopSender, kMaxLoopSenders> senders_{};
  std::array<LoopReceivers, kMaxLoopSenders> receivers_{};
  std::array<Errand*, kMaxLoopSenders> errands_{};
};

LoopTester::LoopTester(Program& program) : program_(program), count_(program.processor_count()) {
  INVARIANT(count_ <= kMaxLoopSenders);
  const Parameters& settings = program.settings();
  for (std::size_t place = 0; place < settings.loop_count; ++place) {
    const kernel::LoopConnection& connection = settings.loops[place];
    const std::uint64_t seed = settings.seed ^ (std::uint64_t{connection.id} << 32);
    paths_[place] = program.heap().create<LoopPath>(program.heap(), connection, seed);
  }
  const std::span<LoopPath*> paths = std::span(paths_).first(settings.loop_count);
  for (std::uint32_t vp = 0; vp < count_; ++vp) {
    senders_[vp].paths = paths;
    senders_[vp].index = vp;
    senders_[vp].random = kernel::Random(settings.seed ^ vp);
    senders_[vp].most = std::min(settings.messages, kMaxLoopMessages);
    for (const LoopPath* const path : paths) {
      LoopReceiver*& receiver = receivers_[vp][path->connection().sint];
      if (receiver == nullptr) {
        const std::uint32_t sint = path->connection().sint;
        receiver = program.heap().create<LoopReceiver>(paths, sint, count_);
      }
    }
  }
}

kernel::Task<> LoopTester::attach() {
  for (std::uint32_t vp = 0; vp < count_; ++vp) {
    Errand errand(program_.state(vp), &attach_here,
                  reinterpret_cast<std::uintptr_t>(&receivers_[vp]));
    errand.go();
    co_await errand.done();
  }
}

kernel::Task<> LoopTester::send_round() {
  for (std::uint32_t vp = 0; vp < count_; ++vp) {
    errands_[vp] = program_.heap().create<Errand>(program_.state(vp), &send_here,
                                                  reinterpret_cast<std::uintptr_t>(&senders_[vp]));
    errands_[vp]->go();
  }
  for (std::uint32_t vp = 0; vp < count_; ++vp) {
    co_await errands_[vp]->done();
    program_.heap().destroy(errands_[vp]);
  }
}

bool LoopTester::all_come(bool messages_too) const {
  for (std::size_t place = 0; place < program_.settings().loop_count; ++place) {
    const LoopPath& path = *paths_[place];
    std::uint32_t sent = 0;
    for (const LoopSender& sender : std::span(senders_).first(count_)) {
      sent += sender.sent[place];
    }
    if (path.carries_events() ? !path.all_seen() : messages_too && path.messages_come() != sent) {
      return false;
    }
  }
  return true;
}

kernel::Task<bool> LoopTester::arrived(bool messages_too) {
  bool come = all_come(messages_too);
  for (std::uint32_t look = 0; !come && look < kMostLooks; ++look) {
    co_await kernel::sleep_for(kLookAgain100ns);
    come = all_come(messages_too);
  }
  machine::always(kAllCome, come, messages_too ? 1 : 0);
  co_return come;
}

kernel::Task<bool> LoopTester::run() {
  co_await attach();
  bool good = true;
  while (good && !std::ranges::all_of(senders(), &LoopSender::done)) {
    co_await send_round();
    good = std::ranges::all_of(senders(), &LoopSender::accepted);
    machine::always(kAccepted, good);
    good = good && co_await arrived(false);
  }
  good = good && co_await arrived(true);
  co_await kernel::sleep_for(kStrayTime100ns);
  good = good && co_await arrived(true);
  report();
  co_return good;
}

void LoopTester::report() {
  std::uint64_t messages = 0;
  std::uint64_t signals = 0;
  for (std::size_t place = 0; place < program_.settings().loop_count; ++place) {
    for (const LoopSender& sender : senders()) {
      (paths_[place]->carries_events() ? signals : messages) += sender.sent[place];
    }
    machine::sometimes(kMerged, paths_[place]->signals_merged());
  }
  kernel::TextLine text;
  text << "sent itself " << messages << " messages, " << signals << " signals";
  program_.console().line(text.view());
}

}  // namespace

kernel::Task<bool> loop(Program& program) {
  auto* tester = program.heap().create<LoopTester>(program);
  return tester->run();
}

}  // namespace child
