// Who answers every choice of a run. A seed, a recording, a search strategy and a shrinker are all
// just deciders.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "machine/testing.h"

namespace sim {

/// Answers to a choice between two, drawn at once: the lowest bit is the next one, the highest that
/// is set ends them.
struct Coins {
  std::uint64_t bits = 1;

  [[nodiscard]] bool left() const { return bits > 1; }
  [[nodiscard]] std::uint32_t take() {
    const std::uint64_t answer = bits & 1;
    bits >>= 1;
    return static_cast<std::uint32_t>(answer);
  }
};

class Decider {
 public:
  virtual ~Decider() = default;

  /// A value in [0, domain); `domain` is at least 1. `site` names the choice, the same in every
  /// build. `operation` is how many operations the world has executed.
  [[nodiscard]] virtual std::uint32_t decide(const machine::Site& site, std::uint32_t domain,
                                             std::uint64_t operation) = 0;
  /// Where answers to the site's choices between two lie ready; null if they never do. While some
  /// do, they are to be taken in place of decide() with a domain of 2, which lays out more.
  [[nodiscard]] virtual Coins* coins_of(const machine::Site& /*site*/) { return nullptr; }

  /// The hash of everything up to `operation`, told every so many operations.
  virtual void at_operation(std::uint64_t /*operation*/, std::uint64_t /*state_hash*/) {}
};

/// Which choices a seed answers by chance. The first rule whose prefix fits counts; a choice that
/// no rule names is answered 0, the ordinary course.
struct ChanceRule {
  std::string prefix;
  /// One in so many answers is drawn, the others are 0. 1: every answer is drawn.
  std::uint32_t one_in = 1;
};

/// The scheduler's and the devices' own timing; no faults.
[[nodiscard]] std::vector<ChanceRule> ordinary_chance();

/// Draws from a stream of its own for each name: hash(seed, name). A new draw in one place shifts
/// none elsewhere.
class SeededDecider : public Decider {
 public:
  explicit SeededDecider(std::uint64_t seed, std::vector<ChanceRule> rules = ordinary_chance());
  SeededDecider(const SeededDecider&) = delete;
  SeededDecider& operator=(const SeededDecider&) = delete;

  [[nodiscard]] std::uint32_t decide(const machine::Site& site, std::uint32_t domain,
                                     std::uint64_t operation) override;
  [[nodiscard]] Coins* coins_of(const machine::Site& site) override;

 private:
  struct Stream {
    std::uint64_t site_id = 0;  // 0: no stream
    std::uint64_t state = 0;
    std::uint32_t one_in = 0;  // 0: always the ordinary course
    Coins* coins = nullptr;    // answers of two
  };

  [[nodiscard]] Stream& stream_of(const machine::Site& site);
  [[nodiscard]] std::uint32_t one_in_of(std::string_view name) const;
  void grow();

  std::uint64_t seed_;
  std::vector<ChanceRule> rules_;
  std::vector<Stream> streams_;     // open addressing by site id
  Stream* last_ = streams_.data();  // the one that was asked last
  std::size_t used_ = 0;
  std::deque<Coins> coins_;  // of the streams; they stay where they are
};

}  // namespace sim
