# libtorch with its own CMake package: Torch_DIR is found by HeadlightTorch. The package of a libtorch
# with CUDA, as PyPI has it, insists on the CUDA toolkit: unless that is asked for, the CPU's libraries
# alone are taken.
if(EXISTS ${torch_folder}/lib/libtorch_cuda.so AND NOT HEADLIGHT_CUDA)
  set(TORCH_INCLUDE_DIRS ${torch_folder}/include ${torch_folder}/include/torch/csrc/api/include)
  set(TORCH_LIBRARIES ${torch_folder}/lib/libtorch_cpu.so ${torch_folder}/lib/libc10.so)
  set(torch_definitions USE_DISTRIBUTED USE_C10D_GLOO USE_RPC USE_TENSORPIPE)
else()
  find_package(Torch REQUIRED)
endif()
# libtorch asks for its own language standard and warning flags; only its headers and libraries
# are wanted, as system headers.
add_library(headlight_torch INTERFACE)
target_include_directories(headlight_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_compile_definitions(headlight_torch INTERFACE ${torch_definitions})
# Sentencepiece first: both define FLAGS_minloglevel, the first one loaded serves both, and
# sentencepiece writes its 32 bytes into libtorch's 4 and the flags behind them.
find_package(PkgConfig REQUIRED)
pkg_check_modules(sentencepiece REQUIRED IMPORTED_TARGET sentencepiece)
target_link_options(headlight_torch INTERFACE -L${sentencepiece_LIBDIR}
  LINKER:--push-state,--no-as-needed,-lsentencepiece,--pop-state)
target_link_libraries(headlight_torch INTERFACE ${TORCH_LIBRARIES})
# at::parallel_for is a header: it uses libtorch's threads only where it is compiled with OpenMP.
# The runtime must be the one that libtorch brought; two of them would start twice the threads.
target_compile_options(headlight_torch INTERFACE -fopenmp)
file(GLOB torch_openmp ${Torch_DIR}/../../../lib/libgomp*.so*)
if(torch_openmp)
  target_link_libraries(headlight_torch INTERFACE ${torch_openmp})
else()
  find_package(OpenMP REQUIRED)
  target_link_libraries(headlight_torch INTERFACE OpenMP::OpenMP_CXX)
endif()

find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(fmt REQUIRED)
find_package(Eigen3 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(tomlplusplus REQUIRED)
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET libzip)
pkg_check_modules(oniguruma REQUIRED IMPORTED_TARGET oniguruma)
find_package(ICU REQUIRED COMPONENTS uc)
