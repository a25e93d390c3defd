#include "CLinux.h"

#include <linux/openat2.h>
#include <sys/syscall.h>

int synthgate_open_beneath(int directory, const char *path) {
  struct open_how how = {
      .flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  };
  long fd;
  do {
    fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return fd < 0 ? -errno : (int)fd;
}

int synthgate_file_identity(int fd, uint64_t *device, uint64_t *inode, int64_t *modified) {
  struct stat status;
  if (fstat(fd, &status) < 0) return -errno;
  *device = status.st_dev;
  *inode = status.st_ino;
  *modified = status.st_mtim.tv_sec;
  return 0;
}
