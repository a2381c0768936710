// What Volumes does in C: pictures (libtiff, libpng), an HDF5 file driver, compressed chunks.
#pragma once
#include "Chunks.h"
#include "Pictures.h"
#include "SafeDriver.h"
