# The attention core for other C++ and C programs: a CMake package `headlight` with the target
# headlight::attention, a pkg-config file and the public headers.
#
# `cmake --install` gives the static library, or with -DBUILD_SHARED_LIBS=ON the shared one. Either
# can be asked for by its component: `cmake --install BUILD --component headlight_shared`.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
find_package(Threads REQUIRED)

# The same objects as the floor's, which the tests link statically because they look inside.
add_library(headlight_shared SHARED EXCLUDE_FROM_ALL $<TARGET_OBJECTS:headlight_attention>)
target_include_directories(headlight_shared PUBLIC
                           $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
target_compile_features(headlight_shared PUBLIC cxx_std_20)
target_link_libraries(headlight_shared PRIVATE Threads::Threads)
if(HEADLIGHT_SANITIZE)
  target_link_options(headlight_shared PRIVATE -fsanitize=${HEADLIGHT_SANITIZE})
endif()
# Templates of the standard library are visible whatever our flags say; the linker drops them.
set(symbols ${PROJECT_SOURCE_DIR}/src/attention/public_symbols.map)
if(NOT APPLE)
  target_link_options(headlight_shared PRIVATE LINKER:--version-script=${symbols}
                      LINKER:--gc-sections $<$<CONFIG:Release>:LINKER:--strip-all>)
  set_target_properties(headlight_shared PROPERTIES LINK_DEPENDS ${symbols})
endif()
set_target_properties(headlight_shared PROPERTIES OUTPUT_NAME headlight_attention
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR} VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
if(BUILD_SHARED_LIBS OR HEADLIGHT_TESTS)
  set_target_properties(headlight_shared PROPERTIES EXCLUDE_FROM_ALL OFF)
endif()
set_target_properties(headlight_attention headlight_shared PROPERTIES EXPORT_NAME attention)
foreach(target headlight_attention headlight_shared)
  target_include_directories(${target} PUBLIC $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/headlight)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pkgconfig_to_prefix /prefix/${pkgconfig_dir} /prefix)

# headlight_install_library(TARGET KIND [EXCLUDE_FROM_ALL]) for the kinds static and shared.
function(headlight_install_library target kind)
  set(component COMPONENT headlight_${kind} ${ARGN})
  set(generated ${PROJECT_BINARY_DIR}/package/${kind})
  set(pkgconfig_libs "-lheadlight_attention")
  if(kind STREQUAL static)
    # What a C compiler does not link by itself, and a C++ compiler does anyway.
    set(standard_library ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES})
    list(FILTER standard_library INCLUDE REGEX "^(stdc\\+\\+|c\\+\\+|m)$")
    list(REMOVE_DUPLICATES standard_library)
    list(TRANSFORM standard_library PREPEND "-l")
    string(REPLACE ";" " " standard_library "${standard_library}")
    string(APPEND pkgconfig_libs " ${standard_library} -pthread")
  endif()
  configure_file(${PROJECT_SOURCE_DIR}/cmake/headlight.pc.in ${generated}/headlight.pc @ONLY)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/headlight-config.cmake.in
                 ${generated}/headlight-config.cmake @ONLY)
  write_basic_package_version_file(${generated}/headlight-config-version.cmake
                                   COMPATIBILITY SameMinorVersion)
  install(TARGETS ${target} EXPORT headlight_${kind} ${component})
  install(EXPORT headlight_${kind} FILE headlight-${kind}-targets.cmake NAMESPACE headlight::
          DESTINATION ${package_dir} ${component})
  install(FILES ${generated}/headlight-config.cmake ${generated}/headlight-config-version.cmake
          DESTINATION ${package_dir} ${component})
  install(FILES ${generated}/headlight.pc DESTINATION ${pkgconfig_dir} ${component})
  foreach(header attention.h attention_c.h error.h)
    install(FILES ${PROJECT_SOURCE_DIR}/include/headlight/${header}
            DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/headlight ${component})
  endforeach()
endfunction()

if(BUILD_SHARED_LIBS)
  headlight_install_library(headlight_shared shared)
  headlight_install_library(headlight_attention static EXCLUDE_FROM_ALL)
else()
  headlight_install_library(headlight_attention static)
  headlight_install_library(headlight_shared shared EXCLUDE_FROM_ALL)
endif()
