// A table of messages and states: what an end does with each message in each state, found by
// driving the end itself.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/seam_record.h"
#include "vmbus/protocol/messages.h"
#include "vmbus/protocol/version.h"

namespace vmbus_states {

/// What one message did in one state.
struct Effect {
  /// Messages sent and requests made, in order.
  std::vector<std::string> answers;
  bool refused = false;
  bool ignored = false;
  /// The state after it, if it is another; or what else it left behind.
  std::string next;
  /// Whether anything at all tells what happened: if nothing does, the pair is undefined.
  friend bool operator==(const Effect&, const Effect&) = default;
  [[nodiscard]] bool defined() const {
    return !answers.empty() || refused || ignored || !next.empty();
  }
};

[[nodiscard]] std::string_view name_of(vmbus::MessageType type);
[[nodiscard]] std::string_view name_of(vmbus::Version version);
/// Every type, and one that does not exist.
[[nodiscard]] std::vector<vmbus::MessageType> all_types();

/// What an end does with one message in one state.
struct Row {
  std::string_view state;
  vmbus::MessageType type{};
  Effect effect;
};
using Rows = std::vector<Row>;

/// A state, and how a bus of one end comes into it.
template <class Bus>
struct Case {
  std::string_view name;
  std::function<void(Bus&)> enter;
  /// Whether a version has the state; all do if nothing is said.
  bool (*exists)(vmbus::Version) = nullptr;
};

/// What an end does with each type in each state that the version has. `effect_of` gives it the
/// message and looks at what follows.
template <class Bus>
Rows rows(const std::vector<Case<Bus>>& states, const std::vector<vmbus::MessageType>& types,
          vmbus::Version version,
          const std::function<Effect(Bus&, vmbus::MessageType)>& effect_of) {
  Rows rows;
  for (const Case<Bus>& state : states) {
    if (state.exists != nullptr && !state.exists(version)) {
      continue;
    }
    for (const vmbus::MessageType type : types) {
      const auto bus = std::make_unique<Bus>(version);
      seam_record::clear();
      state.enter(*bus);
      rows.push_back({state.name, type, effect_of(*bus, type)});
    }
  }
  return rows;
}

/// Tells of one part of the state if it is another after the message.
inline void append_change(std::string& text, std::string_view what, const std::string& before,
                          const std::string& after) {
  if (before != after) {
    text += (text.empty() ? "" : ", ") + std::string(what) + after;
  }
}

/// Prints tables; counts what is defined and what is not.
class Printer {
 public:
  void heading(std::string_view text);
  void begin_table(std::string_view state, std::string_view message);
  void row(std::string_view state, vmbus::MessageType type, const Effect& effect) {
    event_row(state, name_of(type), effect);
  }
  void rows(const Rows& rows);
  /// For each version before 6.0: what it does otherwise than the one after it. `rows_of` tells
  /// what a version does in the states that it has.
  void differences(const std::function<Rows(vmbus::Version)>& rows_of);
  /// The same for what is no message.
  void event_row(std::string_view state, std::string_view event, const Effect& effect);

  /// Each value of State, as name_of() knows them, has to be the state that one of `cases` leads
  /// to.
  template <class State, class Name, class Cases, class StateOf>
  void expect_all(Name name, const Cases& cases, StateOf state_after) {
    for (int value = 0;; ++value) {
      const auto state = static_cast<State>(value);
      if (name(state).empty()) {
        return;
      }
      bool found = false;
      for (const auto& entry : cases) {
        found = found || state_after(entry) == state;
      }
      if (!found) {
        miss(name(state));
      }
    }
  }

  [[nodiscard]] int pairs() const { return pairs_; }
  [[nodiscard]] int undefined() const { return undefined_; }
  /// States that no table has.
  [[nodiscard]] int missing() const { return missing_; }

 private:
  void miss(std::string_view state);

  int pairs_ = 0;
  int undefined_ = 0;
  int missing_ = 0;
};

void print_server(Printer& printer);
void print_client(Printer& printer);

}  // namespace vmbus_states
