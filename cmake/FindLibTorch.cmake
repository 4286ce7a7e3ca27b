# Finds LibTorch in a PyTorch wheel or an unpacked LibTorch archive, and defines LibTorch::torch.
#
# PyTorch's own TorchConfig.cmake is not used: it asks for a CUDA toolkit of the wheel's exact version even
# when nothing is compiled for CUDA, and it adds foreign library paths to the program.
#
# LIBTORCH_ROOT (variable or environment) names the folder with include/ and lib/; without it, the project's
# private environment .deps/venv is searched, then the python3 on the PATH is asked.
if(NOT LIBTORCH_ROOT AND DEFINED ENV{LIBTORCH_ROOT})
    set(LIBTORCH_ROOT "$ENV{LIBTORCH_ROOT}")
endif()
if(NOT LIBTORCH_ROOT)
    file(GLOB candidates "${PROJECT_SOURCE_DIR}/.deps/venv/lib/python3*/site-packages/torch"
         "${PROJECT_SOURCE_DIR}/.deps/libtorch")
    if(candidates)
        list(GET candidates 0 LIBTORCH_ROOT)
    else()
        execute_process(COMMAND python3 -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
                        OUTPUT_VARIABLE LIBTORCH_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    endif()
endif()
set(LIBTORCH_ROOT "${LIBTORCH_ROOT}" CACHE PATH "Folder of LibTorch with include/ and lib/" FORCE)

set(version_header "${LIBTORCH_ROOT}/include/torch/headeronly/version.h")
if(NOT EXISTS "${version_header}")
    set(version_header "${LIBTORCH_ROOT}/include/torch/csrc/api/include/torch/version.h")
endif()
if(EXISTS "${version_header}")
    set(parts "")
    foreach(part MAJOR MINOR PATCH)
        file(STRINGS "${version_header}" line REGEX "#define TORCH_VERSION_${part} +[0-9]+" LIMIT_COUNT 1)
        string(REGEX MATCH "[0-9]+" number "${line}")
        list(APPEND parts "${number}")
    endforeach()
    list(JOIN parts "." LibTorch_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_file(LibTorch_CPU_LIBRARY libtorch_cpu.so PATHS "${LIBTORCH_ROOT}/lib" NO_DEFAULT_PATH NO_CACHE)
find_file(LibTorch_C10_LIBRARY libc10.so PATHS "${LIBTORCH_ROOT}/lib" NO_DEFAULT_PATH NO_CACHE)
find_package_handle_standard_args(LibTorch REQUIRED_VARS LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY
                                  VERSION_VAR LibTorch_VERSION)

if(LibTorch_FOUND AND NOT TARGET LibTorch::torch)
    set(LibTorch_HAS_CUDA OFF)
    if(EXISTS "${LIBTORCH_ROOT}/lib/libtorch_cuda.so")
        set(LibTorch_HAS_CUDA ON)
    endif()
    add_library(LibTorch::c10 SHARED IMPORTED)
    set_target_properties(
        LibTorch::c10
        PROPERTIES IMPORTED_LOCATION "${LibTorch_C10_LIBRARY}" IMPORTED_SONAME libc10.so
                   INTERFACE_INCLUDE_DIRECTORIES
                   "${LIBTORCH_ROOT}/include;${LIBTORCH_ROOT}/include/torch/csrc/api/include")
    add_library(LibTorch::torch_cpu SHARED IMPORTED)
    set_target_properties(
        LibTorch::torch_cpu PROPERTIES IMPORTED_LOCATION "${LibTorch_CPU_LIBRARY}" IMPORTED_SONAME libtorch_cpu.so
                                       INTERFACE_LINK_LIBRARIES LibTorch::c10)
    add_library(LibTorch::torch INTERFACE IMPORTED)
    target_link_libraries(LibTorch::torch INTERFACE LibTorch::torch_cpu LibTorch::c10)
    if(LibTorch_HAS_CUDA)
        # Nothing of ours names a symbol of the CUDA library, it registers itself when loaded: the linker's
        # --as-needed (Debian's default) would drop it.
        target_link_options(
            LibTorch::torch INTERFACE
            "LINKER:--push-state,--no-as-needed,${LIBTORCH_ROOT}/lib/libtorch_cuda.so,${LIBTORCH_ROOT}/lib/libc10_cuda.so,--pop-state")
    endif()
    message(STATUS "LibTorch ${LibTorch_VERSION} in ${LIBTORCH_ROOT} (CUDA: ${LibTorch_HAS_CUDA})")
endif()
