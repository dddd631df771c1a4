// The handlers that call_table.cpp names, a group for each .cpp file.
#pragma once

#include <cstdint>

#include "hv/hypercall/call_context.h"

namespace hv::calls {

// partition_calls.cpp
CallOutcome create_partition(CallContext& context);
CallOutcome initialize_partition(CallContext& context);
CallOutcome finalize_partition(CallContext& context);
CallOutcome delete_partition(CallContext& context);
CallOutcome get_partition_id(CallContext& context);
CallOutcome get_next_child_partition(CallContext& context);

// property_calls.cpp
CallOutcome get_partition_property(CallContext& context);
CallOutcome set_partition_property(CallContext& context);
CallOutcome get_partition_property_ex(CallContext& context);
CallOutcome set_partition_property_ex(CallContext& context);

// cpuid_calls.cpp
CallOutcome get_vp_cpuid_values(CallContext& context, std::uint32_t first, std::uint32_t count);

// memory_calls.cpp
CallOutcome deposit_memory(CallContext& context, std::uint32_t first, std::uint32_t count);
CallOutcome withdraw_memory(CallContext& context, std::uint32_t first, std::uint32_t count);
CallOutcome get_memory_balance(CallContext& context);

// map_calls.cpp
CallOutcome map_gpa_pages(CallContext& context, std::uint32_t first, std::uint32_t count);
CallOutcome unmap_gpa_pages(CallContext& context, std::uint32_t first, std::uint32_t count);
CallOutcome map_sparse_gpa_pages(CallContext& context, std::uint32_t first, std::uint32_t count);
CallOutcome modify_sparse_gpa_pages(CallContext& context, std::uint32_t first, std::uint32_t count);
CallOutcome get_gpa_pages_access_states(CallContext& context, std::uint32_t first,
                                        std::uint32_t count);

// gpa_access_calls.cpp
CallOutcome read_gpa(CallContext& context);
CallOutcome write_gpa(CallContext& context);
CallOutcome acquire_sparse_spa_page_host_access(CallContext& context, std::uint32_t first,
                                                std::uint32_t count);
CallOutcome release_sparse_spa_page_host_access(CallContext& context, std::uint32_t first,
                                                std::uint32_t count);

// statistics_calls.cpp
CallOutcome map_stats_page(CallContext& context);
CallOutcome unmap_stats_page(CallContext& context);
CallOutcome map_stats_page2(CallContext& context);

// processor_calls.cpp
CallOutcome create_vp(CallContext& context);
CallOutcome delete_vp(CallContext& context);
CallOutcome start_virtual_processor(CallContext& context);
CallOutcome get_vp_index_from_apic_id(CallContext& context, std::uint32_t first,
                                      std::uint32_t count);
CallOutcome get_vp_registers(CallContext& context, std::uint32_t first, std::uint32_t count);
CallOutcome set_vp_registers(CallContext& context, std::uint32_t first, std::uint32_t count);

// state_calls.cpp
CallOutcome map_vp_state_page(CallContext& context);
CallOutcome unmap_vp_state_page(CallContext& context);
CallOutcome get_vp_state(CallContext& context);
CallOutcome set_vp_state(CallContext& context);

// translation_calls.cpp
CallOutcome translate_virtual_address(CallContext& context);
CallOutcome translate_virtual_address_ex(CallContext& context);

// intercept_calls.cpp
CallOutcome install_intercept(CallContext& context);
CallOutcome register_intercept_result(CallContext& context);
CallOutcome unregister_intercept_result(CallContext& context);
CallOutcome assert_virtual_interrupt(CallContext& context);
CallOutcome clear_virtual_interrupt(CallContext& context);

// port_calls.cpp
CallOutcome create_port(CallContext& context);
CallOutcome delete_port(CallContext& context);
CallOutcome connect_port(CallContext& context);
CallOutcome disconnect_port(CallContext& context);
CallOutcome get_port_property(CallContext& context);
CallOutcome set_port_property(CallContext& context);

// communication_calls.cpp
CallOutcome post_message(CallContext& context);
CallOutcome signal_event(CallContext& context);
CallOutcome post_message_direct(CallContext& context);
CallOutcome signal_event_direct(CallContext& context);
CallOutcome notify_port_ring_empty(CallContext& context);

// processor_set_calls.cpp
CallOutcome flush_address_space(CallContext& context);
CallOutcome flush_address_list(CallContext& context, std::uint32_t first, std::uint32_t count);
CallOutcome flush_address_space_ex(CallContext& context);
CallOutcome flush_address_list_ex(CallContext& context, std::uint32_t first, std::uint32_t count);
CallOutcome send_synthetic_cluster_ipi(CallContext& context);
CallOutcome send_synthetic_cluster_ipi_ex(CallContext& context);
CallOutcome notify_long_spin_wait(CallContext& context);

// system_calls.cpp
CallOutcome enter_sleep_state(CallContext& context);
CallOutcome switch_virtual_address_space(CallContext& context);
CallOutcome get_logical_processor_run_time(CallContext& context);
CallOutcome add_logical_processor(CallContext& context);
CallOutcome get_system_property(CallContext& context);
CallOutcome set_system_property(CallContext& context);
CallOutcome notify_partition_event(CallContext& context);
CallOutcome output_debug_character(CallContext& context);

// debug_calls.cpp
CallOutcome post_debug_data(CallContext& context);
CallOutcome retrieve_debug_data(CallContext& context);
CallOutcome reset_debug_session(CallContext& context);

// device_calls.cpp
CallOutcome map_device_interrupt(CallContext& context);
CallOutcome unmap_device_interrupt(CallContext& context);
CallOutcome retarget_device_interrupt(CallContext& context);

// device_memory_calls.cpp
CallOutcome mmio_read(CallContext& context);
CallOutcome mmio_write(CallContext& context);

// extended_calls.cpp
CallOutcome query_extended_capabilities(CallContext& context);
CallOutcome get_boot_zeroed_memory(CallContext& context);
CallOutcome hint_memory_heat(CallContext& context, std::uint32_t first, std::uint32_t count);

}  // namespace hv::calls
