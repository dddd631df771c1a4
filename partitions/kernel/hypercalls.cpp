#include "partitions/kernel/hypercalls.h"

#include "machine/guest.h"

namespace kernel {

hv::HypercallResult Hypercalls::invoke(hv::HypercallControl control, std::uint64_t input,
                                       std::uint64_t output) {
  return hv::HypercallResult(machine::hypercall(call_page_, control.value(), input, output));
}

RepResult Hypercalls::repeat(hv::CallCode code, std::uint32_t count) {
  std::uint32_t completed = 0;
  while (completed < count) {
    const hv::HypercallResult result = invoke(
        hv::HypercallControl(code).with_reps(count, completed), input_.value(), output_.value());
    const bool went_on = result.reps_completed() > completed && result.reps_completed() <= count;
    if (went_on) {
      completed = result.reps_completed();
    }
    if (result.status() != hv::Status::kSuccess) {
      return {result.status(), completed};
    }
    if (!went_on) {
      // Success without progress is no answer that the interface knows.
      return {hv::Status::kOperationFailed, completed};
    }
  }
  return {hv::Status::kSuccess, completed};
}

}  // namespace kernel
