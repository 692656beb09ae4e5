# mayfly_library(<layer> [USES <layer or package target> ...]): the library mayfly_<layer> of all *.cpp beside it, and, of its
# *_test.cpp, the test program mayfly_<layer>_test. What a layer may use is what it lists.
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(fmt REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(PkgConfig REQUIRED)
find_package(SQLite3 REQUIRED)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(NFTABLES REQUIRED IMPORTED_TARGET libnftables)
pkg_check_modules(LIBCAP REQUIRED IMPORTED_TARGET libcap)
pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)
find_package(prometheus-cpp REQUIRED)

option(MAYFLY_TESTS "Build the tests" ON)
set(MAYFLY_SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread")

add_library(mayfly_options INTERFACE)
target_include_directories(mayfly_options INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_BINARY_DIR}/generated)
target_compile_options(mayfly_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
  -Wnon-virtual-dtor -Wold-style-cast -Wimplicit-fallthrough
  -Wno-missing-designated-field-initializers -Werror)
target_compile_definitions(mayfly_options INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION
  BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_DISABLE_BOOST_ARRAY MAYFLY_VERSION="${PROJECT_VERSION}")
target_link_libraries(mayfly_options INTERFACE Threads::Threads fmt::fmt)
if(MAYFLY_SANITIZE)
  target_compile_options(mayfly_options INTERFACE -fsanitize=${MAYFLY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(mayfly_options INTERFACE -fsanitize=${MAYFLY_SANITIZE})
endif()

if(MAYFLY_TESTS)
  enable_testing()
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

# Units that see Asio's or Beast's composed operations take long and much memory: one at a time.
set_property(GLOBAL PROPERTY JOB_POOLS heavy=1)

function(mayfly_library layer)
  cmake_parse_arguments(ARG "" "" "USES;SOURCES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_fuzz\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  if(NOT sources)
    return()
  endif()
  add_library(mayfly_${layer} STATIC ${sources} ${ARG_SOURCES})
  target_link_libraries(mayfly_${layer} PUBLIC mayfly_options ${ARG_USES})
  if(MAYFLY_TESTS AND tests)
    add_executable(mayfly_${layer}_test ${tests})
    target_link_libraries(mayfly_${layer}_test PRIVATE mayfly_${layer} GTest::gtest GTest::gtest_main)
    add_test(NAME ${layer} COMMAND mayfly_${layer}_test)
    set_property(TEST ${layer} PROPERTY WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  endif()
endfunction()
