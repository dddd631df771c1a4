# The include table of the design, held by the build: a target's include path is a directory of links
# to just the folders that its row allows, so that an include outside the row does not compile.
#
#   chronovisor_row(NAME FOLDERS folder... SOURCES file...)
#     a static library below or beside the seam (hosted only)
#   chronovisor_row_above_the_seam(NAME FOLDERS folder... SOURCES file...)
#     the same sources twice: NAME for the simulator, NAME_metal freestanding for the real computer

function(chronovisor_include_row NAME OUTPUT)
  set(directory ${PROJECT_BINARY_DIR}/include_rows/${NAME})
  file(REMOVE_RECURSE ${directory})
  foreach(folder IN LISTS ARGN)
    get_filename_component(parent ${directory}/${folder} DIRECTORY)
    file(MAKE_DIRECTORY ${parent})
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${directory}/${folder} SYMBOLIC)
  endforeach()
  set(${OUTPUT} ${directory} PARENT_SCOPE)
endfunction()

function(chronovisor_row NAME)
  cmake_parse_arguments(ROW "" "" "FOLDERS;SOURCES" ${ARGN})
  chronovisor_include_row(${NAME} directory ${ROW_FOLDERS})
  add_library(${NAME} STATIC ${ROW_SOURCES})
  target_include_directories(${NAME} PRIVATE ${directory})
  target_link_libraries(${NAME} PUBLIC chronovisor_options)
endfunction()

function(chronovisor_row_above_the_seam NAME)
  cmake_parse_arguments(ROW "" "" "FOLDERS;SOURCES" ${ARGN})
  chronovisor_include_row(${NAME} directory ${ROW_FOLDERS})
  add_library(${NAME} STATIC ${ROW_SOURCES})
  target_include_directories(${NAME} PRIVATE ${directory})
  target_link_libraries(${NAME} PRIVATE chronovisor_above_the_seam)
  if(CHRONOVISOR_METAL AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT CHRONOVISOR_SANITIZE)
    add_library(${NAME}_metal STATIC ${ROW_SOURCES})
    target_include_directories(${NAME}_metal PRIVATE ${directory})
    target_link_libraries(${NAME}_metal PRIVATE chronovisor_freestanding)
  endif()
endfunction()
