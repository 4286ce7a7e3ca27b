# Options that every target of ours uses; libraries from elsewhere come in as SYSTEM and stay quiet.
set(LOFTSCOPE_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, comma separated")

add_library(loftscope_options INTERFACE)
target_compile_options(loftscope_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                                   -Wno-sign-conversion -Wnon-virtual-dtor)
if(LOFTSCOPE_WARNINGS_AS_ERRORS)
    target_compile_options(loftscope_options INTERFACE -Werror)
endif()
# LibTorch's headers bring a newer fmt than Debian's library: header-only use makes either one work.
target_compile_definitions(loftscope_options INTERFACE FMT_HEADER_ONLY QT_NO_KEYWORDS)
if(LOFTSCOPE_COMPUTE_ONLY)
    target_compile_definitions(loftscope_options INTERFACE LOFTSCOPE_COMPUTE_ONLY)
endif()
target_include_directories(loftscope_options INTERFACE "${PROJECT_SOURCE_DIR}")
if(LOFTSCOPE_SANITIZE)
    target_compile_options(loftscope_options INTERFACE -fsanitize=${LOFTSCOPE_SANITIZE}
                                                       -fno-omit-frame-pointer)
    target_link_options(loftscope_options INTERFACE -fsanitize=${LOFTSCOPE_SANITIZE})
endif()
