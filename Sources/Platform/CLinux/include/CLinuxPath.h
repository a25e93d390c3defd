// Paths that nobody vouches for.
#pragma once

#include <stdint.h>

/// Opens a file for reading below a directory (openat2(2)): -EXDEV when the path leaves it, -ELOOP when a symbolic link is
/// on the way. A pipe without a writer does not hold the caller.
int synthgate_open_beneath(int directory, const char *path);

/// Which file a descriptor is of, and when it was changed last, in seconds since 1970.
int synthgate_file_identity(int fd, uint64_t *device, uint64_t *inode, int64_t *modified);
