// Kernels for tests of the whole hypervisor: it runs in the simulator, and the test is the guest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "hv/tlfs/tlfs.h"
#include "machine/guest.h"
#include "sim/world.h"

namespace test_kernel {

inline constexpr machine::Gpa kHypercallPage{0x40'0000};
inline constexpr machine::Gpa kInputPage{0x40'1000};
inline constexpr machine::Gpa kOutputPage{0x40'2000};
inline constexpr machine::Gpa kMessagePage{0x40'3000};
inline constexpr machine::Gpa kEventFlagsPage{0x40'4000};

/// A computer that runs the hypervisor with `root` as the root's VP 0.
[[nodiscard]] sim::WorldConfiguration world(void (*root)(), std::uint32_t logical_processors = 1);
/// The same with the image of a child, "child", in a boot module; `second` is what its other VPs
/// start with, if it may have more than one.
[[nodiscard]] sim::WorldConfiguration world_with_child(void (*root)(), void (*child)(),
                                                       void (*second)() = nullptr,
                                                       std::uint32_t logical_processors = 2);
/// How a run ended, for a test's message.
[[nodiscard]] std::string describe(const sim::RunResult& result);
[[nodiscard]] sim::RunResult run(const sim::WorldConfiguration& configuration,
                                 std::uint64_t seed = 1);

// --- For the guest -------------------------------------------------------------------------------

/// Ends the run; 0 is success. A check that fails ends it with its line.
[[noreturn]] void end(std::uint32_t code);
void check(bool condition, std::uint32_t line);
#define GUEST_CHECK(condition) ::test_kernel::check((condition), __LINE__)

/// As an x2APIC: what each processor does for itself.
void enable_local_apic();
/// Turns the hypercall page, the local APIC and the SynIC's pages on.
void begin();

[[nodiscard]] hv::HypercallResult call(hv::HypercallControl control);
/// Slow, with one input structure.
template <class Input>
[[nodiscard]] hv::HypercallResult call(hv::HypercallControl control, const Input& input) {
  machine::write_memory(kInputPage, std::as_bytes(std::span(&input, 1)));
  return call(control);
}
/// A rep call with a header and elements.
template <class Header, class Element>
[[nodiscard]] hv::HypercallResult call(hv::HypercallControl control, const Header& header,
                                       std::span<const Element> elements) {
  machine::write_memory(kInputPage, std::as_bytes(std::span(&header, 1)));
  machine::write_memory(kInputPage + sizeof(Header), std::as_bytes(elements));
  return call(control.with_reps(static_cast<std::uint32_t>(elements.size())));
}
/// RDX, R8, XMM0 to XMM5.
using FastBlock = std::array<std::uint64_t, 14>;
/// A fast call with all the registers that one can have, and what they are after it.
[[nodiscard]] hv::HypercallResult call_fast(hv::HypercallControl control, FastBlock& block);
/// The same with its parameters, and other registers zero.
template <class Input>
[[nodiscard]] hv::HypercallResult call_fast(hv::HypercallControl control, const Input& input) {
  static_assert(sizeof(Input) <= sizeof(FastBlock));
  FastBlock block{};
  std::memcpy(block.data(), &input, sizeof(input));
  return call_fast(control, block);
}
template <class Output>
[[nodiscard]] Output output() {
  Output value;
  machine::read_memory(kOutputPage, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

}  // namespace test_kernel
