// Files and block devices. Every function returns a value >= 0, or -errno.
#pragma once

#include <stdint.h>

/// What a file is, for `synthgate_describe_file`.
enum synthgate_file_kind {
  synthgate_file_regular = 0,
  synthgate_file_block_device = 1,
  synthgate_file_directory = 2,
  synthgate_file_other = 3,
};

/// What is known of an open file. Sizes and alignments in bytes; 0 where direct I/O is not possible.
struct synthgate_file_info {
  enum synthgate_file_kind kind;
  uint64_t size;
  uint32_t logical_sector;
  uint32_t physical_sector;
  uint32_t direct_memory_alignment;
  uint32_t direct_offset_alignment;
  int is_rotational;
};

/// Fills `info` (fstat, statx with STATX_DIOALIGN, BLKGETSIZE64, BLKSSZGET, BLKPBSZGET, BLKROTATIONAL).
int synthgate_describe_file(int fd, struct synthgate_file_info *info);

/// Locks the whole file (F_OFD_SETLK) until the open file is closed; -EAGAIN when somebody else holds it.
int synthgate_lock_file(int fd, int exclusive);

/// Gives a file another name; unless `replacing`, -EEXIST when a file has it.
int synthgate_rename(const char *path, const char *new_path, int replacing);

/// lseek(2) with SEEK_DATA or SEEK_HOLE; -ENXIO when there is no data behind `offset`.
int64_t synthgate_seek(int fd, int64_t offset, int for_data);

/// The canonical path of `path` in `buffer` of `size` bytes, null-terminated.
int synthgate_real_path(const char *path, char *buffer, int size);

/// Whether there is a socket at `path` itself, not behind a link.
int synthgate_is_socket(const char *path);
