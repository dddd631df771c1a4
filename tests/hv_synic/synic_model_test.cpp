// A guest and its senders against the SynIC: whatever they do in whatever order, each message
// arrives once, in order within its SINT, and a free slot and a message that could go there never
// stay together.
#include <rapidcheck.h>
#include <rapidcheck/catch.h>
#include <rapidcheck/state.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "tests/hv_synic/message_source.h"

namespace {

using hv::SintRegister;
using synic_test::MessageSource;

constexpr std::uint32_t kFirstSint = 2;
constexpr std::uint32_t kEndSint = 4;

/// A SINT is intercepted, too, or a proxy; both are open otherwise.
enum class Mask : std::uint8_t { kOpen, kMasked, kPolling, kIntercepted, kProxy };

constexpr bool interrupts(Mask mask) { return mask != Mask::kMasked && mask != Mask::kPolling; }

struct ModelSint {
  Mask mask = Mask::kOpen;
  std::optional<std::uint64_t> slot;
  std::deque<std::uint64_t> queue;
  std::set<std::uint32_t> flags;
  /// In its event ring, oldest first; and the two flags beside them.
  std::deque<std::uint32_t> rung;
  bool ring_is_full = false;
  bool ring_is_masked = false;
};

/// The SINTs that ask for an interrupt; and what becomes of that when the intercepted ones have a
/// message in SINT0 for it.
struct Asked {
  std::set<std::uint32_t> before;
  std::set<std::uint32_t> after;
};

struct Model {
  bool enabled = true;
  /// SCONTROL alone, which events depend on too.
  bool synic_enabled = true;
  bool rings_enabled = true;
  std::uint64_t posted = 0;
  std::map<std::uint32_t, ModelSint> sints = {{2, {}}, {3, {}}};
  /// In SINT0: whom its message tells of, whom it has yet to tell of, and whether it waits.
  std::optional<std::uint32_t> told;
  std::set<std::uint32_t> to_tell;
  bool tells = false;

  [[nodiscard]] std::size_t buffers_under_way() const {
    return sints.at(2).queue.size() + sints.at(3).queue.size();
  }
  /// True: SINT0 interrupts.
  bool tell() {
    if (!tells || !enabled || told) {
      return false;
    }
    told = *to_tell.begin();
    to_tell.erase(to_tell.begin());
    tells = !to_tell.empty();
    return true;
  }
  Asked raise(const std::set<std::uint32_t>& asked) {
    Asked result{asked, asked};
    for (const std::uint32_t index : asked) {
      if (index == 0 || sints.at(index).mask != Mask::kIntercepted) {
        continue;
      }
      result.after.erase(index);
      to_tell.insert(index);
      if (!tells) {
        tells = true;
        if (tell()) {
          result.after.insert(0);
        }
      }
    }
    return result;
  }
  /// Returns the SINTs that interrupt.
  std::set<std::uint32_t> deliver(std::uint32_t only_sint = 0) {
    std::set<std::uint32_t> asked;
    if (only_sint == 0 && tell()) {
      asked.insert(0);
    }
    for (auto& [index, sint] : sints) {
      if ((only_sint != 0 && index != only_sint) || !enabled || sint.slot || sint.queue.empty()) {
        continue;
      }
      sint.slot = sint.queue.front();
      sint.queue.pop_front();
      if (interrupts(sint.mask)) {
        asked.insert(index);
      }
    }
    return asked;
  }
};

constexpr machine::Spn kRingPage{102};

/// With event rings, and the guest's places in them.
struct System : synic_test::Fixture {
  System() : Fixture(kRingPage) {
    enable();
    static_cast<void>(synic.write(hv::kMsrSirbp, 0x7001));
    unmask(0);
    for (std::uint32_t sint = kFirstSint; sint < kEndSint; ++sint) {
      unmask(sint);
    }
  }
  static std::uint64_t ring_address(std::uint32_t sint) {
    return kRingPage.value() * machine::kPageSize + sint * sizeof(hv::EventRingLayout);
  }
  [[nodiscard]] bool ring_flag(std::uint32_t sint, std::uint64_t flag) {
    return memory.get<std::uint8_t>(ring_address(sint) + flag) != 0;
  }
  void clear_ring_flags(std::uint32_t sint) { memory.set(ring_address(sint), std::uint16_t{0}); }
  /// 0: none.
  std::uint32_t take_rung(std::uint32_t sint) {
    std::uint64_t& tail = tails[sint];
    const std::uint64_t entry = ring_address(sint) + 4 + 4 * tail;
    const auto port = memory.get<std::uint32_t>(entry);
    memory.set(entry, std::uint32_t{0});
    tail = (tail + 1) % hv::EventRingLayout::kEntries;
    return port;
  }

