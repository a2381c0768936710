// What Volumes does in C: pictures (libtiff, libpng) and an HDF5 file driver.
#pragma once
#include "Pictures.h"
#include "SafeDriver.h"
