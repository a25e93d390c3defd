#include "CLinux.h"

#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

static int result(long value) { return value < 0 ? -errno : (int)value; }

int synthgate_fallocate(int fd, int mode, int64_t offset, int64_t length) {
  int done;
  do {
    done = fallocate(fd, mode, offset, length);
  } while (done < 0 && errno == EINTR);
  return result(done);
}

int synthgate_truncate(int fd, int64_t length) { return result(ftruncate(fd, length)); }

int synthgate_datasync(int fd) { return result(fdatasync(fd)); }

int synthgate_discard(int fd, int zero, uint64_t offset, uint64_t length) {
  uint64_t range[2] = {offset, length};
  return result(ioctl(fd, zero ? BLKZEROOUT : BLKDISCARD, range));
}

int synthgate_flock(int fd, int exclusive) { return result(flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB)); }

int synthgate_unlock(int fd, int whole_file) {
  if (!whole_file) return result(flock(fd, LOCK_UN));
  struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
  return result(fcntl(fd, F_OFD_SETLK, &lock));
}

int synthgate_lock_holder(int fd, int exclusive, int *is_unknown) {
  struct flock lock = {.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
  *is_unknown = 0;
  if (fcntl(fd, F_OFD_GETLK, &lock) < 0) return -errno;
  if (lock.l_type == F_UNLCK) return 0;
  if (lock.l_pid > 0) return lock.l_pid;
  *is_unknown = 1;
  return 0;
}

int synthgate_lock_byte(int fd, int64_t offset) {
  struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
  return result(fcntl(fd, F_OFD_SETLK, &lock));
}

int synthgate_is_byte_locked(int fd, int64_t offset) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
  if (fcntl(fd, F_OFD_GETLK, &lock) < 0) return -errno;
  return lock.l_type != F_UNLCK;
}

int synthgate_open_direct(const char *path, int flags) { return synthgate_open(path, flags | O_DIRECT, 0); }

int synthgate_device_number(int fd, unsigned int *major_number, unsigned int *minor_number) {
  struct stat status;
  if (fstat(fd, &status) < 0) return -errno;
  if (!S_ISBLK(status.st_mode)) return -ENODEV;
  *major_number = major(status.st_rdev);
  *minor_number = minor(status.st_rdev);
  return 0;
}

int64_t synthgate_stored_bytes(int fd) {
  struct stat status;
  if (fstat(fd, &status) < 0) return -errno;
  return (int64_t)status.st_blocks * 512;
}
