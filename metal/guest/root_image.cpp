// The root partition's image: the kernel's entry functions.
#include "metal/guest/image.h"
#include "partitions/root/root.h"

namespace metal {

void run_image() { root::boot(); }
void run_image_processor() { root::boot_processor(); }

}  // namespace metal
