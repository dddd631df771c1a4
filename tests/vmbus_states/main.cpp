// Prints docs/vmbus-states.md by driving both ends of the bus through every message in every state.
// Fails if an end leaves no trace of what it did with one, or has a state that is in no table.
#include <cstdio>

#include "tests/vmbus_states/table.h"

int main() {
  std::printf(
      "# Messages and states of VMBus\n\n"
      "Generated: `build/tests/vmbus_states/vmbus_states > docs/vmbus-states.md`. Each row is what "
      "the shipped\nstate machine did when the generator gave it a well-formed message in that "
      "state.\n\n"
      "*refused*: not legal in the state; nothing is done and a trace is left. *ignored*: a race "
      "explains it;\nnothing is done. *noted*: it only changes the state, or is kept for later. "
      "Both are as if the message had not come, but for the answers "
      "named. Names in capitals\nare messages sent; the others are requests to the end's owner.\n");
  vmbus_states::Printer printer;
  vmbus_states::print_server(printer);
  vmbus_states::print_client(printer);
  std::printf("\n%d pairs of a message and a state; undefined: %d.\n", printer.pairs(),
              printer.undefined());
  return printer.undefined() == 0 && printer.missing() == 0 ? 0 : 1;
}
