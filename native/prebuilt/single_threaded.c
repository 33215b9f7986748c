// Headers of glibc 2.32 and newer have libstdc++ ask this variable whether a process has threads; older ones lack it. It may always say
// that there are some.
__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;
