#include "CLinux.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

static ssize_t result(ssize_t value) { return value < 0 ? -errno : value; }

int synthgate_enter_network_namespace(int fd) { return (int)result(setns(fd, CLONE_NEWNET)); }

int synthgate_tap_open(void) { return (int)result(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)); }

int synthgate_tap_features(int fd, unsigned int *features) {
  return (int)result(ioctl(fd, TUNGETFEATURES, features));
}

int synthgate_tap_attach(int fd, const char *name, unsigned int flags, char actual[16]) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  if (strlen(name) >= sizeof request.ifr_name) return -ENAMETOOLONG;
  strcpy(request.ifr_name, name);
  request.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE | flags);
  if (ioctl(fd, TUNSETIFF, &request) < 0) return -errno;
  memcpy(actual, request.ifr_name, sizeof request.ifr_name);
  return 0;
}

int synthgate_tap_set(int fd, enum synthgate_tap_setting setting, int value) {
  switch (setting) {
    case synthgate_tap_header_byte_count: return (int)result(ioctl(fd, TUNSETVNETHDRSZ, &value));
    case synthgate_tap_little_endian: return (int)result(ioctl(fd, TUNSETVNETLE, &value));
    case synthgate_tap_offloads: return (int)result(ioctl(fd, TUNSETOFFLOAD, (unsigned long)value));
    case synthgate_tap_persistent: return (int)result(ioctl(fd, TUNSETPERSIST, (unsigned long)value));
    case synthgate_tap_carrier: return (int)result(ioctl(fd, TUNSETCARRIER, &value));
    case synthgate_tap_send_buffer: return (int)result(ioctl(fd, TUNSETSNDBUF, &value));
    case synthgate_tap_attached: {
      struct ifreq request;
      memset(&request, 0, sizeof request);
      request.ifr_flags = value ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE;
      return (int)result(ioctl(fd, TUNSETQUEUE, &request));
    }
  }
  return -EINVAL;
}

ssize_t synthgate_read_pieces(int fd, void *head, size_t head_length, const struct iovec *pieces, int count) {
  if (count < 0 || count > SYNTHGATE_PIECES) return -EINVAL;
  struct iovec all[SYNTHGATE_PIECES + 2];
  char beyond;
  all[0] = (struct iovec){.iov_base = head, .iov_len = head_length};
  for (int i = 0; i < count; i++) all[i + 1] = pieces[i];
  all[count + 1] = (struct iovec){.iov_base = &beyond, .iov_len = 1};
  ssize_t done;
  do {
    done = readv(fd, all, count + 2);
  } while (done < 0 && errno == EINTR);
  return result(done);
}

ssize_t synthgate_write_pieces(int fd, const void *head, size_t head_length, const struct iovec *pieces, int count,
                               size_t skip) {
  if (count < 0 || count > SYNTHGATE_PIECES) return -EINVAL;
  struct iovec all[SYNTHGATE_PIECES + 1];
  int used = 0;
  if (head_length > 0) all[used++] = (struct iovec){.iov_base = (void *)head, .iov_len = head_length};
  for (int i = 0; i < count; i++) {
    if (skip >= pieces[i].iov_len) {
      skip -= pieces[i].iov_len;
      continue;
    }
    all[used++] = (struct iovec){.iov_base = (char *)pieces[i].iov_base + skip, .iov_len = pieces[i].iov_len - skip};
    skip = 0;
  }
  ssize_t done;
  do {
    done = writev(fd, all, used);
  } while (done < 0 && errno == EINTR);
  return result(done);
}

int synthgate_parse_address(const char *text, uint8_t bytes[16]) {
  if (inet_pton(AF_INET, text, bytes) == 1) return 4;
  if (inet_pton(AF_INET6, text, bytes) == 1) return 16;
  return -EINVAL;
}

int synthgate_format_address(const uint8_t *bytes, int length, char text[64]) {
  if (length != 4 && length != 16) return -EINVAL;
  return inet_ntop(length == 4 ? AF_INET : AF_INET6, bytes, text, 64) ? 0 : -errno;
}
