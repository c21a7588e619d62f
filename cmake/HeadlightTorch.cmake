# Where libtorch is: Torch_DIR if the user says so, else the torch of the Python that builds a
# wheel, else the pip package that scripts/setup.sh put into build/venv.
if(DEFINED ENV{Torch_DIR} AND NOT Torch_DIR)
  set(Torch_DIR $ENV{Torch_DIR})
endif()
if(NOT Torch_DIR AND SKBUILD)
  find_package(Python REQUIRED COMPONENTS Interpreter)
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c
            "import importlib.util as u; print(*u.find_spec('torch').submodule_search_locations)"
    OUTPUT_VARIABLE torch_folder OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(Torch_DIR ${torch_folder}/share/cmake/Torch)
endif()
if(NOT Torch_DIR)
  file(GLOB Torch_DIR ${PROJECT_SOURCE_DIR}/build/venv/lib/python3*/site-packages/torch/share/cmake/Torch)
endif()
if(NOT Torch_DIR)
  message(FATAL_ERROR "libtorch is not installed. Run scripts/setup.sh, or set Torch_DIR to the "
                      "folder of TorchConfig.cmake.")
endif()

# Headers and libraries alone, for a module that Python loads beside torch: a libtorch with CUDA
# must not ask for the CUDA toolkit here. OpenMP's symbols are those that libtorch_cpu brings.
get_filename_component(torch_folder ${Torch_DIR}/../../.. ABSOLUTE)
add_library(headlight_libtorch INTERFACE)
target_include_directories(headlight_libtorch SYSTEM INTERFACE
  ${torch_folder}/include ${torch_folder}/include/torch/csrc/api/include)
target_link_libraries(headlight_libtorch INTERFACE
  ${torch_folder}/lib/libtorch_cpu.so ${torch_folder}/lib/libc10.so)
target_compile_options(headlight_libtorch INTERFACE -fopenmp)
