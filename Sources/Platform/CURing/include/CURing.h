// io_uring by liburing, whose functions are inline and macros, behind functions that Swift can call.
// Every function returns a value >= 0, or -errno. No system header but stdint.h: others would define types a second time
// for Swift, which sees them through the C library's module too.
#pragma once

#include <stdint.h>

struct synthgate_uring;

/// A ring for `entries` requests in flight; `*ring` is to be destroyed by `synthgate_uring_destroy`.
int synthgate_uring_create(unsigned int entries, struct synthgate_uring **ring);

/// Frees the ring; waits until nothing is in flight, for the kernel may write into the memory of a request until then.
void synthgate_uring_destroy(struct synthgate_uring *ring);

/// The ring's descriptor, readable while completions wait.
int synthgate_uring_descriptor(const struct synthgate_uring *ring);

/// Gives the kernel `count` descriptors to keep; requests then name them by index with `registered` set.
int synthgate_uring_register_files(struct synthgate_uring *ring, const int *descriptors, unsigned int count);

/// How many requests were prepared and not taken yet.
unsigned int synthgate_uring_in_flight(const struct synthgate_uring *ring);

/// Prepares a request that does nothing. -EBUSY: too many are in flight.
int synthgate_uring_prepare_nop(struct synthgate_uring *ring, uint64_t user_data);

/// Prepares a readv (`write` 0) or writev. The iovec array must stay until the completion. -EBUSY: too many in flight.
int synthgate_uring_prepare_transfer(struct synthgate_uring *ring, int write, int fd, int registered, const void *vector,
                                     unsigned int count, uint64_t offset, int flags, uint64_t user_data);

/// Prepares an fsync(2), or with `data_only` an fdatasync(2). -EBUSY: too many in flight.
int synthgate_uring_prepare_sync(struct synthgate_uring *ring, int fd, int registered, int data_only, uint64_t user_data);

/// Prepares a fallocate(2). -EBUSY: too many in flight.
int synthgate_uring_prepare_fallocate(struct synthgate_uring *ring, int fd, int registered, int mode, uint64_t offset,
                                      uint64_t length, uint64_t user_data);

/// Submits what was prepared, without waiting.
int synthgate_uring_submit(struct synthgate_uring *ring);

/// Takes one completion without a system call: 1 and its values, or 0 when there is none.
int synthgate_uring_take(struct synthgate_uring *ring, uint64_t *user_data, int *result);

/// preadv2(2) or pwritev2(2); `flags` are RWF_ flags.
int64_t synthgate_transfer(int write, int fd, const void *vector, int count, int64_t offset, int flags);

/// The same from byte `skip` of the vector on, repeated until all of it is transferred; -ENODATA at the end of the file.
int64_t synthgate_transfer_all(int write, int fd, const void *vector, int count, uint64_t skip, int64_t offset, int flags);
