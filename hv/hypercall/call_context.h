// One hypercall under way: who called, and the parameters as copied from the guest, once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "hv/hypercall/call_decode.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/status.h"
#include "machine/address.h"
#include "machine/invariant.h"

namespace hv {

class Hypervisor;
class LogicalProcessor;
class Partition;
class VirtualProcessor;

/// Elements that a rep handler gets at once.
inline constexpr std::uint32_t kElementsAtOnce = 32;

/// How a handler ended.
struct CallOutcome {
  Status status = Status::kSuccess;
  /// Another processor is in the way for a moment: the guest makes the call again.
  bool again = false;
  /// Of a rep call: elements done by this invocation of the handler.
  std::uint32_t completed = 0;

  static constexpr CallOutcome try_again() { return {.again = true}; }
};
static_assert(sizeof(CallOutcome) == 8);  // one register

/// Who made a call, and where.
struct CallOrigin {
  LogicalProcessor& processor;
  Hypervisor& hypervisor;
  VirtualProcessor& vp;
  Partition& caller;
};

class CallContext {
 public:
  static constexpr std::size_t kMaxHeaderBytes = 280;
  static constexpr std::size_t kMaxVariableHeaderBytes = kMaxVariableHeaderQwords * 8;

  CallContext(const CallOrigin& origin, const CallDescription& its_description,
              const DecodedCall& its_call, machine::Gpa its_input, machine::Gpa its_output)
      : processor(origin.processor),
        hypervisor(origin.hypervisor),
        vp(origin.vp),
        caller(origin.caller),
        description(its_description),
        call(its_call),
        input_gpa(its_input),
        output_gpa(its_output) {}

  LogicalProcessor& processor;
  Hypervisor& hypervisor;
  VirtualProcessor& vp;
  Partition& caller;
  const CallDescription& description;
  const DecodedCall& call;
  const machine::Gpa input_gpa;
  const machine::Gpa output_gpa;

  /// Copies the fixed and the variable header out of the guest. False if that is not possible.
  [[nodiscard]] bool fetch_header();
  /// Whether there is one.
  [[nodiscard]] bool has_header() const { return elements_offset() != 0; }
  /// Of a fast call: its parameters are in RDX, R8 and, if there are more, the XMM registers of the
  /// executing processor, which are the caller's still.
  void fetch_registers(std::uint64_t rdx, std::uint64_t r8) {
    std::memcpy(header_.data(), &rdx, sizeof(rdx));
    std::memcpy(header_.data() + sizeof(rdx), &r8, sizeof(r8));
    if (call.input_size_bytes > kFastInputBytes || call.output_size_bytes != 0) [[unlikely]] {
      fetch_xmm();
    }
  }
  /// Of a fast call that answers: puts the answer there, and changes no other register.
  void put_registers(std::uint64_t& rdx, std::uint64_t& r8) const;

  /// The fixed header.
  template <class Header>
  [[nodiscard]] Header header() const {
    static_assert(std::is_trivially_copyable_v<Header> && sizeof(Header) <= kMaxHeaderBytes);
    INVARIANT(sizeof(Header) == description.header_size_bytes);
    Header value;
    std::memcpy(&value, header_.data(), sizeof(value));
    return value;
  }
  /// The same where it lies in the context, for one that is long.
  template <class Header>
  [[nodiscard]] const Header& header_in_place() const {
    static_assert(std::is_trivially_copyable_v<Header> && sizeof(Header) <= kMaxHeaderBytes &&
                  alignof(Header) <= alignof(std::uint64_t));
    INVARIANT(sizeof(Header) == description.header_size_bytes);
    return *reinterpret_cast<const Header*>(header_.data());
  }
  /// Qwords of the variable header.
  [[nodiscard]] std::uint32_t variable_qword_count() const {
    return call.variable_header_bytes / 8;
  }
  [[nodiscard]] std::uint64_t variable_qword(std::uint32_t index) const;

  /// Elements of a rep call, from `first` on. False if the guest's page is gone.
  template <class Element>
  [[nodiscard]] bool fetch_elements(std::uint32_t first, std::span<Element> elements) {
    static_assert(std::is_trivially_copyable_v<Element>);
    return fetch_bytes(elements_offset() + first * sizeof(Element),
                       std::as_writable_bytes(elements));
  }

  template <class Output>
  [[nodiscard]] Status put_output(const Output& output) {
    static_assert(std::is_trivially_copyable_v<Output>);
    return put_bytes(0, std::as_bytes(std::span(&output, 1)));
  }
  template <class Element>
  [[nodiscard]] Status put_elements(std::uint32_t first, std::span<const Element> elements) {
    return put_bytes(description.output_size_bytes + first * sizeof(Element),
                     std::as_bytes(elements));
  }

 private:
  [[nodiscard]] std::size_t elements_offset() const {
    return description.header_size_bytes + call.variable_header_bytes;
  }
  [[nodiscard]] bool fetch_bytes(std::size_t offset, std::span<std::byte> to);
  [[nodiscard]] Status put_bytes(std::size_t offset, std::span<const std::byte> from);

  void fetch_xmm();

  /// The headers, or all the registers of a fast call. Of it, what fetch_header() or
  /// fetch_registers() has filled counts; no call reads more, and clearing the rest would be a good
  /// part of a short call.
  alignas(std::uint64_t) std::array<std::byte, kMaxHeaderBytes + kMaxVariableHeaderBytes> header_;
};

}  // namespace hv
