// io_uring by liburing, whose functions are inline and macros, behind functions that Swift can call.
// Every function returns a value >= 0, or -errno.
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

// As in CLinux: fd_set would differ from the one in Swift's Glibc.
#define _SYS_SELECT_H 1

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct synthgate_uring;

/// A ring for `entries` requests in flight; `*ring` is to be destroyed by `synthgate_uring_destroy`.
int synthgate_uring_create(unsigned int entries, struct synthgate_uring **ring);

/// Frees the ring; nothing may be in flight.
void synthgate_uring_destroy(struct synthgate_uring *ring);

/// The ring's descriptor, readable while completions wait.
int synthgate_uring_descriptor(const struct synthgate_uring *ring);

/// Prepares a readv (`write` 0) or writev. The iovec array must stay until the completion. -EBUSY: submit first.
int synthgate_uring_prepare_transfer(struct synthgate_uring *ring, int write, int fd, const void *vector, unsigned int count,
                                     uint64_t offset, int flags, uint64_t user_data);

/// Prepares an fdatasync(2). -EBUSY: submit first.
int synthgate_uring_prepare_datasync(struct synthgate_uring *ring, int fd, uint64_t user_data);

/// Prepares a fallocate(2). -EBUSY: submit first.
int synthgate_uring_prepare_fallocate(struct synthgate_uring *ring, int fd, int mode, uint64_t offset, uint64_t length,
                                      uint64_t user_data);

/// Submits what was prepared, without waiting.
int synthgate_uring_submit(struct synthgate_uring *ring);

/// Takes one completion without a system call: 1 and its values, or 0 when there is none.
int synthgate_uring_take(struct synthgate_uring *ring, uint64_t *user_data, int *result);

/// preadv2(2) or pwritev2(2); `flags` are RWF_ flags.
ssize_t synthgate_transfer(int write, int fd, const void *vector, int count, int64_t offset, int flags);

/// The same from byte `skip` of the vector on, repeated until all of it is transferred; -EIO at the end of the file.
ssize_t synthgate_transfer_all(int write, int fd, const void *vector, int count, uint64_t skip, int64_t offset);
