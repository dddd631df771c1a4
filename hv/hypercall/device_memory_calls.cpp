// Accesses that a guest asks for instead of making them: to memory-mapped devices, mostly (TLFS
// "Hypercall Reference").
#include <span>

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/intercept.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "machine/machine.h"

namespace hv::calls {
namespace {

Status check(const CallContext& context, const MmioInput& input) {
  const machine::Gpa gpa(input.gpa);
  if (input.reserved != 0 || input.size_bytes == 0 || input.size_bytes > MmioInput::kMaxBytes ||
      gpa.offset_in_page() + input.size_bytes > machine::kPageSize) {
    return Status::kInvalidParameter;
  }
  Partition& caller = context.caller;
  const machine::LockGuard guard(caller.space_lock);
  return caller.space->contains(gpa.page()) ? Status::kSuccess : Status::kInvalidParameter;
}

/// Nothing is there that allows it: the parent is asked, as for the access itself, and the call is
/// made again when it has seen to that. Nobody can be asked for the root, nor about an overlay
/// page.
CallOutcome refuse(CallContext& context, machine::Gpa gpa, InterceptAccess access) {
  bool overlaid = false;
  {
    const machine::LockGuard guard(context.caller.space_lock);
    overlaid = context.caller.space->is_overlaid(gpa.page());
  }
  if (context.caller.is_root() || overlaid) {
    return fail(Status::kOperationDenied);
  }
  intercept_parameter_access(context.hypervisor, context.vp, gpa.value(), access);
  return CallOutcome::try_again();
}

}  // namespace

CallOutcome mmio_read(CallContext& context) {
  const auto input = context.header<MmioInput>();
  if (const Status status = check(context, input); status != Status::kSuccess) {
    return fail(status);
  }
  const machine::Gpa gpa(input.gpa);
  MmioReadOutput output;
  if (!context.caller.read_memory(gpa, std::span(output.data).first(input.size_bytes))) {
    return refuse(context, gpa, InterceptAccess::kRead);
  }
  return fail(context.put_output(output));
}

CallOutcome mmio_write(CallContext& context) {
  const auto input = context.header<MmioWriteInput>();
  if (const Status status = check(context, input.where); status != Status::kSuccess) {
    return fail(status);
  }
  const machine::Gpa gpa(input.where.gpa);
  const std::span<const std::byte> bytes = std::span(input.data).first(input.where.size_bytes);
  return context.caller.write_memory(gpa, bytes) ? CallOutcome{}
                                                 : refuse(context, gpa, InterceptAccess::kWrite);
}

}  // namespace hv::calls
