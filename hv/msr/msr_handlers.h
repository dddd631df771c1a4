// The handlers that msr_table.cpp names, a group for each .cpp file.
#pragma once

#include <cstdint>
#include <expected>

#include "hv/msr/msr_table.h"

namespace hv::msr {

using ReadResult = std::expected<std::uint64_t, MsrFailure>;
using WriteResult = std::expected<void, MsrFailure>;

[[nodiscard]] inline std::unexpected<MsrFailure> fault() {
  return std::unexpected(MsrFailure::kFault);
}

// partition_msrs.cpp
ReadResult read_guest_os_id(const MsrAccess& access);
WriteResult write_guest_os_id(const MsrAccess& access, std::uint64_t value);
ReadResult read_hypercall(const MsrAccess& access);
WriteResult write_hypercall(const MsrAccess& access, std::uint64_t value);
ReadResult read_vp_index(const MsrAccess& access);
ReadResult read_zero(const MsrAccess& access);
/// Of what is not offered: it can be turned off, and is.
WriteResult write_zero(const MsrAccess& access, std::uint64_t value);
WriteResult write_ignored(const MsrAccess& access, std::uint64_t value);
ReadResult read_vp_runtime(const MsrAccess& access);
ReadResult read_time_ref_count(const MsrAccess& access);
ReadResult read_reference_tsc(const MsrAccess& access);
WriteResult write_reference_tsc(const MsrAccess& access, std::uint64_t value);
ReadResult read_frequency(const MsrAccess& access);
/// Reads that stop the processor until there is an interrupt: every state that it can be put in is
/// HLT's.
ReadResult read_guest_idle(const MsrAccess& access);
/// What a root notes about a state of its logical processor, to which its VP is bound.
ReadResult read_power_state(const MsrAccess& access);
WriteResult write_power_state(const MsrAccess& access, std::uint64_t value);
ReadResult read_crash_parameter(const MsrAccess& access);
WriteResult write_crash_parameter(const MsrAccess& access, std::uint64_t value);
ReadResult read_crash_control(const MsrAccess& access);
WriteResult write_crash_control(const MsrAccess& access, std::uint64_t value);
WriteResult write_reset(const MsrAccess& access, std::uint64_t value);
ReadResult read_reenlightenment(const MsrAccess& access);
WriteResult write_reenlightenment(const MsrAccess& access, std::uint64_t value);
ReadResult read_tsc_emulation(const MsrAccess& access);
WriteResult write_tsc_emulation(const MsrAccess& access, std::uint64_t value);
ReadResult read_tsc_invariant(const MsrAccess& access);
WriteResult write_tsc_invariant(const MsrAccess& access, std::uint64_t value);

// statistics_msrs.cpp
ReadResult read_statistics_page(const MsrAccess& access);
WriteResult write_statistics_page(const MsrAccess& access, std::uint64_t value);

// interrupt_msrs.cpp
WriteResult write_eoi(const MsrAccess& access, std::uint64_t value);
ReadResult read_icr(const MsrAccess& access);
WriteResult write_icr(const MsrAccess& access, std::uint64_t value);
ReadResult read_tpr(const MsrAccess& access);
WriteResult write_tpr(const MsrAccess& access, std::uint64_t value);
ReadResult read_vp_assist(const MsrAccess& access);
WriteResult write_vp_assist(const MsrAccess& access, std::uint64_t value);
ReadResult read_synic(const MsrAccess& access);
WriteResult write_synic(const MsrAccess& access, std::uint64_t value);
ReadResult read_timer(const MsrAccess& access);
WriteResult write_timer(const MsrAccess& access, std::uint64_t value);
ReadResult read_unhalted_timer(const MsrAccess& access);
WriteResult write_unhalted_timer(const MsrAccess& access, std::uint64_t value);
ReadResult read_x2apic(const MsrAccess& access);
WriteResult write_x2apic(const MsrAccess& access, std::uint64_t value);
ReadResult read_tsc_deadline(const MsrAccess& access);
WriteResult write_tsc_deadline(const MsrAccess& access, std::uint64_t value);
ReadResult read_apic_base(const MsrAccess& access);
WriteResult write_apic_base(const MsrAccess& access, std::uint64_t value);

// processor_msrs.cpp
ReadResult read_tsc(const MsrAccess& access);
ReadResult read_sysenter(const MsrAccess& access);
WriteResult write_sysenter(const MsrAccess& access, std::uint64_t value);
ReadResult read_misc_enable(const MsrAccess& access);
ReadResult read_pat(const MsrAccess& access);
WriteResult write_pat(const MsrAccess& access, std::uint64_t value);
ReadResult read_efer(const MsrAccess& access);
WriteResult write_efer(const MsrAccess& access, std::uint64_t value);
ReadResult read_switched(const MsrAccess& access);
WriteResult write_switched(const MsrAccess& access, std::uint64_t value);

}  // namespace hv::msr
