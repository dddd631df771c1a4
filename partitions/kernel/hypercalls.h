// Makes hypercalls (TLFS "Hypercall Interface").
//
// One per processor: the parameter pages are its own. Tasks call; interrupt handlers do not. An
// answer of the hypervisor that the interface does not allow is for the caller to judge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <type_traits>

#include "hv/tlfs/hypercall.h"
#include "hv/tlfs/status.h"
#include "machine/address.h"
#include "machine/invariant.h"
#include "partitions/kernel/guest_memory.h"

namespace kernel {

/// How far a rep call came: all elements after kSuccess.
struct RepResult {
  hv::Status status = hv::Status::kSuccess;
  std::uint32_t completed = 0;
};

class Hypercalls {
 public:
  Hypercalls(machine::Gpa call_page, machine::Gpn input, machine::Gpn output)
      : call_page_(call_page), input_(input), output_(output) {}

  /// A call with nothing but an input block.
  template <WireObject Input>
  [[nodiscard]] hv::Status call(hv::CallCode code, const Input& input) {
    static_assert(sizeof(Input) <= machine::kPageSize && sizeof(Input) % 8 == 0);
    write_object(input_, input);
    return invoke(hv::HypercallControl(code), input_.value(), 0).status();
  }
  /// A call of at most 16 bytes of input, in registers.
  template <WireObject Input>
  [[nodiscard]] hv::Status call_fast(hv::CallCode code, const Input& input) {
    static_assert(sizeof(Input) == 8 || sizeof(Input) == hv::kFastInputBytes);
    std::array<std::uint64_t, 2> words{};
    __builtin_memcpy(words.data(), &input, sizeof(Input));
    return invoke(hv::HypercallControl(code).fast(), words[0], words[1]).status();
  }
  /// A call that answers.
  template <class Output, WireObject Input>
  [[nodiscard]] std::expected<Output, hv::Status> ask(hv::CallCode code, const Input& input) {
    static_assert(sizeof(Input) % 8 == 0 && sizeof(Output) % 8 == 0);
    write_object(input_, input);
    const hv::HypercallResult result =
        invoke(hv::HypercallControl(code), input_.value(), output_.value());
    if (result.status() != hv::Status::kSuccess) {
      return std::unexpected(result.status());
    }
    return read_object<Output>(output_);
  }
  /// A rep call with a list of input elements: header and list must fit in a page. Goes on where
  /// the hypervisor stopped until an element fails or all are done.
  template <WireObject Input, WireObject Element>
  [[nodiscard]] RepResult call_reps(hv::CallCode code, const Input& header,
                                    std::span<const Element> elements) {
    static_assert(sizeof(Input) % 8 == 0);
    INVARIANT(sizeof(Input) + elements.size_bytes() <= machine::kPageSize);
    write_object(input_, header);
    machine::write_memory(input_ + sizeof(Input), std::as_bytes(elements));
    return repeat(code, static_cast<std::uint32_t>(elements.size()));
  }
  /// A rep call whose elements are answers: fills as many as were completed.
  template <WireObject Input>
  [[nodiscard]] RepResult ask_reps(hv::CallCode code, const Input& header,
                                   std::span<std::uint64_t> answers) {
    INVARIANT(answers.size_bytes() <= machine::kPageSize);
    write_object(input_, header);
    const RepResult result = repeat(code, static_cast<std::uint32_t>(answers.size()));
    machine::read_memory(output_, std::as_writable_bytes(answers.first(result.completed)));
    return result;
  }
  /// A rep call with an answer for each of its elements.
  template <WireObject Input, WireObject Element, WireObject Answer>
  [[nodiscard]] RepResult ask_reps(hv::CallCode code, const Input& header,
                                   std::span<const Element> elements, std::span<Answer> answers) {
    INVARIANT(answers.size() == elements.size() && answers.size_bytes() <= machine::kPageSize);
    const RepResult result = call_reps(code, header, elements);
    machine::read_memory(output_, std::as_writable_bytes(answers.first(result.completed)));
    return result;
  }
  /// A rep call that has neither list.
  template <WireObject Input>
  [[nodiscard]] RepResult call_counted(hv::CallCode code, const Input& header,
                                       std::uint32_t count) {
    write_object(input_, header);
    return repeat(code, count);
  }

 private:
  hv::HypercallResult invoke(hv::HypercallControl control, std::uint64_t input,
                             std::uint64_t output);
  RepResult repeat(hv::CallCode code, std::uint32_t count);

  machine::Gpa call_page_;
  machine::Gpa input_;
  machine::Gpa output_;
};

}  // namespace kernel
