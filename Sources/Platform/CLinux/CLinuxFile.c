#include "CLinux.h"

#include <limits.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

int synthgate_describe_file(int fd, struct synthgate_file_info *info) {
  struct stat status;
  if (fstat(fd, &status) < 0) return -errno;
  memset(info, 0, sizeof *info);
  info->logical_sector = 512;
  info->physical_sector = 4096;
  if (S_ISREG(status.st_mode)) {
    info->kind = synthgate_file_regular;
    info->size = (uint64_t)status.st_size;
  } else if (S_ISBLK(status.st_mode)) {
    info->kind = synthgate_file_block_device;
    int logical = 512;
    unsigned int physical = 512;
    unsigned short rotational = 0;
    if (ioctl(fd, BLKGETSIZE64, &info->size) < 0) return -errno;
    if (ioctl(fd, BLKSSZGET, &logical) == 0) info->logical_sector = (uint32_t)logical;
    if (ioctl(fd, BLKPBSZGET, &physical) == 0) info->physical_sector = physical;
    if (ioctl(fd, BLKROTATIONAL, &rotational) == 0) info->is_rotational = rotational != 0;
    info->direct_memory_alignment = info->logical_sector;
    info->direct_offset_alignment = info->logical_sector;
  } else {
    info->kind = S_ISDIR(status.st_mode) ? synthgate_file_directory : synthgate_file_other;
  }
  if (info->kind == synthgate_file_regular) {
    // Kernels before 6.1 do not tell; 4096 is right for every filesystem that can do direct I/O at all.
    info->direct_memory_alignment = 4096;
    info->direct_offset_alignment = 4096;
    // struct statx as of Linux 6.1, whose fields Debian 12's C library does not have yet.
    union {
      uint32_t words[64];
      struct {
        uint32_t mask, blksize;
        uint8_t rest[0x98 - 8];
        uint32_t dio_memory, dio_offset;
      } fields;
    } result;
    memset(&result, 0, sizeof result);
    const unsigned int dio_align = 0x2000;
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, dio_align, &result) == 0 && (result.fields.mask & dio_align)) {
      info->direct_memory_alignment = result.fields.dio_memory;
      info->direct_offset_alignment = result.fields.dio_offset;
    }
  }
  return 0;
}

int synthgate_lock_file(int fd, int exclusive) {
  struct flock lock = {.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
  return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

int synthgate_rename(const char *path, const char *new_path, int replacing) {
  if (renameat2(AT_FDCWD, path, AT_FDCWD, new_path, replacing ? 0 : RENAME_NOREPLACE) == 0) return 0;
  if (replacing || (errno != EINVAL && errno != ENOSYS)) return -errno;
  // A filesystem that can't tell renames apart: a second name, then the first one goes.
  if (link(path, new_path) < 0) return -errno;
  return unlink(path) < 0 ? -errno : 0;
}

int64_t synthgate_seek(int fd, int64_t offset, int for_data) {
  off_t found = lseek(fd, offset, for_data ? SEEK_DATA : SEEK_HOLE);
  return found < 0 ? -errno : found;
}

int synthgate_real_path(const char *path, char *buffer, int size) {
  char resolved[PATH_MAX];
  if (!realpath(path, resolved)) return -errno;
  if ((int)strlen(resolved) >= size) return -ENAMETOOLONG;
  strcpy(buffer, resolved);
  return 0;
}

int synthgate_is_socket(const char *path) {
  struct stat info;
  return lstat(path, &info) == 0 && S_ISSOCK(info.st_mode);
}
