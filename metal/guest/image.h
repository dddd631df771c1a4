// What the start of an image calls, once for each kind of image (root_image.cpp, child_image.cpp).
#pragma once

namespace metal {

/// Runs the kernel on VP 0, or on another VP. Do not return.
[[noreturn]] void run_image();
[[noreturn]] void run_image_processor();

}  // namespace metal
