#include "CLinux.h"

static ssize_t result(ssize_t value) { return value < 0 ? -errno : value; }

int synthgate_stream_connect(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int failure = -errno;
  close(fd);
  return failure;
}

int synthgate_stream_listen(const char *path, unsigned int mode) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  // The permissions of the file are those of the socket before bind(2): no moment with wider ones.
  if (fchmod(fd, mode) == 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 16) == 0) {
    return fd;
  }
  int failure = -errno;
  close(fd);
  return failure;
}

int synthgate_stream_accept(int socket) {
  return (int)result(accept4(socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

int synthgate_stream_pair(int numbers[2]) {
  return (int)result(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, numbers));
}

ssize_t synthgate_stream_read(int socket, void *bytes, size_t length) {
  ssize_t count;
  do {
    count = recv(socket, bytes, length, MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  return result(count);
}

int synthgate_stream_peek(int socket) {
  char byte;
  return (int)result(recv(socket, &byte, 1, MSG_DONTWAIT | MSG_PEEK));
}

ssize_t synthgate_stream_write(int socket, const void *bytes, size_t length) {
  ssize_t count;
  do {
    count = send(socket, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  return result(count);
}
