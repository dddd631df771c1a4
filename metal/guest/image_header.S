// The first page of an image: machine::ImageHeader (machine/image.h), field by field. The symbols
// come from the linker script and, for what differs between images, from its command line.
  .section .image_header, "a"
  .globl metal_image_header
metal_image_header:
  .ascii "CHRONIMG"
  .long 1                        // version
  .long image_max_processors
  .quad image_load_gpa
  .quad image_file_size
  .quad image_memory_size
  .quad metal_guest_entry
  .quad metal_guest_processor_entry
  .quad metal_page_tables
  .quad metal_boot_page
  .quad metal_stacks
  .quad metal_stack_size
  .quad metal_arena_begin
  .quad image_arena_size
  // Name: IMAGE_NAME, padded to 16 bytes.
1:
  .ascii IMAGE_NAME
  .fill 16 - (. - 1b), 1, 0

  .section .note.GNU-stack, "", @progbits
