// The storage behind files and block devices, and locks on them. Every function returns a value >= 0, or -errno.
#pragma once

#include <stdint.h>

/// fallocate(2) with FALLOC_FL_ bits.
int synthgate_fallocate(int fd, int mode, int64_t offset, int64_t length);

/// ftruncate(2).
int synthgate_truncate(int fd, int64_t length);

/// fdatasync(2).
int synthgate_datasync(int fd);

/// BLKDISCARD, or with `zero` BLKZEROOUT, on a block device; both numbers in bytes, multiples of the sector size.
int synthgate_discard(int fd, int zero, uint64_t offset, uint64_t length);

/// flock(2) without waiting: shared, exclusive, or none; -EAGAIN when somebody else holds it.
int synthgate_flock(int fd, int exclusive);

/// Gives back a lock of `synthgate_flock` (`whole_file` 0) or of `synthgate_lock_file` (1).
int synthgate_unlock(int fd, int whole_file);

/// Asks who keeps this open file from a whole-file lock (F_OFD_GETLK): 0 nobody; the process id; -1 (as `*is_unknown`) an
/// open file, whose lock belongs to no process.
int synthgate_lock_holder(int fd, int exclusive, int *is_unknown);

/// Takes a shared lock of this open file on one byte (F_OFD_SETLK); -EAGAIN when somebody has it exclusively.
int synthgate_lock_byte(int fd, int64_t offset);

/// Whether another open file or process has a lock on one byte: 1 or 0.
int synthgate_is_byte_locked(int fd, int64_t offset);

/// Opens with O_DIRECT added to `flags`.
int synthgate_open_direct(const char *path, int flags);

/// Number of the device that a block device file stands for, in the two parts that sysfs uses.
int synthgate_device_number(int fd, unsigned int *major_number, unsigned int *minor_number);

/// How much storage a file takes, in bytes (st_blocks).
int64_t synthgate_stored_bytes(int fd);
