// The part of the CUDA runtime's header that native/cuda uses, for compilers that know no CUDA: kernels become plain
// C++ functions that the emulator calls, once for each thread. First on the include path of the emulated build.
#pragma once

#include "simt/device_functions.h"
#include "simt/host_api.h"
