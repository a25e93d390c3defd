// libfuse's low-level API, and the system calls around /dev/fuse that Swift can't name.
// Every function here returns a value >= 0, or -errno.
#pragma once

// As in CLinux: Swift wants to see one definition of the C library's types.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

// sys/types.h brings sys/select.h along, whose fd_set has other field names under _GNU_SOURCE than in Swift's Glibc. A
// program that sees both is refused by the compiler, now and then. Nothing here uses select(2): its header is left out.
#define _SYS_SELECT_H 1

#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/// The memory layout of the reply to FUSE_OPEN (linux/fuse.h), whose newer flags libfuse 3.14 has no fields for.
struct synthgate_fuse_open_out {
  uint64_t file_handle;
  uint32_t open_flags;
  uint32_t padding;
};

/// /dev/fuse, non-blocking and close-on-exec.
int synthgate_fuse_open(void);

/// A further descriptor of the connection that `fd` belongs to (FUSE_DEV_IOC_CLONE), non-blocking and close-on-exec.
int synthgate_fuse_clone(int fd);

/// A duplicate of `fd` that is close-on-exec; the open file is made non-blocking.
int synthgate_fuse_duplicate(int fd);

/// mount(2) with type "fuse.synthgate", nosuid and nodev.
int synthgate_fuse_mount(const char *source, const char *path, const char *options, int read_only);

/// umount2(2) without following a symbolic link; `lazy` detaches at once.
int synthgate_fuse_unmount(const char *path, int lazy);

/// read(2) of one request.
ssize_t synthgate_fuse_read(int fd, void *bytes, size_t length);

/// writev(2) of one reply.
ssize_t synthgate_fuse_writev(int fd, const struct iovec *pieces, int count);

/// Waits until `fd` is readable: 1, or 0 after `milliseconds`.
int synthgate_fuse_poll(int fd, int milliseconds);

/// fuse_session_new with `-o options`; NULL when libfuse refuses.
struct fuse_session *synthgate_fuse_session(
    const struct fuse_lowlevel_ops *operations, const char *options, void *userdata);
