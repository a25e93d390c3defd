#include "CFUSE.h"
