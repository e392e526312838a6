# find_package(hako) defines the target hako::hako.
get_filename_component(hako_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET hako::hako)
  add_library(hako::hako SHARED IMPORTED)
  set_target_properties(hako::hako PROPERTIES
    IMPORTED_LOCATION "${hako_prefix}/lib/libhako.so"
    INTERFACE_INCLUDE_DIRECTORIES "${hako_prefix}/include")
endif()
