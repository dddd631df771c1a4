#include "tests/support/interleaving.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace interleaving {

namespace {

constexpr std::size_t kDeepestBuffer = 4;

void drain_one(State& state, Actor& actor) {
  const Store store = actor.buffer.front();
  actor.buffer.pop_front();
  if (store.offset < kWordCount) {
    state.words[store.offset] = store.value;
  } else {
    std::copy(store.bytes.begin(), store.bytes.end(),
              state.data.begin() + (store.offset - kWordCount));
  }
}

/// Runs one program up to the access after its history and, if granted, one further.
void run(State& state, std::size_t index, const Program& program, Order order, Mutation mutation,
         bool grant) {
  Port port(state, index, order, mutation, grant);
  try {
    program(port);
    state.actors[index].finished = true;
  } catch (const Port::Stop&) {
  }
}

std::string key_of(const State& state) {
  std::string key;
  const auto add = [&key](std::uint64_t value) {
    // Seven bits a byte, the last one marked: unambiguous and mostly one byte a value.
    while (value >= 0x80) {
      key.push_back(static_cast<char>(value & 0x7F));
      value >>= 7;
    }
    key.push_back(static_cast<char>(value | 0x80));
  };
  for (const std::uint32_t word : state.words) {
    add(word);
  }
  key.append(state.data.begin(), state.data.end());
  for (std::size_t index = 0; index < kActors; ++index) {
    const Actor& actor = state.actors[index];
    add(state.signalled[index] ? 1 : 0);
    add(actor.history.size());
    for (const std::uint64_t result : actor.history) {
      add(result);
    }
    // What lies in a buffer follows from the history and the buffer's length.
    add(actor.buffer.size());
  }
  return key;
}

bool can_step(const State& state, std::size_t index) {
  const Actor& actor = state.actors[index];
  return !actor.finished && !(actor.next_is_fence && !actor.buffer.empty()) &&
         !(actor.next_is_sleep && !state.signalled[index]) && actor.buffer.size() < kDeepestBuffer;
}

}  // namespace

Port::Port(State& state, std::size_t actor, Order order, Mutation mutation, bool grant)
    : state_(state),
      actor_(state.actors[actor]),
      index_(actor),
      order_(order),
      mutation_(mutation),
      grant_(grant) {}

std::uint32_t Port::data_size() const { return static_cast<std::uint32_t>(state_.data.size()); }

bool Port::replayed(bool is_fence, bool is_sleep) {
  if (position_ < actor_.history.size()) {
    return true;
  }
  if (!grant_) {
    actor_.next_is_fence = is_fence;
    actor_.next_is_sleep = is_sleep;
    throw Stop();
  }
  grant_ = false;
  return false;
}

void Port::record(std::uint64_t result) {
  actor_.history.push_back(result);
  position_ = actor_.history.size();
}

std::uint64_t Port::next_result() { return actor_.history[position_++]; }

void Port::put(Store store) {
  actor_.buffer.push_back(std::move(store));
  if (order_ == Order::kSequential) {
    drain_one(state_, actor_);
  }
}

std::uint32_t Port::load_u32(vmbus::RingWord word) {
  if (replayed(false, false)) {
    return static_cast<std::uint32_t>(next_result());
  }
  const auto offset = static_cast<std::uint32_t>(word) / 4;
  std::uint32_t value = state_.words[offset];
  for (const Store& store : actor_.buffer) {
    value = store.offset == offset ? store.value : value;
  }
  record(value);
  return value;
}

void Port::store_u32(vmbus::RingWord word, std::uint32_t value) {
  last_stored_ = word;
  if (replayed(false, false)) {
    (void)next_result();
  } else {
    put({static_cast<std::uint32_t>(word) / 4, {}, value});
    record(0);
  }
  if (word == vmbus::RingWord::kWriteIndex) {
    for (const Store& store : std::exchange(held_back_, {})) {
      if (replayed(false, false)) {
        (void)next_result();
      } else {
        put(store);
        record(0);
      }
    }
  }
}

void Port::fence() {
  const bool skipped = mutation_.skipped_fence == last_stored_;
  if (replayed(!skipped, false)) {
    (void)next_result();
    return;
  }
  record(0);
}

void Port::copy_in(std::uint32_t offset, std::span<const std::byte> from) {
  Store store{static_cast<std::uint32_t>(kWordCount) + offset, {}, 0};
  for (const std::byte byte : from) {
    store.bytes.push_back(static_cast<std::uint8_t>(byte));
  }
  if (mutation_.index_before_data) {
    held_back_.push_back(std::move(store));
    return;
  }
  if (replayed(false, false)) {
    (void)next_result();
    return;
  }
  put(std::move(store));
  record(0);
}

void Port::copy_out(std::uint32_t offset, std::span<std::byte> to) {
  // One entry of the history for each 8 bytes: a copy is one access, replayed as a whole.
  if (replayed(false, false)) {
    for (std::size_t at = 0; at < to.size(); at += 8) {
      const std::uint64_t word = next_result();
      std::memcpy(to.data() + at, &word, std::min<std::size_t>(8, to.size() - at));
    }
    return;
  }
  for (std::size_t at = 0; at < to.size(); at += 8) {
    std::uint64_t word = 0;
    const std::size_t part = std::min<std::size_t>(8, to.size() - at);
    std::memcpy(&word, state_.data.data() + offset + at, part);
    std::memcpy(to.data() + at, &word, part);
    record(word);
  }
}

void Port::sleep() {
  if (replayed(false, true)) {
    (void)next_result();
    return;
  }
  state_.signalled[index_] = false;
  record(0);
}

void Port::signal() {
  if (replayed(false, false)) {
    (void)next_result();
    return;
  }
  state_.signalled[1 - index_] = true;
  record(0);
}

Outcome explore(State start, const std::array<Program, kActors>& programs, Order order,
                Mutation mutation) {
  Outcome outcome;
  std::set<std::string> seen;
  std::vector<State> stack;
  for (std::size_t index = 0; index < kActors; ++index) {
    run(start, index, programs[index], order, mutation, false);
  }
  const auto visit = [&](State state) {
    if (seen.insert(key_of(state)).second) {
      stack.push_back(std::move(state));
    }
  };
  visit(std::move(start));
  try {
    while (!stack.empty()) {
      const State state = std::move(stack.back());
      stack.pop_back();
      bool stuck = true;
      for (std::size_t index = 0; index < kActors; ++index) {
        if (can_step(state, index)) {
          State next = state;
          run(next, index, programs[index], order, mutation, true);
          visit(std::move(next));
          stuck = false;
        }
        if (!state.actors[index].buffer.empty()) {
          State next = state;
          drain_one(next, next.actors[index]);
          visit(std::move(next));
          stuck = false;
        }
      }
      if (stuck && !(state.actors[0].finished && state.actors[1].finished)) {
        outcome.lost_wake_up = true;
        break;
      }
    }
  } catch (const Violation& violation) {
    outcome.violation = violation.what;
  }
  outcome.states = seen.size();
  return outcome;
}

}  // namespace interleaving
