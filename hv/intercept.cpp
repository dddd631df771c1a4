#include "hv/intercept.h"

#include "hv/hypervisor.h"
#include "hv/intercept_message.h"
#include "hv/processor/guest_translation.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/registers/register_access.h"
#include "hv/vtx/guest_context.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"

namespace hv {
namespace {

constexpr std::uint32_t kInterceptSint = 0;
bool is_mapped(Partition& partition, std::uint64_t gpa) {
  const machine::LockGuard guard(partition.space_lock);
  return partition.space->lookup(machine::Gpa(gpa).page()).has_value();
}

/// What the parent said about the page, if it maps it; what is not mapped is no memory.
std::uint32_t cache_type_at(Partition& partition, machine::Gpn gpn) {
  const machine::LockGuard guard(partition.space_lock);
  const std::optional<GpaMapping> mapping = partition.space->lookup(gpn);
  return mapping && mapping->caching == GpaCaching::kWriteBack ? kCacheTypeWriteBack
                                                               : kCacheTypeUncached;
}

/// The registers that end the messages of memory accesses and of exceptions.
template <class Message>
void fill_registers(const VirtualProcessor& vp, Message& message) {
  message.ds = vtx::read_segment(vtx::SegmentName::kDs);
  message.ss = vtx::read_segment(vtx::SegmentName::kSs);
  for (std::size_t index = 0; index < message.general.size(); ++index) {
    message.general[index] = vp.context.general_register(static_cast<std::uint8_t>(index));
  }
}

MessageType memory_message(bool mapped) {
  return mapped ? MessageType::kGpaIntercept : MessageType::kUnmappedGpa;
}

}  // namespace

void intercept_memory(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint64_t gpa,
                      const vtx::EptViolation& violation) {
  const InterceptAccess access = violation.fetch   ? InterceptAccess::kExecute
                                 : violation.write ? InterceptAccess::kWrite
                                                   : InterceptAccess::kRead;
  MemoryIntercept message;
  message.header = make_intercept_header(vp, access, 0);
  message.cache_type = cache_type_at(vp.partition, machine::Gpa(gpa).page());
  message.tpr_priority = vp.apic.cr8();
  message.gpa = gpa;
  if (violation.linear_address_valid && violation.translated) {
    message.access_info = MemoryIntercept::kGvaValid | MemoryIntercept::kGvaGpaValid;
    message.gva = vtx::exit_guest_linear_address();
  }
  // While an event is delivered there is no instruction.
  if (!vp.pending_event.valid && !violation.fetch) {
    const InstructionBytes fetched = fetch_instruction(vp);
    message.instruction_byte_count = fetched.count;
    message.instruction_bytes = fetched.bytes;
  }
  fill_registers(vp, message);
  raise_intercept(hypervisor, vp, memory_message(violation.mapped), message);
}

void intercept_parameter_access(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint64_t gpa,
                                InterceptAccess access) {
  MemoryIntercept message;
  message.header = make_intercept_header(vp, access, 0);
  message.cache_type = cache_type_at(vp.partition, machine::Gpa(gpa).page());
  message.tpr_priority = vp.apic.cr8();
  message.gpa = gpa;
  fill_registers(vp, message);
  raise_intercept(hypervisor, vp, memory_message(is_mapped(vp.partition, gpa)), message);
}

void intercept_io(Hypervisor& hypervisor, VirtualProcessor& vp, const vtx::IoExit& access) {
  IoPortIntercept message;
  message.header =
      make_intercept_header(vp, access.in ? InterceptAccess::kRead : InterceptAccess::kWrite,
                            vtx::exit_instruction_length());
  message.port = access.port;
  message.access_info =
      static_cast<std::uint8_t>(access.size_bytes | (access.string ? IoPortIntercept::kString : 0) |
                                (access.repeated ? IoPortIntercept::kRep : 0));
  const machine::GuestRegisters& registers = vp.context.registers();
  message.rax = registers.rax;
  if (access.string) {
    const InstructionBytes fetched = fetch_instruction(vp);
    message.instruction_byte_count = fetched.count;
    message.instruction_bytes = fetched.bytes;
    message.ds = vtx::read_segment(vtx::SegmentName::kDs);
    message.es = vtx::read_segment(vtx::SegmentName::kEs);
    message.rcx = registers.rcx;
    message.rsi = registers.rsi;
    message.rdi = registers.rdi;
  }
  raise_intercept(hypervisor, vp, MessageType::kX64IoPortIntercept, message);
}

void intercept_msr(Hypervisor& hypervisor, VirtualProcessor& vp, InterceptAccess access) {
  MsrIntercept message;
  message.header = make_intercept_header(vp, access, vtx::exit_instruction_length());
  message.msr = static_cast<std::uint32_t>(vp.context.registers().rcx);
  message.rdx = vp.context.registers().rdx;
  message.rax = vp.context.registers().rax;
  raise_intercept(hypervisor, vp, MessageType::kX64MsrIntercept, message);
}

void intercept_cpuid(Hypervisor& hypervisor, VirtualProcessor& vp,
                     const machine::CpuidResult& default_result) {
  CpuidIntercept message;
  message.header =
      make_intercept_header(vp, InterceptAccess::kExecute, vtx::exit_instruction_length());
  message.rax = vp.context.registers().rax;
  message.rcx = vp.context.registers().rcx;
  message.rdx = vp.context.registers().rdx;
  message.rbx = vp.context.registers().rbx;
  message.default_rax = default_result.eax;
  message.default_rcx = default_result.ecx;
  message.default_rdx = default_result.edx;
  message.default_rbx = default_result.ebx;
  raise_intercept(hypervisor, vp, MessageType::kX64CpuidIntercept, message);
}

void intercept_unrecoverable_exception(Hypervisor& hypervisor, VirtualProcessor& vp) {
  BareIntercept message;
  message.header = make_intercept_header(vp, InterceptAccess::kExecute, 0);
  raise_intercept(hypervisor, vp, MessageType::kUnrecoverableException, message);
}

void intercept_invalid_register_value(Hypervisor& hypervisor, VirtualProcessor& vp) {
  InvalidVpRegisterValueMessage message;
  message.vp = vp.index;
  raise_intercept(hypervisor, vp, MessageType::kInvalidVpRegisterValue, message);
}

void intercept_unsupported_feature(Hypervisor& hypervisor, VirtualProcessor& vp,
                                   std::uint32_t code) {
  UnsupportedFeatureMessage message;
  message.vp = vp.index;
  message.code = code;
  raise_intercept(hypervisor, vp, MessageType::kUnsupportedFeature, message);
}

void intercept_exception(Hypervisor& hypervisor, VirtualProcessor& vp, const vtx::Event& exception,
                         std::uint64_t parameter) {
  const bool software = vtx::is_software_event(exception.type);
  ExceptionIntercept message;
  message.header = make_intercept_header(vp, InterceptAccess::kExecute,
                                         software ? vtx::exit_instruction_length() : 0);
  message.vector = exception.vector;
  message.info = static_cast<std::uint8_t>(
      (exception.has_error_code ? ExceptionIntercept::kErrorCodeValid : 0) |
      (software ? ExceptionIntercept::kSoftware : 0));
  message.error_code = exception.error_code;
  message.parameter = parameter;
  if (!vp.pending_event.valid) {
    const InstructionBytes fetched = fetch_instruction(vp);
    message.instruction_byte_count = fetched.count;
    message.instruction_bytes = fetched.bytes;
  }
  fill_registers(vp, message);
  raise_intercept(hypervisor, vp, MessageType::kExceptionIntercept, message);
}

void intercept_hypercall(Hypervisor& hypervisor, VirtualProcessor& vp) {
  HypercallIntercept message;
  message.header =
      make_intercept_header(vp, InterceptAccess::kExecute, vtx::exit_instruction_length());
  const machine::GuestRegisters& registers = vp.context.registers();
  message.rax = registers.rax;
  message.rbx = registers.rbx;
  message.rcx = registers.rcx;
  message.rdx = registers.rdx;
  message.r8 = registers.r8;
  message.rsi = registers.rsi;
  message.rdi = registers.rdi;
  for (std::uint32_t index = 0; index < message.xmm.size(); ++index) {
    const auto name =
        static_cast<RegisterName>(static_cast<std::uint32_t>(RegisterName::kXmm0) + index);
    message.xmm[index] = read_register(hypervisor, vp, name).value_or(RegisterValue{});
  }
  raise_intercept(hypervisor, vp, MessageType::kHypercallIntercept, message);
}

void intercept_deliverable(Hypervisor& hypervisor, VirtualProcessor& vp, InterruptionType type) {
  InterruptionDeliverable message;
  message.header = make_intercept_header(vp, InterceptAccess::kExecute, 0);
  message.type = static_cast<std::uint8_t>(type);
  raise_intercept(hypervisor, vp, MessageType::kX64InterruptionDeliverable, message);
}

void intercept_deliverable(Hypervisor& hypervisor, VirtualProcessor& vp, SintSet sints) {
  SynicSintDeliverable message;
  message.header = make_intercept_header(vp, InterceptAccess::kExecute, 0);
  message.sint_mask = sints.bits();
  raise_intercept(hypervisor, vp, MessageType::kSynicSintDeliverable, message);
}

void intercept_startup(Hypervisor& hypervisor, VirtualProcessor& vp, const StartupIpi& startup) {
  SipiIntercept message;
  message.header = make_intercept_header(vp, InterceptAccess::kWrite, startup.instruction_length);
  message.target_vp = startup.target;
  message.vector = startup.vector;
  raise_intercept(hypervisor, vp, MessageType::kX64SipiIntercept, message);
}

void report_end_of_interrupt(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint8_t vector) {
  Partition* const parent = vp.partition.parent;
  if (parent == nullptr || !vp.ended_interrupts.add(vector)) {
    return;
  }
  const machine::LockGuard guard(hypervisor.communication_lock);
  VirtualProcessor* const target = intercept_listener(*parent);
  INVARIANT(target != nullptr);
  QueuedMessage& message = vp.ended_interrupts.message();
  message.header.origination = static_cast<std::uint64_t>(vp.partition.id);
  post_message(hypervisor, *target, kInterceptSint, message);
}

}  // namespace hv
