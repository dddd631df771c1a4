// Who of many is first in time, in a comparison for each doubling of their number.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/event_queue.h"

namespace sim {

/// Each node knows the earliest time below it, how many players have it, and the first of these by
/// number.
class Tournament {
 public:
  /// Nobody has a time.
  explicit Tournament(std::uint32_t players)
      : leaves_(std::bit_ceil(players)), nodes_(std::size_t{2} * leaves_) {
    for (std::size_t player = 0; player < leaves_; ++player) {
      nodes_[leaves_ + player] = {.at_ns = kNever, .who = kOne | player};
    }
    tree_ = nodes_.data();
    for (std::size_t node = leaves_ - 1; node > 0; --node) {
      tree_[node] = better(tree_[2 * node], tree_[2 * node + 1]);
    }
  }
  Tournament(const Tournament&) = delete;
  Tournament& operator=(const Tournament&) = delete;

  /// kNever: no time any more.
  void set(std::uint32_t player, std::uint64_t at_ns) {
    Node best{.at_ns = at_ns, .who = kOne | player};
    std::size_t node = leaves_ + player;
    tree_[node] = best;
    while (node > 1) {
      best = better(best, tree_[node ^ 1]);
      node /= 2;
      tree_[node] = best;
    }
  }

  [[nodiscard]] std::uint64_t earliest() const { return tree_[1].at_ns; }
  /// How many players have the earliest time.
  [[nodiscard]] std::uint32_t count() const { return count_of(tree_[1]); }
  /// The nth of them, by number; there are more than n.
  [[nodiscard]] std::uint32_t find(std::uint32_t nth) const {
    const std::uint64_t at_ns = earliest();
    std::size_t node = 1;
    while (node < leaves_) {
      node *= 2;
      const std::uint32_t on_the_left = tree_[node].at_ns == at_ns ? count_of(tree_[node]) : 0;
      const std::uint32_t right = nth >= on_the_left ? 1 : 0;
      nth -= on_the_left * right;
      node += right;
    }
    return static_cast<std::uint32_t>(node - leaves_);
  }

 private:
  struct Node {
    std::uint64_t at_ns = kNever;
    /// How many in bits 63:32, the first in bits 31:0: a node is read as it was written.
    std::uint64_t who = 0;
  };
  static constexpr std::uint64_t kOne = std::uint64_t{1} << 32;

  static std::uint32_t count_of(const Node& node) {
    return static_cast<std::uint32_t>(node.who >> 32);
  }
  // Who is earlier is as good as random: nothing to branch on. That both are is rare.
  static Node better(const Node& one, const Node& other) {
    if (one.at_ns == other.at_ns) [[unlikely]] {
      constexpr std::uint64_t kFirst = kOne - 1;
      return {.at_ns = one.at_ns,
              .who = std::min(one.who & kFirst, other.who & kFirst) + (one.who & ~kFirst) +
                     (other.who & ~kFirst)};
    }
    const bool later = other.at_ns < one.at_ns;
    return {.at_ns = later ? other.at_ns : one.at_ns, .who = later ? other.who : one.who};
  }

  std::size_t leaves_;
  Node* tree_ = nullptr;
  /// The root is node 1; below node n are nodes 2n and 2n + 1.
  std::vector<Node> nodes_;
};

}  // namespace sim
