# headlight_floor(NAME SOURCES file... [USES target...] [PRIVATE_USES target...])
# One static library per folder below src/, called headlight_NAME.
function(headlight_floor name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;USES;PRIVATE_USES")
  add_library(headlight_${name} STATIC ${arg_SOURCES})
  target_include_directories(headlight_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)
  target_link_libraries(headlight_${name} PUBLIC ${arg_USES} PRIVATE ${arg_PRIVATE_USES})
  headlight_compile_options(headlight_${name})
endfunction()

# headlight_test(NAME SOURCES file... USES target...)
# One GoogleTest program; its cases are counted by tests/run.py.
function(headlight_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;USES")
  add_executable(test_${name} ${arg_SOURCES})
  target_link_libraries(test_${name} PRIVATE ${arg_USES} GTest::gmock GTest::gtest_main)
  target_compile_definitions(test_${name} PRIVATE
    HEADLIGHT_SHARED_DATA="${PROJECT_SOURCE_DIR}/../shared/data")
  headlight_compile_options(test_${name})
  add_test(NAME ${name} COMMAND test_${name})
  # What tests write must not meet that of another checkout or user.
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "TEST_TMPDIR=${CMAKE_CURRENT_BINARY_DIR}/")
endfunction()

function(headlight_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  # Designated initializers leave fields at their defaults on purpose.
  # No contraction into FMA behind our back: results must not depend on what the compiler fuses.
  # -fPIC for programs too: they share the precompiled header of the floors.
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow
                         $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
                         -Wno-missing-field-initializers
                         -ffp-contract=off -fvisibility=hidden -fPIC)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  if(HEADLIGHT_SANITIZE)
    # Line numbers and few optimisations are enough: anything more takes an hour to compile.
    target_compile_options(${target} PRIVATE -fsanitize=${HEADLIGHT_SANITIZE}
                           -fno-omit-frame-pointer -O1 -g1)
    target_link_options(${target} PUBLIC -fsanitize=${HEADLIGHT_SANITIZE})
  endif()
endfunction()

# Several files of a floor in one compilation: libtorch's headers cost ten seconds each time.
option(CMAKE_UNITY_BUILD "Compile several files of a floor at once" ON)
set(CMAKE_UNITY_BUILD_BATCH_SIZE 16)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
