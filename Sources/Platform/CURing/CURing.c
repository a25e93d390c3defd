#include "CURing.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

struct synthgate_uring {
  struct io_uring ring;
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
  io_uring_queue_exit(&ring->ring);
  free(ring);
}

int synthgate_uring_descriptor(const struct synthgate_uring *ring) { return ring->ring.ring_fd; }

int synthgate_uring_prepare_transfer(struct synthgate_uring *ring, int write, int fd, const void *vector, unsigned int count,
                                     uint64_t offset, int flags, uint64_t user_data) {
  struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
  if (!entry) return -EBUSY;
  if (write) {
    io_uring_prep_writev2(entry, fd, vector, count, offset, flags);
  } else {
    io_uring_prep_readv2(entry, fd, vector, count, offset, flags);
  }
  io_uring_sqe_set_data64(entry, user_data);
  return 0;
}

int synthgate_uring_prepare_datasync(struct synthgate_uring *ring, int fd, uint64_t user_data) {
  struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
  if (!entry) return -EBUSY;
  io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
  io_uring_sqe_set_data64(entry, user_data);
  return 0;
}

int synthgate_uring_prepare_fallocate(struct synthgate_uring *ring, int fd, int mode, uint64_t offset, uint64_t length,
                                      uint64_t user_data) {
  struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
  if (!entry) return -EBUSY;
  io_uring_prep_fallocate(entry, fd, mode, (off_t)offset, (off_t)length);
  io_uring_sqe_set_data64(entry, user_data);
  return 0;
}

int synthgate_uring_submit(struct synthgate_uring *ring) {
  int result;
  do {
    result = io_uring_submit(&ring->ring);
  } while (result == -EINTR);
  return result;
}

int synthgate_uring_take(struct synthgate_uring *ring, uint64_t *user_data, int *result) {
  struct io_uring_cqe *entry;
  if (io_uring_peek_cqe(&ring->ring, &entry) != 0) return 0;
  *user_data = io_uring_cqe_get_data64(entry);
  *result = entry->res;
  io_uring_cqe_seen(&ring->ring, entry);
  return 1;
}

ssize_t synthgate_transfer(int write, int fd, const void *vector, int count, int64_t offset, int flags) {
  ssize_t result;
  do {
    result = write ? pwritev2(fd, vector, count, offset, flags) : preadv2(fd, vector, count, offset, flags);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : result;
}

ssize_t synthgate_transfer_all(int write, int fd, const void *vector, int count, uint64_t skip, int64_t offset) {
  const struct iovec *pieces = vector;
  ssize_t total = 0;
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
      ssize_t moved = synthgate_transfer(write, fd, &rest, 1, offset, 0);
      if (moved < 0) return moved;
      if (moved == 0) return -EIO;
      rest.iov_base = (char *)rest.iov_base + moved;
      rest.iov_len -= (size_t)moved;
      offset += moved;
      total += moved;
    }
  }
  return total;
}
