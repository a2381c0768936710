#pragma once
#include "post_kernels.h"
