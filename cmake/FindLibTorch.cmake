# Finds LibTorch in a PyTorch wheel or an unpacked LibTorch archive, and defines LibTorch::torch.
#
# PyTorch's own TorchConfig.cmake is not used: it asks for a CUDA toolkit of the wheel's exact version even
# when nothing is compiled for CUDA, and it adds foreign library paths to the program.
#
# LIBTORCH_ROOT names it: the folder with include/ and lib/, or the one that holds that as torch/ or libtorch/.
# Given as -DLIBTORCH_ROOT=... it stays; else the environment variable of that name counts at every configuring;
# without either: the project's private environment .deps/venv, what was found last time, the python3 on the PATH.
set(LIBTORCH_ROOT "" CACHE PATH "Folder of LibTorch; empty: see cmake/FindLibTorch.cmake")
set(libtorch_root "${LIBTORCH_ROOT}")
if(NOT libtorch_root)
    set(libtorch_root "$ENV{LIBTORCH_ROOT}")
endif()
if(NOT libtorch_root)
    file(GLOB libtorch_root LIST_DIRECTORIES true "${PROJECT_SOURCE_DIR}/.deps/venv/lib/python3*/site-packages/torch")
endif()
if(NOT libtorch_root AND EXISTS "${LIBTORCH_LAST_ROOT}")
    set(libtorch_root "${LIBTORCH_LAST_ROOT}")
endif()
if(NOT libtorch_root)
    execute_process(COMMAND python3 -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
                    OUTPUT_VARIABLE libtorch_root OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
foreach(folder IN ITEMS "${libtorch_root}" "${libtorch_root}/libtorch" "${libtorch_root}/torch")
    if(EXISTS "${folder}/lib/libtorch_cpu.so")
        set(libtorch_root "${folder}")
        break()
    endif()
endforeach()

set(version_header "${libtorch_root}/include/torch/headeronly/version.h")
if(NOT EXISTS "${version_header}")
    set(version_header "${libtorch_root}/include/torch/csrc/api/include/torch/version.h")
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
find_file(LibTorch_CPU_LIBRARY libtorch_cpu.so PATHS "${libtorch_root}/lib" NO_DEFAULT_PATH NO_CACHE)
find_file(LibTorch_C10_LIBRARY libc10.so PATHS "${libtorch_root}/lib" NO_DEFAULT_PATH NO_CACHE)
find_package_handle_standard_args(
    LibTorch REQUIRED_VARS LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY VERSION_VAR LibTorch_VERSION
    REASON_FAILURE_MESSAGE "looked in '${libtorch_root}': set LIBTORCH_ROOT to an unpacked LibTorch, or run ./test, which installs one")

if(LibTorch_FOUND AND NOT TARGET LibTorch::torch)
    set(LIBTORCH_LAST_ROOT "${libtorch_root}" CACHE INTERNAL "")
    set(LibTorch_HAS_CUDA OFF)
    if(EXISTS "${libtorch_root}/lib/libtorch_cuda.so")
        set(LibTorch_HAS_CUDA ON)
    endif()
    # c10d's process group over NCCL needs headers of NCCL and CUDA, which a wheel brings as packages beside its own,
    # and a toolkit in its folder. Without them, several GPUs add up their gradients over the CPU.
    set(LibTorch_NCCL_INCLUDE_DIRS "")
    if(LibTorch_HAS_CUDA)
        get_filename_component(packages "${libtorch_root}/.." ABSOLUTE)
        file(GLOB nccl_folders "${packages}/nvidia/*/include" "/usr/local/cuda/include")
        include(CheckCXXSourceCompiles)
        set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY) # compiled, not linked
        set(CMAKE_REQUIRED_QUIET ON)
        set(CMAKE_REQUIRED_FLAGS "-std=c++20")
        set(CMAKE_REQUIRED_DEFINITIONS -DUSE_C10D_NCCL)
        set(CMAKE_REQUIRED_INCLUDES "${libtorch_root}/include" "${libtorch_root}/include/torch/csrc/api/include"
                                    ${nccl_folders})
        check_cxx_source_compiles("
            #include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
            c10::intrusive_ptr<c10d::Backend> group(const c10::intrusive_ptr<c10d::Store>& store) {
                auto options = c10d::ProcessGroupNCCL::Options::create();
                options->timeout = std::chrono::minutes(1);
                return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, 0, 1, std::move(options));
            }" LibTorch_HAS_NCCL)
        foreach(name TRY_COMPILE_TARGET_TYPE REQUIRED_QUIET REQUIRED_FLAGS REQUIRED_DEFINITIONS REQUIRED_INCLUDES)
            unset(CMAKE_${name})
        endforeach()
        if(LibTorch_HAS_NCCL)
            set(LibTorch_NCCL_INCLUDE_DIRS ${nccl_folders})
        endif()
    endif()
    add_library(LibTorch::c10 SHARED IMPORTED)
    set_target_properties(
        LibTorch::c10
        PROPERTIES IMPORTED_LOCATION "${LibTorch_C10_LIBRARY}" IMPORTED_SONAME libc10.so
                   INTERFACE_INCLUDE_DIRECTORIES
                   "${libtorch_root}/include;${libtorch_root}/include/torch/csrc/api/include")
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
            "LINKER:--push-state,--no-as-needed,${libtorch_root}/lib/libtorch_cuda.so,${libtorch_root}/lib/libc10_cuda.so,--pop-state")
    endif()
    set(has_nccl OFF)
    if(LibTorch_NCCL_INCLUDE_DIRS)
        set(has_nccl ON)
    endif()
    message(STATUS "LibTorch ${LibTorch_VERSION} in ${libtorch_root} (CUDA: ${LibTorch_HAS_CUDA}, NCCL: ${has_nccl})")
endif()
