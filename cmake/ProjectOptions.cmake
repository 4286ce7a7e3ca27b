# Levels of optimisation: hand-written loops over pixels and numbers ask for -O3 themselves; what calls LibTorch gains
# nothing from more than -O2; parsing, reporting and widgets are compiled fastest.
string(REPLACE "-O3" "-O2" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
function(loftscope_hot target)
    set_property(SOURCE ${ARGN} TARGET_DIRECTORY ${target} APPEND PROPERTY COMPILE_OPTIONS $<$<CONFIG:Release>:-O3>)
    # What is precompiled serves one level of optimisation.
    set_property(SOURCE ${ARGN} TARGET_DIRECTORY ${target} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
endfunction()
# (-Og takes many a value for uninitialised that is not.)
function(loftscope_seldom_runs target)
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-Og> $<$<CONFIG:Release>:-Wno-maybe-uninitialized>)
endfunction()

# Options that every target of ours uses; libraries from elsewhere come in as SYSTEM and stay quiet.
set(LOFTSCOPE_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, comma separated")

add_library(loftscope_options INTERFACE)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT CMAKE_DISABLE_PRECOMPILE_HEADERS)
    target_compile_options(loftscope_options INTERFACE -fpch-preprocess) # lets ccache see what is precompiled
endif()
target_compile_options(loftscope_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                                   -Wno-sign-conversion -Wnon-virtual-dtor)
if(LOFTSCOPE_WARNINGS_AS_ERRORS)
    target_compile_options(loftscope_options INTERFACE -Werror)
endif()
# LibTorch's headers bring a newer fmt than Debian's library: header-only use makes either one work.
target_compile_definitions(loftscope_options INTERFACE FMT_HEADER_ONLY QT_NO_KEYWORDS AT_PER_OPERATOR_HEADERS)
target_include_directories(loftscope_options INTERFACE "${PROJECT_SOURCE_DIR}")
if(LOFTSCOPE_SANITIZE)
    target_compile_options(loftscope_options INTERFACE -fsanitize=${LOFTSCOPE_SANITIZE}
                                                       -fno-omit-frame-pointer)
    target_link_options(loftscope_options INTERFACE -fsanitize=${LOFTSCOPE_SANITIZE})
endif()
