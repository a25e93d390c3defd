#include "CLinux.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int synthgate_map_huge(size_t length, void **address) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB;
  void *mapped = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (mapped == MAP_FAILED) return -errno;
  int failure = synthgate_populate(mapped, length);
  if (failure < 0) {
    munmap(mapped, length);
    return failure;
  }
  *address = mapped;
  return 0;
}

int synthgate_populate(void *address, size_t length) {
  // Before 5.14 the kernel has no such call; there a write to each page does the same, except that it can't fail.
  if (madvise(address, length, MADV_POPULATE_WRITE) == 0) return 0;
  if (errno != EINVAL) return -errno;
  for (size_t at = 0; at < length; at += 4096) *((volatile char *)address + at) = 0;
  return 0;
}

int synthgate_pin(void *address, size_t length) {
  struct io_uring_params parameters;
  memset(&parameters, 0, sizeof parameters);
  int ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
  if (ring < 0) return -errno;
  // A registered buffer is 1 GiB at most, and there may be 1024 of them before 5.13.
  enum { most = 64 };
  const size_t piece = (size_t)1 << 30;
  struct iovec pieces[most];
  unsigned int count = 0;
  for (size_t done = 0; done < length; done += piece) {
    if (count == most) {
      close(ring);
      return -E2BIG;
    }
    size_t rest = length - done;
    pieces[count++] = (struct iovec){.iov_base = (char *)address + done, .iov_len = rest < piece ? rest : piece};
  }
  if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, pieces, count) < 0) {
    int failure = -errno;
    close(ring);
    return failure;
  }
  fcntl(ring, F_SETFD, FD_CLOEXEC);
  return ring;
}

int synthgate_map_device(int fd, size_t length, uint64_t offset, void **address) {
  void *mapped = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
  if (mapped == MAP_FAILED) return -errno;
  *address = mapped;
  return 0;
}

int synthgate_system_page_size(void) { return (int)sysconf(_SC_PAGESIZE); }

int synthgate_make_character_device(const char *path, unsigned int major_number, unsigned int minor_number) {
  if (mknod(path, S_IFCHR | 0600, makedev(major_number, minor_number)) == 0 || errno == EEXIST) return 0;
  return -errno;
}

int synthgate_character_device(const char *path, unsigned int *major_number, unsigned int *minor_number) {
  struct stat info;
  if (stat(path, &info) < 0) return -errno;
  if (!S_ISCHR(info.st_mode)) return -ENODEV;
  *major_number = major(info.st_rdev);
  *minor_number = minor(info.st_rdev);
  return 0;
}

int synthgate_cpuid(uint32_t leaf, uint32_t registers[4]) {
#if defined(__x86_64__)
  __cpuid_count(leaf, 0, registers[0], registers[1], registers[2], registers[3]);
  return 1;
#else
  (void)leaf;
  memset(registers, 0, 4 * sizeof *registers);
  return 0;
#endif
}
