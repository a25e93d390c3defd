#include "CFUSE.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

_Static_assert(sizeof(struct synthgate_fuse_open_out) == sizeof(struct fuse_open_out), "reply to FUSE_OPEN");

static ssize_t result(ssize_t value) { return value < 0 ? -errno : value; }

int synthgate_fuse_open(void) { return (int)result(open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK)); }

int synthgate_fuse_clone(int fd) {
  int clone = synthgate_fuse_open();
  if (clone < 0) return clone;
  uint32_t source = (uint32_t)fd;
  if (ioctl(clone, FUSE_DEV_IOC_CLONE, &source) == 0) return clone;
  int failure = -errno;
  close(clone);
  return failure;
}

int synthgate_fuse_duplicate(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return -errno;
  int flags = fcntl(copy, F_GETFL, 0);
  if (flags >= 0 && fcntl(copy, F_SETFL, flags | O_NONBLOCK) == 0) return copy;
  int failure = -errno;
  close(copy);
  return failure;
}

int synthgate_fuse_mount(const char *source, const char *path, const char *options, int read_only) {
  unsigned long flags = MS_NOSUID | MS_NODEV | (read_only ? MS_RDONLY : 0);
  return (int)result(mount(source, path, "fuse.synthgate", flags, options));
}

int synthgate_fuse_unmount(const char *path, int lazy) {
  return (int)result(umount2(path, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)));
}

ssize_t synthgate_fuse_read(int fd, void *bytes, size_t length) { return result(read(fd, bytes, length)); }

ssize_t synthgate_fuse_writev(int fd, const struct iovec *pieces, int count) {
  return result(writev(fd, pieces, count));
}

int synthgate_fuse_poll(int fd, int milliseconds) {
  struct pollfd one = {.fd = fd, .events = POLLIN};
  int ready;
  do {
    ready = poll(&one, 1, milliseconds);
  } while (ready < 0 && errno == EINTR);
  if (ready > 0 && !(one.revents & POLLIN)) return -ENODEV;
  return (int)result(ready);
}

struct fuse_session *synthgate_fuse_session(
    const struct fuse_lowlevel_ops *operations, const char *options, void *userdata) {
  struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
  struct fuse_session *session = NULL;
  if (fuse_opt_add_arg(&arguments, "synthgate") == 0 && fuse_opt_add_arg(&arguments, "-o") == 0 &&
      fuse_opt_add_arg(&arguments, options) == 0) {
    session = fuse_session_new(&arguments, operations, sizeof *operations, userdata);
  }
  fuse_opt_free_args(&arguments);
  return session;
}
