// Where the server keeps the page lists of its guest's GPADLs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vmbus {

/// What the GPADL table asks its owner for. Called by the table alone.
class GpadlStorage {
 public:
  /// `count` words, or an empty span if there is no room. Never called with 0.
  [[nodiscard]] virtual std::span<std::uint64_t> allocate(std::size_t count) = 0;
  /// Gives back exactly what allocate returned.
  virtual void release(std::span<std::uint64_t> words) = 0;

 protected:
  ~GpadlStorage() = default;
};

/// First fit over one fixed piece of private memory: what a guest can make its server keep is
/// bounded by it. Each block costs one word more.
class FixedGpadlStorage final : public GpadlStorage {
 public:
  explicit FixedGpadlStorage(std::span<std::uint64_t> memory);
  [[nodiscard]] std::span<std::uint64_t> allocate(std::size_t count) override;
  void release(std::span<std::uint64_t> words) override;
  /// Words in blocks that are allocated, their heads included: 0 when nothing is.
  [[nodiscard]] std::size_t used_words() const { return used_words_; }

 private:
  /// Joins the free blocks that follow the free one at `head`.
  void join_free_blocks(std::size_t head);

  // The word at a block's head: its size, itself included, times two, plus 1 if it is in use.
  std::span<std::uint64_t> memory_;
  std::size_t used_words_ = 0;
};

}  // namespace vmbus
