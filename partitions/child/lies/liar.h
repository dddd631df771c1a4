// A guest that lies: hypercalls, registers, messages of the bus and words in memory that it shares,
// most of them well-formed enough to be looked at.
//
// It does to the hypervisor and to the root whatever a guest can; nothing it does may harm anybody
// else. It spares what it needs to go on lying: after each lie its hypercall page, its SynIC and
// its local APIC are as they were. What native code cannot survive on the simulated machine it
// leaves out: starting or resetting a processor at an address that holds no program.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "hv/tlfs/tlfs.h"
#include "machine/address.h"
#include "partitions/child/lies/lie_source.h"

namespace child {

class Liar {
 public:
  /// Of the pages, all the partition's own, the first is for the input of calls and the second for
  /// their output; all are written and named in lies. At least two.
  Liar(LieSource& source, machine::Gpa call_page, std::span<const machine::Gpn> pages);

  /// Tells one lie, on the executing processor.
  void lie();

  /// Writes words into the pages, as another processor may while a call is under way.
  void scribble();

  /// Every vector that nobody expects is acknowledged from now on, so that an interrupt which the
  /// liar caused is not the end of it. Vectors with handlers come after.
  static void expect_any_interrupt();

 private:
  static constexpr std::size_t kKeptMsrs = 6 + hv::kSintCount;

  /// A value that something may take for what it expects.
  [[nodiscard]] std::uint64_t any_word();
  [[nodiscard]] std::uint64_t any_small() { return source_.below(16); }
  [[nodiscard]] machine::Gpa any_page();

  void make_call();
  void make_fast_call(hv::HypercallControl control);
  [[nodiscard]] hv::HypercallControl well_formed(std::uint16_t call);
  void access_msr();
  void post_message();
  void signal_event();
  void ask_cpuid();
  void access_port();

  [[nodiscard]] std::uint64_t any_control();
  void write_input();
  void keep_registers();
  void restore_registers();

  LieSource& source_;
  machine::Gpa call_page_;
  std::span<const machine::Gpn> pages_;
  struct KeptMsr {
    std::uint32_t number = 0;
    std::uint64_t value = 0;
  };
  std::array<KeptMsr, kKeptMsrs> kept_{};
};

}  // namespace child
