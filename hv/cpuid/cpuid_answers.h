// What CPUID has answered in one virtual processor, so that a leaf that is asked for again is not
// made again. An answer counts for as long as nothing has changed that it was made of: the
// partition's generation of answers says so of what others change, and forget() is called by
// whoever changes what is the VP's alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/cpuid/cpuid_table.h"
#include "machine/common.h"

namespace hv {

class CpuidAnswers {
 public:
  /// What was asked, and in which state of the VP.
  class Question {
   public:
    constexpr Question() = default;
    /// `state`: of leaf 1, what it shows of the VP's own state; else 0.
    constexpr Question(std::uint32_t leaf, std::uint32_t subleaf, std::uint32_t state)
        : leaves_((std::uint64_t{subleaf} << 32) | leaf), state_(state) {}

    [[nodiscard]] constexpr std::uint32_t leaf() const {
      return static_cast<std::uint32_t>(leaves_);
    }
    [[nodiscard]] constexpr std::uint32_t subleaf() const {
      return static_cast<std::uint32_t>(leaves_ >> 32);
    }
    friend constexpr bool operator==(const Question&, const Question&) = default;

   private:
    std::uint64_t leaves_ = 0;
    std::uint64_t state_ = 0;
  };
  /// No partition's generation.
  static constexpr std::uint64_t kNoGeneration = 0;

  /// Whether a leaf's answer may be kept: not one that shows what the guest's own XCR0 has, nor one
  /// that may differ from processor to processor.
  [[nodiscard]] static constexpr bool may_keep(std::uint32_t leaf) {
    constexpr std::uint32_t kFirstExtended = 0x8000'0000;
    constexpr std::uint32_t kLastExtended = 0x8000'0008;
    return leaf <= kCpuidTopology || (leaf >= kFirstExtended && leaf <= kLastExtended) ||
           is_hypervisor_leaf(leaf);
  }

  /// Null: it has to be made.
  [[nodiscard]] const machine::CpuidResult* find(Question question,
                                                 std::uint64_t generation) const {
    const Answer& answer = answers_.data()[place_of(question)];
    return answer.generation == generation && answer.question == question ? &answer.result
                                                                          : nullptr;
  }
  /// `generation` was read before anything that the result was made of.
  void keep(Question question, std::uint64_t generation, const machine::CpuidResult& result) {
    answers_.data()[place_of(question)] = {question, generation, result};
  }
  void forget() { answers_ = {}; }

 private:
  struct Answer {
    Question question;
    std::uint64_t generation = kNoGeneration;
    machine::CpuidResult result;
  };
  static constexpr std::size_t kPlaces = 32;

  /// The processor's leaves, the hypervisor's and the extended ones lie apart.
  [[nodiscard]] static constexpr std::size_t place_of(Question question) {
    return (question.leaf() ^ (question.leaf() >> 27)) % kPlaces;
  }

  std::array<Answer, kPlaces> answers_{};
};

}  // namespace hv
