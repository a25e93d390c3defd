#define _GNU_SOURCE
#include "CURing.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

struct synthgate_uring {
  struct io_uring ring;
  // Prepared and not taken yet; never above the completion ring's size, so that no completion overflows.
  unsigned int in_flight;
};

int synthgate_uring_create(unsigned int entries, struct synthgate_uring **ring) {
  struct synthgate_uring *made = calloc(1, sizeof *made);
  if (!made) return -ENOMEM;
  int result = io_uring_queue_init(entries, &made->ring, 0);
  if (result < 0) {
    free(made);
    return result;
  }
  *ring = made;
  return 0;
}

void synthgate_uring_destroy(struct synthgate_uring *ring) {
  // Entries that were prepared but never submitted are unknown to the kernel: nothing to wait for.
  const unsigned int unsent = io_uring_sq_ready(&ring->ring);
  while (ring->in_flight > unsent) {
    struct io_uring_cqe *entry;
    int result = io_uring_wait_cqe(&ring->ring, &entry);
    if (result == -EINTR) continue;
    if (result < 0) break;
    io_uring_cqe_seen(&ring->ring, entry);
    ring->in_flight--;
  }
  // The kernel ends a ring some time after its descriptor is closed: the files, and locks on them, must not stay so long.
  io_uring_unregister_files(&ring->ring);
  io_uring_queue_exit(&ring->ring);
  free(ring);
}

int synthgate_uring_descriptor(const struct synthgate_uring *ring) { return ring->ring.ring_fd; }

int synthgate_uring_register_files(struct synthgate_uring *ring, const int *descriptors, unsigned int count) {
  return io_uring_register_files(&ring->ring, descriptors, count);
}

unsigned int synthgate_uring_in_flight(const struct synthgate_uring *ring) { return ring->in_flight; }

static struct io_uring_sqe *next_entry(struct synthgate_uring *ring) {
  if (ring->in_flight >= ring->ring.cq.ring_entries) return NULL;
  return io_uring_get_sqe(&ring->ring);
}

static int finish(struct synthgate_uring *ring, struct io_uring_sqe *entry, int registered, uint64_t user_data) {
  if (registered) io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
  io_uring_sqe_set_data64(entry, user_data);
  ring->in_flight++;
  return 0;
}

int synthgate_uring_prepare_nop(struct synthgate_uring *ring, uint64_t user_data) {
  struct io_uring_sqe *entry = next_entry(ring);
  if (!entry) return -EBUSY;
  io_uring_prep_nop(entry);
  return finish(ring, entry, 0, user_data);
}

int synthgate_uring_prepare_transfer(struct synthgate_uring *ring, int write, int fd, int registered, const void *vector,
                                     unsigned int count, uint64_t offset, int flags, uint64_t user_data) {
  struct io_uring_sqe *entry = next_entry(ring);
  if (!entry) return -EBUSY;
  if (write) {
    io_uring_prep_writev2(entry, fd, vector, count, offset, flags);
  } else {
    io_uring_prep_readv2(entry, fd, vector, count, offset, flags);
  }
  return finish(ring, entry, registered, user_data);
}

int synthgate_uring_prepare_sync(struct synthgate_uring *ring, int fd, int registered, int data_only, uint64_t user_data) {
  struct io_uring_sqe *entry = next_entry(ring);
  if (!entry) return -EBUSY;
  io_uring_prep_fsync(entry, fd, data_only ? IORING_FSYNC_DATASYNC : 0);
  return finish(ring, entry, registered, user_data);
}

int synthgate_uring_prepare_fallocate(struct synthgate_uring *ring, int fd, int registered, int mode, uint64_t offset,
                                      uint64_t length, uint64_t user_data) {
  struct io_uring_sqe *entry = next_entry(ring);
  if (!entry) return -EBUSY;
  io_uring_prep_fallocate(entry, fd, mode, (off_t)offset, (off_t)length);
  return finish(ring, entry, registered, user_data);
}

int synthgate_uring_submit(struct synthgate_uring *ring) {
  // The kernel may take fewer than offered (it stops behind an entry that it refuses), or none for want of memory.
  for (int attempt = 0; io_uring_sq_ready(&ring->ring) > 0;) {
    int result = io_uring_submit(&ring->ring);
    if (result > 0 || result == -EINTR) continue;
    if (result < 0 && result != -EAGAIN && result != -EBUSY) return result;
    if (++attempt == 100) return -EAGAIN;
    struct timespec pause = {.tv_nsec = 100000};
    nanosleep(&pause, NULL);
  }
  return 0;
}

int synthgate_uring_take(struct synthgate_uring *ring, uint64_t *user_data, int *result) {
  struct io_uring_cqe *entry;
  if (io_uring_peek_cqe(&ring->ring, &entry) != 0) return 0;
  *user_data = io_uring_cqe_get_data64(entry);
  *result = entry->res;
  io_uring_cqe_seen(&ring->ring, entry);
  ring->in_flight--;
  return 1;
}

int64_t synthgate_transfer(int write, int fd, const void *vector, int count, int64_t offset, int flags) {
  ssize_t result;
  do {
    result = write ? pwritev2(fd, vector, count, offset, flags) : preadv2(fd, vector, count, offset, flags);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : result;
}

int64_t synthgate_transfer_all(int write, int fd, const void *vector, int count, uint64_t skip, int64_t offset, int flags) {
  const struct iovec *pieces = vector;
  int64_t total = 0;
  for (int i = 0; i < count; i++) {
    if (skip >= pieces[i].iov_len) {
      skip -= pieces[i].iov_len;
      offset += (int64_t)pieces[i].iov_len;
      continue;
    }
    struct iovec rest = {(char *)pieces[i].iov_base + skip, pieces[i].iov_len - skip};
    offset += (int64_t)skip;
    skip = 0;
    while (rest.iov_len > 0) {
      int64_t moved = synthgate_transfer(write, fd, &rest, 1, offset, flags);
      if (moved < 0) return moved;
      if (moved == 0) return -ENODATA;
      rest.iov_base = (char *)rest.iov_base + moved;
      rest.iov_len -= (size_t)moved;
      offset += moved;
      total += moved;
    }
  }
  return total;
}
