// The computer as a whole.
#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/intercept.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "machine/vmx_root.h"

namespace hv::calls {

CallOutcome enter_sleep_state(CallContext& context) {
  const auto input = context.header<EnterSleepStateInput>();
  if (!context.caller.is_root()) {
    return fail(Status::kAccessDenied);
  }
  if (input.sleep_state != EnterSleepStateInput::kOff || input.reserved != 0) {
    return fail(Status::kInvalidParameter);
  }
  machine::stop(kStopNormally);
}

}  // namespace hv::calls
