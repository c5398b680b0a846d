# Installed: both libraries, the header, a CMake package and a relocatable pkg-config file.
include(CMakePackageConfigHelpers)

target_link_options(crease_shared PRIVATE LINKER:--version-script=${CMAKE_CURRENT_SOURCE_DIR}/cmake/crease.map)
if(NOT CREASE_SANITIZE)
  target_link_options(crease_shared PRIVATE LINKER:--no-undefined)
endif()

install(DIRECTORY include/crease DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS crease_shared EXPORT creaseShared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS crease_static EXPORT creaseStatic ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET crease)
  install(TARGETS crease RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/crease)
install(EXPORT creaseShared NAMESPACE crease:: FILE creaseSharedTargets.cmake DESTINATION ${package_dir})
install(EXPORT creaseStatic NAMESPACE crease:: FILE creaseStaticTargets.cmake DESTINATION ${package_dir})
configure_package_config_file(cmake/creaseConfig.cmake.in creaseConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(creaseConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/creaseConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/creaseConfigVersion.cmake
        DESTINATION ${package_dir})

# pkg-config finds the prefix from where the file lies, so that the tree can be moved.
file(RELATIVE_PATH CREASE_PC_TO_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(cmake/crease.pc.in crease.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/crease.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
