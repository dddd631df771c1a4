// Intercepts: the hypervisor suspends a virtual processor and tells its parent why (TLFS
// "Intercepts"). The message goes to SINT0 of a virtual processor of the parent; the parent clears
// the InterceptSuspend register to let it run on. What would need a parent of the root ends the
// run.
#pragma once

#include <cstdint>

#include "hv/synic/synic.h"
#include "hv/tlfs/intercepts.h"
#include "hv/vtx/exit.h"
#include "machine/common.h"

namespace hv {

class Hypervisor;
class VirtualProcessor;

/// machine::stop() codes.
inline constexpr std::uint32_t kStopNormally = 0;
inline constexpr std::uint32_t kStopRootCrashed = 1;

// The virtual processor is loaded here, and exited.
void intercept_memory(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint64_t gpa,
                      const vtx::EptViolation& violation);
void intercept_io(Hypervisor& hypervisor, VirtualProcessor& vp, const vtx::IoExit& access);
void intercept_msr(Hypervisor& hypervisor, VirtualProcessor& vp, InterceptAccess access);
void intercept_cpuid(Hypervisor& hypervisor, VirtualProcessor& vp,
                     const machine::CpuidResult& default_result);
void intercept_unrecoverable_exception(Hypervisor& hypervisor, VirtualProcessor& vp);
void intercept_invalid_register_value(Hypervisor& hypervisor, VirtualProcessor& vp);
void intercept_unsupported_feature(Hypervisor& hypervisor, VirtualProcessor& vp,
                                   std::uint32_t code);
/// `parameter`: CR2 of a page fault, DR6 of a debug exception.
void intercept_exception(Hypervisor& hypervisor, VirtualProcessor& vp, const vtx::Event& exception,
                         std::uint64_t parameter);
/// A hypercall that is the parent's to answer; nothing of it was done.
void intercept_hypercall(Hypervisor& hypervisor, VirtualProcessor& vp);
/// What the parent waits for with the register DeliverabilityNotifications.
void intercept_deliverable(Hypervisor& hypervisor, VirtualProcessor& vp, InterruptionType type);
void intercept_deliverable(Hypervisor& hypervisor, VirtualProcessor& vp, SintSet sints);
/// A startup IPI that the VP is about to send; kVpIndexAny for more than one target.
struct StartupIpi {
  VpIndex target{};
  std::uint8_t vector = 0;
  std::uint32_t instruction_length = 0;
};
void intercept_startup(Hypervisor& hypervisor, VirtualProcessor& vp, const StartupIpi& startup);
/// A level-triggered interrupt ended: the parent is told, and nobody waits. Takes the communication
/// lock.
void report_end_of_interrupt(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint8_t vector);
/// An access of the hypervisor on behalf of the guest, to a hypercall's parameters.
void intercept_parameter_access(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint64_t gpa,
                                InterceptAccess access);

}  // namespace hv
