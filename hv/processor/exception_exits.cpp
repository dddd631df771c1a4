#include "hv/processor/exception_exits.h"

#include "hv/hypervisor.h"
#include "hv/intercept.h"
#include "hv/vtx/event_injection.h"
#include "hv/vtx/guest_context.h"
#include "machine/x86.h"

namespace hv {
namespace {

/// CR2 or DR6 as the exception would have set them (SDM vol. 3 27.2.1).
std::uint64_t parameter_of(const vtx::Event& exception) {
  const bool has_one = exception.vector == machine::x86::kVectorPageFault ||
                       exception.vector == machine::x86::kVectorDebug;
  return has_one ? vtx::exit_qualification() : 0;
}

/// The intercept was removed while the exit was on its way: the guest takes its exception, with
/// that of an event that was being delivered given up for it.
void give_back(VirtualProcessor& vp, vtx::Event exception, std::uint64_t parameter) {
  if (exception.vector == machine::x86::kVectorPageFault) {
    vp.context.registers().cr2 = parameter;
  }
  if (vtx::is_software_event(exception.type)) {
    exception.instruction_length = vtx::exit_instruction_length();
  }
  vp.pending_event = exception;
}

}  // namespace

void apply_exception_intercepts(VirtualProcessor& vp) {
  const auto wanted = static_cast<std::uint32_t>(vp.partition.exception_intercepts.load());
  if (wanted != vp.exception_bitmap) {
    vp.exception_bitmap = wanted;
    vtx::set_exception_bitmap(wanted);
  }
}

void handle_exception(LogicalProcessor& processor, VirtualProcessor& vp) {
  const vtx::Event exception = vtx::exit_event();
  if (exception.type == vtx::EventType::kNmi) {
    return;  // for this processor: no source is programmed
  }
  const std::uint64_t parameter = parameter_of(exception);
  if (((vp.partition.exception_intercepts.load() >> exception.vector) & 1) != 0) {
    intercept_exception(processor.hypervisor(), vp, exception, parameter);
  } else {
    give_back(vp, exception, parameter);
  }
}

}  // namespace hv
