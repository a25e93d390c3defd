#include "CLinux.h"

#include <linux/magic.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/vfs.h>

#define MAXIMUM_DESCRIPTORS 8

static ssize_t result(ssize_t value) { return value < 0 ? -errno : value; }

int synthgate_open(const char *path, int flags, unsigned int mode) {
  int fd;
  do {
    fd = open(path, flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return (int)result(fd);
}

int synthgate_fcntl(int fd, int command, int argument) { return (int)result(fcntl(fd, command, argument)); }

int synthgate_memfd(const char *name) { return (int)result(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)); }

ssize_t synthgate_send(int socket, const void *bytes, size_t length, const int *descriptors, int descriptor_count) {
  if (descriptor_count < 0 || descriptor_count > MAXIMUM_DESCRIPTORS) return -EINVAL;
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * MAXIMUM_DESCRIPTORS)];
  } control;
  memset(&control, 0, sizeof control);
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (descriptor_count > 0) {
    size_t size = sizeof(int) * (size_t)descriptor_count;
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), descriptors, size);
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return result(sent);
}

ssize_t synthgate_receive(int socket, void *bytes, size_t length, int *descriptors, int *descriptor_count) {
  int room = *descriptor_count;
  *descriptor_count = 0;
  if (room < 0 || room > MAXIMUM_DESCRIPTORS) return -EINVAL;
  struct iovec part = {.iov_base = bytes, .iov_len = length};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * MAXIMUM_DESCRIPTORS)];
  } control;
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t received;
  do {
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return -errno;
  bool overflow = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      if (*descriptor_count < room) {
        descriptors[(*descriptor_count)++] = fd;
      } else {
        close(fd);
        overflow = true;
      }
    }
  }
  if (overflow) {
    for (int i = 0; i < *descriptor_count; i++) close(descriptors[i]);
    *descriptor_count = 0;
    return -EMSGSIZE;
  }
  return received;
}

int synthgate_set_thread_name(const char *name) { return -pthread_setname_np(pthread_self(), name); }

int synthgate_peer_process(int socket) {
  struct ucred credentials;
  socklen_t size = sizeof credentials;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) return -errno;
  return credentials.pid;
}

static int unix_socket(const char *path, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address->sun_path) return -ENAMETOOLONG;
  strcpy(address->sun_path, path);
  return (int)result(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
}

int synthgate_connect(const char *path) {
  struct sockaddr_un address;
  int fd = unix_socket(path, &address);
  if (fd < 0) return fd;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int failure = -errno;
  close(fd);
  return failure;
}

int synthgate_listen(const char *path, unsigned int mode) {
  struct sockaddr_un address;
  int fd = unix_socket(path, &address);
  if (fd < 0) return fd;
  // The permissions of the file are those of the socket before bind(2): no moment with wider ones.
  if (fchmod(fd, mode) == 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 16) == 0) {
    return fd;
  }
  int failure = -errno;
  close(fd);
  return failure;
}

int synthgate_accept(int socket) { return (int)result(accept4(socket, NULL, NULL, SOCK_CLOEXEC)); }

ssize_t synthgate_drain_eventfd(int fd) {
  uint64_t count;
  struct iovec part = {.iov_base = &count, .iov_len = sizeof count};
  return result(preadv2(fd, &part, 1, -1, RWF_NOWAIT));
}

int synthgate_has_ordinary_pages(int fd) {
  struct statfs info;
  if (fstatfs(fd, &info) < 0) return -errno;
  return info.f_type == TMPFS_MAGIC;
}

int synthgate_errno(void) { return errno; }

int synthgate_lock_memory(void) { return (int)result(mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)); }

int synthgate_set_io_flusher(void) { return (int)result(prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0)); }

struct synthgate_civil_time synthgate_civil_time(int64_t seconds) {
  const time_t time = seconds;
  struct tm parts = {0};
  gmtime_r(&time, &parts);
  return (struct synthgate_civil_time){
      parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_wday + 1, parts.tm_hour, parts.tm_min, parts.tm_sec};
}
