// Network namespaces, TAP devices, scattered reads and writes, addresses as text. Every function returns a value >= 0,
// or -errno.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/// Moves the calling thread into the network namespace that `fd` stands for (setns(2)).
int synthgate_enter_network_namespace(int fd);

/// Numbers of a TAP that TUNSET... calls set, for `synthgate_tap_set`.
enum synthgate_tap_setting {
  synthgate_tap_header_byte_count = 0,
  synthgate_tap_little_endian = 1,
  synthgate_tap_offloads = 2,
  synthgate_tap_persistent = 3,
  synthgate_tap_carrier = 4,
  /// 1 attaches the queue, 0 detaches it.
  synthgate_tap_attached = 5,
  synthgate_tap_send_buffer = 6,
};

/// /dev/net/tun, non-blocking and close-on-exec; the link will be made in the calling thread's network namespace.
int synthgate_tap_open(void);

/// The IFF_ flags that the kernel's TUN driver knows (TUNGETFEATURES).
int synthgate_tap_features(int fd, unsigned int *features);

/// Makes `fd` a queue of the TAP `name` (TUNSETIFF with IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE and `flags`).
/// `name` may be empty or have a %d in it; `actual` gets the real one.
int synthgate_tap_attach(int fd, const char *name, unsigned int flags, char actual[16]);

/// Sets a number of the TAP that `fd` is a queue of.
int synthgate_tap_set(int fd, enum synthgate_tap_setting setting, int value);

/// The most pieces of memory that one scattered read or write takes.
#define SYNTHGATE_PIECES 1000

/// readv(2) into `head` and then the `count` pieces. One byte more than they hold is asked for, so that a frame that was
/// cut off shows by its length. Never waits where `fd` is non-blocking.
ssize_t synthgate_read_pieces(int fd, void *head, size_t head_length, const struct iovec *pieces, int count);

/// writev(2) of `head` and then of the `count` pieces without their first `skip` bytes.
ssize_t synthgate_write_pieces(int fd, const void *head, size_t head_length, const struct iovec *pieces, int count,
                               size_t skip);

/// Parses an IPv4 (4) or IPv6 (16) address into `bytes`; returns how many bytes it has (inet_pton(3)).
int synthgate_parse_address(const char *text, uint8_t bytes[16]);

/// Writes the address of `length` bytes as text, null-terminated (inet_ntop(3)).
int synthgate_format_address(const uint8_t *bytes, int length, char text[64]);
