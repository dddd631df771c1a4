#include "tests/interface/case_tables.h"

#include <array>

namespace interface_test {

std::span<const std::span<const CallCase>> call_tables() {
  static const std::array tables{
      absent_call_cases(),
      cpuid_call_cases(),
      get_property_cases(),
      partition_call_cases(),
      vp_call_cases(),
      create_port_cases(),
      delete_port_cases(),
      connect_port_cases(),
      disconnect_port_cases(),
      get_port_property_cases(),
      set_port_property_cases(),
      counted_call_cases(),
      post_message_cases(),
      signal_event_cases(),
      signal_event_direct_cases(),
      post_message_direct_cases(),
      notify_port_ring_empty_cases(),
      map_call_cases(),
      modify_call_cases(),
      pool_call_cases(),
      access_state_call_cases(),
      gpa_access_call_cases(),
      host_access_call_cases(),
      set_property_cases(),
      register_call_cases(),
      install_intercept_cases(),
      intercept_result_cases(),
      translation_call_cases(),
      system_call_cases(),
      statistics_call_cases(),
      flush_call_cases(),
      ipi_call_cases(),
      interrupt_call_cases(),
      state_page_cases(),
      device_call_cases(),
      map_device_call_cases(),
      get_vp_state_cases(),
      set_vp_state_cases(),
  };
  return tables;
}

std::span<const std::span<const MsrCase>> msr_tables() {
  static const std::array tables{
      hypercall_msr_cases(),    time_msr_cases(),           other_msr_cases(),
      privilege_msr_cases(),    synic_msr_cases(),          sint_msr_cases(),
      timer_msr_cases(),        statistics_msr_cases(),     apic_msr_cases(),
      architecture_msr_cases(), unhalted_timer_msr_cases(), absent_msr_cases(),
  };
  return tables;
}

std::span<const std::span<const LeafCase>> leaf_tables() {
  static const std::array tables{
      cpuid_leaf_cases(),
  };
  return tables;
}

}  // namespace interface_test
