// A child partition's image: the kernel's entry functions.
#include "metal/guest/image.h"
#include "partitions/child/child.h"

namespace metal {

void run_image() { child::boot(); }
void run_image_processor() { child::boot_processor(); }

}  // namespace metal
