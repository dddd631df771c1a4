// A guest's connection to its debugger (TLFS "Debugging"). No debugger is attached to this
// hypervisor: what a partition posts to itself comes back, and there is nothing else.
#include <algorithm>
#include <array>
#include <span>

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "machine/machine.h"

namespace hv::calls {
namespace {

/// The data is after the header, in memory; whether it ends within the page.
bool is_in_page(const CallContext& context, machine::Gpa block, std::size_t header_bytes,
                std::uint32_t count) {
  return !context.call.fast && block.offset_in_page() + header_bytes + count <= machine::kPageSize;
}

}  // namespace

CallOutcome post_debug_data(CallContext& context) {
  const auto input = context.header<PostDebugDataInput>();
  const std::uint32_t known = PostDebugDataInput::kLoop | PostDebugDataInput::kRawPacket;
  if ((input.options & ~known) != 0 || input.count > PostDebugDataInput::kMaxBytes) {
    return fail(Status::kInvalidParameter);
  }
  if (!is_in_page(context, context.input_gpa, sizeof(input), input.count)) {
    return fail(Status::kInvalidAlignment);
  }
  if ((input.options & PostDebugDataInput::kLoop) == 0) {
    return fail(Status::kOperationDenied);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  DebugLoop& loop = context.caller.debug_loop;
  std::array<std::byte, DebugLoop::kBytes> bytes;
  const std::span<std::byte> taken = std::span(bytes).first(std::min(input.count, loop.room()));
  if (!context.caller.read_memory(context.input_gpa + sizeof(input), taken)) {
    return CallOutcome::try_again();
  }
  PostDebugDataOutput output;
  output.pending_count = input.count - static_cast<std::uint32_t>(taken.size());
  const Status written = context.put_output(output);
  if (written == Status::kSuccess) {
    loop.add(taken);
  }
  return fail(written);
}

/// Nothing ever comes later, so nobody waits for it.
CallOutcome retrieve_debug_data(CallContext& context) {
  const auto input = context.header<RetrieveDebugDataInput>();
  const std::uint32_t known = RetrieveDebugDataInput::kLoop |
                              RetrieveDebugDataInput::kTestActivity |
                              RetrieveDebugDataInput::kRawPacket;
  if ((input.options & ~known) != 0 || input.count > PostDebugDataInput::kMaxBytes ||
      input.timeout_100ns > RetrieveDebugDataInput::kMaxTimeout100ns) {
    return fail(Status::kInvalidParameter);
  }
  if (!is_in_page(context, context.output_gpa, sizeof(RetrieveDebugDataOutput), input.count)) {
    return fail(Status::kInvalidAlignment);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  DebugLoop& loop = context.caller.debug_loop;
  if ((input.options & RetrieveDebugDataInput::kLoop) == 0 || loop.size() == 0) {
    return fail(Status::kNoData);
  }
  const bool only_test = (input.options & RetrieveDebugDataInput::kTestActivity) != 0;
  const std::span<const std::byte> data = loop.first(only_test ? 0 : input.count);
  const auto count = static_cast<std::uint32_t>(data.size());
  if (!context.caller.write_memory(context.output_gpa + sizeof(RetrieveDebugDataOutput), data)) {
    return fail(Status::kInvalidAlignment);
  }
  const Status written = context.put_output(RetrieveDebugDataOutput{count, loop.size() - count});
  if (written == Status::kSuccess) {
    loop.remove(count);
  }
  return fail(written);
}

CallOutcome reset_debug_session(CallContext& context) {
  const auto input = context.header<ResetDebugSessionInput>();
  const std::uint32_t known =
      ResetDebugSessionInput::kPurgeIncoming | ResetDebugSessionInput::kPurgeOutgoing;
  if (input.reserved != 0 || (input.options & ~known) != 0) {
    return fail(Status::kInvalidParameter);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  if (input.options != 0) {
    // Going out is coming in.
    context.caller.debug_loop.clear();
  }
  return {};
}

}  // namespace hv::calls