  MessageSource source;
  std::map<std::uint32_t, std::uint64_t> tails;
};

using Command = rc::state::Command<Model, System>;

std::uint32_t any_sint() { return *rc::gen::inRange(kFirstSint, kEndSint); }

void check_set(hv::SintSet shown, const std::set<std::uint32_t>& expected) {
  for (std::uint32_t sint = 0; sint < hv::kSintCount; ++sint) {
    RC_ASSERT(shown.has(sint) == expected.contains(sint));
  }
}

/// Of what asks for interrupts, the intercepted ones are told of in SINT0.
void check_interrupts(System& system, hv::SintSet asked, const Asked& expected) {
  check_set(asked, expected.before);
  check_set(system.synic.intercept(asked), expected.after);
}

void check_slots(const Model& model, System& system) {
  for (const auto& [index, sint] : model.sints) {
    const hv::Message message = synic_test::slot(system.memory, index);
    RC_ASSERT((message.header.type != hv::MessageType::kNone) == sint.slot.has_value());
    if (sint.slot) {
      RC_ASSERT(synic_test::number_in(message) == *sint.slot);
      // Whoever empties this slot must learn that another message waits.
      const bool pending = (message.header.flags & hv::MessageHeader::kMessagePending) != 0;
      RC_ASSERT(pending || sint.queue.empty() || !model.enabled);
    }
    RC_ASSERT(system.synic.is_queued(index) == !sint.queue.empty());
  }
  const hv::Message first = synic_test::slot(system.memory, 0);
  RC_ASSERT((first.header.type != hv::MessageType::kNone) == model.told.has_value());
  if (model.told) {
    RC_ASSERT(first.header.type == hv::MessageType::kSynicSintIntercept);
    RC_ASSERT((synic_test::number_in(first) & 0xFFFF'FFFF) == *model.told);
    const bool pending = (first.header.flags & hv::MessageHeader::kMessagePending) != 0;
    RC_ASSERT(pending || !model.tells || !model.enabled);
  }
  RC_ASSERT(system.synic.is_queued(0) == model.tells);
  RC_ASSERT(static_cast<std::size_t>(std::popcount(system.source.owner.busy_buffers())) ==
            model.buffers_under_way());
}

struct Post : Command {
  std::uint32_t sint = any_sint();
  /// Into the slot if that is empty, as a port's message goes.
  bool past_queue = *rc::gen::arbitrary<bool>();
  void checkPreconditions(const Model& model) const override {
    RC_PRE(model.buffers_under_way() < MessageSource::kBuffers);
    RC_PRE(model.enabled);  // the sender is told otherwise, of these two
    RC_PRE(model.sints.at(sint).mask != Mask::kProxy);
  }
  void apply(Model& model) const override { act(model); }
  Asked act(Model& model) const {
    model.sints[sint].queue.push_back(++model.posted);
    return model.raise(model.sints[sint].mask == Mask::kMasked ? std::set<std::uint32_t>()
                                                               : model.deliver(sint));
  }
  void run(const Model& model, System& system) const override {
    Model next = model;
    const Asked expected = act(next);
    RC_ASSERT(system.synic.accepts_messages(sint));
    hv::QueuedMessage* const message = system.source.make(next.posted);
    RC_ASSERT(message != nullptr);
    const std::optional<hv::SintSet> posted =
        past_queue ? system.synic.post_past_queue(sint, *message) : std::nullopt;
    if (posted) {
      system.source.owner.set_free(message->buffer);
    }
    const hv::SintSet asked = posted ? *posted : system.synic.post(sint, *message, 0);
    check_interrupts(system, asked, expected);
    check_slots(next, system);
  }
};

struct TakeMessage : Command {
  std::uint32_t sint = any_sint();
  bool writes_eom = *rc::gen::weightedElement<bool>({{4, true}, {1, false}});
  void checkPreconditions(const Model& model) const override {
    RC_PRE(model.sints.at(sint).slot.has_value());
  }
  void apply(Model& model) const override { act(model); }
  Asked act(Model& model) const {
    model.sints[sint].slot.reset();
    return writes_eom ? model.raise(model.deliver()) : Asked();
  }
  void run(const Model& model, System& system) const override {
    const auto taken = synic_test::take(system.memory, sint);
    RC_ASSERT(taken.has_value());
    RC_ASSERT(taken->number == *model.sints.at(sint).slot);
    Model next = model;
    const Asked expected = act(next);
    if (writes_eom) {
      check_interrupts(system, system.synic.deliver(0), expected);
    }
    check_slots(next, system);
  }
};

/// The same of SINT0, which tells of intercepted ones.
struct TakeTold : Command {
  bool writes_eom = *rc::gen::weightedElement<bool>({{4, true}, {1, false}});
  void checkPreconditions(const Model& model) const override { RC_PRE(model.told.has_value()); }
  void apply(Model& model) const override { act(model); }
  Asked act(Model& model) const {
    model.told.reset();
    return writes_eom ? model.raise(model.deliver()) : Asked();
  }
  void run(const Model& model, System& system) const override {
    RC_ASSERT(synic_test::take(system.memory, 0).has_value());
    Model next = model;
    const Asked expected = act(next);
    if (writes_eom) {
      check_interrupts(system, system.synic.deliver(0), expected);
    }
    check_slots(next, system);
  }
};

struct WriteSint : Command {
  std::uint32_t sint = any_sint();
  Mask mask = *rc::gen::element(Mask::kOpen, Mask::kMasked, Mask::kPolling, Mask::kIntercepted,
                                Mask::kIntercepted, Mask::kProxy);
  static std::uint64_t bits_of(Mask mask) {
    switch (mask) {
      case Mask::kOpen:
        return 0;
      case Mask::kMasked:
        return SintRegister::kMasked;
      case Mask::kPolling:
        return SintRegister::kPolling;
      case Mask::kIntercepted:
        return SintRegister::kAsIntercept;
      case Mask::kProxy:
        break;
    }
    return SintRegister::kProxy;
  }
  void apply(Model& model) const override { act(model); }
  Asked act(Model& model) const {
    model.sints[sint].mask = mask;
    return model.raise(model.deliver());
  }
  void run(const Model& model, System& system) const override {
    Model next = model;
    const Asked expected = act(next);
    system.unmask(sint, bits_of(mask));
    RC_ASSERT(system.synic.accepts_messages(sint) == (model.enabled && mask != Mask::kProxy));
    check_interrupts(system, system.synic.deliver(0), expected);
    check_slots(next, system);
  }
};

struct Signal : Command {
  std::uint32_t sint = any_sint();
  std::uint32_t flag = *rc::gen::element(0u, 1u, 63u, 64u, 2047u);
  struct Expected {
    bool accepted = false;
    bool newly_set = false;
    Asked asked;
  };
  void apply(Model& model) const override { act(model); }
  Expected act(Model& model) const {
    ModelSint& target = model.sints[sint];
    Expected expected;
    expected.accepted =
        model.synic_enabled && target.mask != Mask::kMasked && target.mask != Mask::kProxy;
    expected.newly_set = expected.accepted && target.flags.insert(flag).second;
    if (expected.newly_set && interrupts(target.mask)) {
      expected.asked = model.raise({sint});
    }
    return expected;
  }
  void run(const Model& model, System& system) const override {
    Model next = model;
    const Expected expected = act(next);
    RC_ASSERT(system.synic.accepts_events(sint) == expected.accepted);
    hv::Synic::EventOutcome outcome;
    const hv::Status status = system.synic.signal(sint, flag, outcome);
    RC_ASSERT((status == hv::Status::kSuccess) == expected.accepted);
    RC_ASSERT(outcome.newly_set == expected.newly_set);
    check_interrupts(system, outcome.interrupts, expected.asked);
    check_slots(next, system);
  }
};

/// The guest takes a flag with a locked instruction, as it finds it.
struct TakeFlag : Command {
  std::uint32_t sint = any_sint();
  std::uint32_t flag = *rc::gen::element(0u, 1u, 63u, 64u, 2047u);
  void apply(Model& model) const override { model.sints[sint].flags.erase(flag); }
  void run(const Model& model, System& system) const override {
    const std::uint64_t at = synic_test::kEventPage.value() * machine::kPageSize +
                             sint * hv::kEventFlagsAreaBytes + flag / 8;
    const auto byte = system.memory.get<std::uint8_t>(at);
    const bool is_set = ((byte >> (flag % 8)) & 1) != 0;
    RC_ASSERT(is_set == model.sints.at(sint).flags.contains(flag));
    system.memory.set(at, static_cast<std::uint8_t>(byte & ~(1u << (flag % 8))));
  }
};

struct Ring : Command {
  std::uint32_t sint = any_sint();
  std::uint32_t port = *rc::gen::inRange(1u, hv::kPortIdMax + 1);
  /// Now and then as many as a ring holds.
  std::uint32_t times = *rc::gen::weightedElement<std::uint32_t>({{4, 1}, {1, 40}});
  struct Expected {
    bool accepted = false;
    bool put = false;
    Asked asked;
  };
  void apply(Model& model) const override {
    for (std::uint32_t time = 0; time < times; ++time) {
      act(model);
    }
  }
  Expected act(Model& model) const {
    ModelSint& target = model.sints[sint];
    Expected expected;
    expected.accepted = model.synic_enabled && model.rings_enabled &&
                        target.mask != Mask::kMasked && target.mask != Mask::kProxy;
    if (!expected.accepted) {
      return expected;
    }
    expected.put = target.rung.size() < hv::EventRingLayout::kEntries;
    if (expected.put) {
      target.rung.push_back(port);
    } else {
      target.ring_is_full = true;
    }
    if (!std::exchange(target.ring_is_masked, true) && interrupts(target.mask)) {
      expected.asked = model.raise({sint});
    }
    return expected;
  }
  void run(const Model& model, System& system) const override {
    Model next = model;
    for (std::uint32_t time = 0; time < times; ++time) {
      const Expected expected = act(next);
      RC_ASSERT(system.synic.accepts_doorbells(sint) == expected.accepted);
      bool put = false;
      hv::SintSet asked;
      const hv::Status status = system.synic.ring(sint, hv::PortId{port}, put, asked);
      RC_ASSERT((status == hv::Status::kSuccess) == expected.accepted);
      RC_ASSERT(put == expected.put);
      check_interrupts(system, asked, expected.asked);
    }
    check_slots(next, system);
  }
};

/// The guest empties a ring as it finds it, clears its flags, and sleeps again.
struct EmptyRing : Command {
  std::uint32_t sint = any_sint();
  std::size_t leaves = *rc::gen::inRange<std::size_t>(0, 3);
  void apply(Model& model) const override {
    ModelSint& target = model.sints[sint];
    target.rung.erase(target.rung.begin(), target.rung.end() - kept(target));
    target.ring_is_full = target.ring_is_masked = false;
  }
  [[nodiscard]] std::ptrdiff_t kept(const ModelSint& target) const {
    return static_cast<std::ptrdiff_t>(std::min(leaves, target.rung.size()));
  }
  void run(const Model& model, System& system) const override {
    const ModelSint& target = model.sints.at(sint);
    RC_ASSERT(system.ring_flag(sint, 0) == target.ring_is_masked);
    RC_ASSERT(system.ring_flag(sint, 1) == target.ring_is_full);
    const std::size_t taken = target.rung.size() - static_cast<std::size_t>(kept(target));
    for (std::size_t index = 0; index < taken; ++index) {
      RC_ASSERT(system.take_rung(sint) == target.rung[index]);
    }
    system.clear_ring_flags(sint);
  }
};

struct EnableRings : Command {
  bool enabled = *rc::gen::arbitrary<bool>();
  void apply(Model& model) const override { model.rings_enabled = enabled; }
  void run(const Model&, System& system) const override {
    RC_ASSERT(system.synic.write(hv::kMsrSirbp, 0x7000 | (enabled ? 1 : 0)) ==
              hv::Synic::WriteEffect::kEventRingPage);
  }
};

struct Enable : Command {
  bool enabled = *rc::gen::arbitrary<bool>();
  bool by_page = *rc::gen::arbitrary<bool>();
  void apply(Model& model) const override { act(model); }
  Asked act(Model& model) const {
    model.enabled = enabled;
    model.synic_enabled = enabled || (by_page && model.synic_enabled);
    return model.raise(model.deliver());
  }
  void run(const Model& model, System& system) const override {
    Model next = model;
    const Asked expected = act(next);
    if (enabled) {
      system.enable();
    } else if (by_page) {
      static_cast<void>(system.synic.write(hv::kMsrSimp, 0x5000));
    } else {
      static_cast<void>(system.synic.write(hv::kMsrScontrol, 0));
    }
    RC_ASSERT(system.synic.accepts_messages(0) == enabled);
    check_interrupts(system, system.synic.deliver(0), expected);
    check_slots(next, system);
  }
};

}  // namespace

TEST_CASE("messages arrive once and in order, whatever guest and senders do", "[hv][synic]") {
  rc::prop("SynIC slots", [] {
    System system;
    rc::state::check(
        Model(), system,
        rc::state::gen::execOneOfWithArgs<Post, Post, Post, TakeMessage, TakeMessage, TakeTold,
                                          WriteSint, Enable, Signal, Signal, TakeFlag, Ring, Ring,
                                          EmptyRing, EnableRings>());
    // The guest recovers: it enables everything and answers each interrupt.
    system.enable();
    for (std::uint32_t sint = kFirstSint; sint < kEndSint; ++sint) {
      system.unmask(sint);
    }
    static_cast<void>(system.synic.deliver(0));
    while (synic_test::take(system.memory, 0)) {
      static_cast<void>(system.synic.deliver(0));
    }
    for (std::uint32_t sint = kFirstSint; sint < kEndSint; ++sint) {
      std::uint64_t last = 0;
      while (const auto taken = synic_test::take(system.memory, sint)) {
        RC_ASSERT(taken->number > last);
        last = taken->number;
        static_cast<void>(system.synic.deliver(0));
      }
    }
    RC_ASSERT(!system.synic.any_queued());
    RC_ASSERT(system.source.owner.busy_buffers() == 0u);
  });
}

TEST_CASE("no register write and no bytes in its pages break a promise of the SynIC",
          "[hv][synic]") {
  rc::prop("hostile guest", [] {
    System system;
    for (int step = 0; step < 60; ++step) {
      const std::uint32_t msr =
          *rc::gen::oneOf(rc::gen::inRange(hv::kMsrScontrol, hv::kMsrSirbp + 1),
                          rc::gen::inRange(hv::kMsrSint0, hv::kMsrSint15 + 1));
      const auto value = *rc::gen::arbitrary<std::uint64_t>();
      const std::uint64_t before = system.synic.read(msr);
      const bool faulted = system.synic.write(msr, value) == hv::Synic::WriteEffect::kFault;
      RC_ASSERT(system.synic.read(msr) == (faulted || msr == hv::kMsrEom ? before : value));
      // The guest writes anything anywhere into its pages.
      const std::uint64_t address =
          synic_test::slot_address(0) + *rc::gen::inRange<std::uint64_t>(0, 1024) * 8;
      system.memory.set(address, *rc::gen::arbitrary<std::uint64_t>());
      const std::uint32_t sint = *rc::gen::inRange(0u, hv::kSintCount);
      if (hv::QueuedMessage* const message = system.source.make(1)) {
        static_cast<void>(system.synic.post(sint, *message, 0));
      }
      static_cast<void>(system.synic.deliver(0));
      hv::Synic::EventOutcome outcome;
      static_cast<void>(
          system.synic.signal(sint, *rc::gen::inRange(0u, hv::kEventFlagsPerSint), outcome));
    }
    system.synic.reset();
    RC_ASSERT(system.source.owner.busy_buffers() == 0u);
  });
}
