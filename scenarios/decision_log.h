// Every decision of a run by name, and a chain of state hashes: what a recording replays.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/byte_stream.h"
#include "sim/decider.h"

namespace scenarios {

/// A decision's name and how many answers it had.
struct DecisionKind {
  std::string name;
  std::uint32_t domain = 0;
};

struct StateHash {
  std::uint64_t operation = 0;
  std::uint64_t hash = 0;
  friend bool operator==(const StateHash&, const StateHash&) = default;
};

struct DecisionLog {
  std::vector<DecisionKind> kinds;
  /// For each decision three numbers: its kind, the operations since the decision before, its
  /// value.
  std::vector<std::byte> decisions;
  std::uint64_t decision_count = 0;
  std::vector<StateHash> hashes;
};

/// Passes every choice on to another decider and keeps its answer.
class RecordingDecider final : public sim::Decider {
 public:
  explicit RecordingDecider(sim::Decider& inner) : inner_(inner), slots_(64) {}

  [[nodiscard]] std::uint32_t decide(const machine::Site& site, std::uint32_t domain,
                                     std::uint64_t operation) override;
  void at_operation(std::uint64_t operation, std::uint64_t state_hash) override;

  [[nodiscard]] DecisionLog take();

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::uint32_t kind = 0;
    bool used = false;
  };

  [[nodiscard]] std::uint32_t kind_of(const machine::Site& site, std::uint32_t domain);
  void grow();

  sim::Decider& inner_;
  std::vector<Slot> slots_;  // open addressing by name and domain
  std::vector<DecisionKind> kinds_;
  ByteWriter decisions_;
  std::uint64_t decision_count_ = 0;
  std::uint64_t last_operation_ = 0;
  std::vector<StateHash> hashes_;
};

/// Answers every choice as a log has it, and finds out where the run departs from it.
class ReplayingDecider final : public sim::Decider {
 public:
  explicit ReplayingDecider(const DecisionLog& log);

  [[nodiscard]] std::uint32_t decide(const machine::Site& site, std::uint32_t domain,
                                     std::uint64_t operation) override;
  void at_operation(std::uint64_t operation, std::uint64_t state_hash) override;

  /// Where the run first departed from the log, for people; nothing if it never did. Decisions left
  /// over count when the run has ended by itself.
  [[nodiscard]] std::optional<std::string> divergence(bool ended) const;

 private:
  void diverge(std::string what);

  const DecisionLog& log_;
  std::vector<std::uint64_t> kind_ids_;
  ByteReader decisions_;
  std::uint64_t decision_ = 0;
  std::uint64_t last_operation_ = 0;
  std::size_t next_hash_ = 0;
  std::uint64_t agreed_operation_ = 0;
  std::optional<std::string> divergence_;
};

}  // namespace scenarios
