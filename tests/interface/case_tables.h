// The tables of rows, one function for each file of them.
#pragma once

#include <span>

#include "tests/interface/call_case.h"

namespace interface_test {

[[nodiscard]] std::span<const CallCase> absent_call_cases();
[[nodiscard]] std::span<const MsrCase> absent_msr_cases();
[[nodiscard]] std::span<const CallCase> get_property_cases();
[[nodiscard]] std::span<const CallCase> partition_call_cases();
[[nodiscard]] std::span<const CallCase> create_port_cases();
[[nodiscard]] std::span<const CallCase> delete_port_cases();
[[nodiscard]] std::span<const CallCase> connect_port_cases();
[[nodiscard]] std::span<const CallCase> disconnect_port_cases();
[[nodiscard]] std::span<const CallCase> get_port_property_cases();
[[nodiscard]] std::span<const CallCase> set_port_property_cases();
[[nodiscard]] std::span<const CallCase> counted_call_cases();
[[nodiscard]] std::span<const CallCase> post_message_cases();
[[nodiscard]] std::span<const CallCase> signal_event_cases();
[[nodiscard]] std::span<const CallCase> signal_event_direct_cases();
[[nodiscard]] std::span<const CallCase> post_message_direct_cases();
[[nodiscard]] std::span<const CallCase> notify_port_ring_empty_cases();
[[nodiscard]] std::span<const CallCase> map_call_cases();
[[nodiscard]] std::span<const CallCase> modify_call_cases();
[[nodiscard]] std::span<const CallCase> pool_call_cases();
[[nodiscard]] std::span<const CallCase> access_state_call_cases();
[[nodiscard]] std::span<const CallCase> gpa_access_call_cases();
[[nodiscard]] std::span<const CallCase> host_access_call_cases();
[[nodiscard]] std::span<const CallCase> set_property_cases();
[[nodiscard]] std::span<const CallCase> register_call_cases();
[[nodiscard]] std::span<const CallCase> install_intercept_cases();
[[nodiscard]] std::span<const CallCase> intercept_result_cases();
[[nodiscard]] std::span<const CallCase> translation_call_cases();

[[nodiscard]] std::span<const CallCase> cpuid_call_cases();
[[nodiscard]] std::span<const MsrCase> hypercall_msr_cases();
[[nodiscard]] std::span<const MsrCase> time_msr_cases();
[[nodiscard]] std::span<const MsrCase> other_msr_cases();
[[nodiscard]] std::span<const MsrCase> privilege_msr_cases();
[[nodiscard]] std::span<const LeafCase> cpuid_leaf_cases();
[[nodiscard]] std::span<const MsrCase> synic_msr_cases();
[[nodiscard]] std::span<const MsrCase> sint_msr_cases();
[[nodiscard]] std::span<const MsrCase> timer_msr_cases();
[[nodiscard]] std::span<const MsrCase> unhalted_timer_msr_cases();
[[nodiscard]] std::span<const CallCase> system_call_cases();
[[nodiscard]] std::span<const CallCase> statistics_call_cases();
[[nodiscard]] std::span<const MsrCase> statistics_msr_cases();

[[nodiscard]] std::span<const CallCase> flush_call_cases();
[[nodiscard]] std::span<const CallCase> ipi_call_cases();
[[nodiscard]] std::span<const CallCase> interrupt_call_cases();
[[nodiscard]] std::span<const MsrCase> apic_msr_cases();
[[nodiscard]] std::span<const CallCase> vp_call_cases();
[[nodiscard]] std::span<const CallCase> state_page_cases();
[[nodiscard]] std::span<const CallCase> device_call_cases();
[[nodiscard]] std::span<const CallCase> map_device_call_cases();
[[nodiscard]] std::span<const CallCase> get_vp_state_cases();
[[nodiscard]] std::span<const CallCase> set_vp_state_cases();
[[nodiscard]] std::span<const MsrCase> architecture_msr_cases();

}  // namespace interface_test
