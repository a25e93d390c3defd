// A connection with an NBD server by libnbd, whose callbacks are C: behind functions that Swift can call.
// A connection belongs to one thread at a time. Nothing here waits unless it says so. Functions that answer an int answer
// a value >= 0, or -errno. No system header but stdint.h (see CURing.h).
#pragma once

#include <stdint.h>

struct synthgate_nbd;

/// What an export is, as the handshake has told. Sizes are in bytes, 0 where the server did not tell; the rest is 0 or 1.
struct synthgate_nbd_facts {
  int64_t byte_count;
  int64_t minimum_block;
  int64_t preferred_block;
  int64_t maximum_payload;
  int is_read_only;
  int can_flush;
  int can_force_unit_access;
  int can_trim;
  int can_zero;
  int can_multi_connection;
  int can_block_status;
  int is_rotational;
  int is_encrypted;
};

enum synthgate_nbd_state {
  SYNTHGATE_NBD_CONNECTING,
  /// The server waits for the name of the export.
  SYNTHGATE_NBD_NEGOTIATING,
  SYNTHGATE_NBD_READY,
  /// The connection has ended; every command has completed.
  SYNTHGATE_NBD_ENDED,
};

enum synthgate_nbd_operation {
  SYNTHGATE_NBD_READ,
  SYNTHGATE_NBD_WRITE,
  SYNTHGATE_NBD_FLUSH,
  SYNTHGATE_NBD_TRIM,
  SYNTHGATE_NBD_ZERO,
  SYNTHGATE_NBD_BLOCK_STATUS,
};

enum synthgate_nbd_flags {
  /// Durable before it completes.
  SYNTHGATE_NBD_FORCE_UNIT_ACCESS = 1,
  /// Zeros keep their storage.
  SYNTHGATE_NBD_KEEP_STORAGE = 2,
};

enum synthgate_nbd_security {
  SYNTHGATE_NBD_PLAIN,
  /// TLS with certificates in a directory, or where libnbd looks for them.
  SYNTHGATE_NBD_CERTIFICATES,
  /// TLS with a key out of a file.
  SYNTHGATE_NBD_SHARED_KEY,
};

/// A connection that is not begun, for commands with tags below `depth`; `*connection` is to be destroyed by
/// `synthgate_nbd_destroy`.
int synthgate_nbd_create(unsigned int depth, struct synthgate_nbd **connection);

/// Closes the connection at once. No memory of a command is touched afterwards.
void synthgate_nbd_destroy(struct synthgate_nbd *connection);

/// What is wanted. `place` is a directory or a file, NULL for the usual places; `user` may be NULL. Encryption is required
/// or not used: there is no third way.
int synthgate_nbd_configure(struct synthgate_nbd *connection, const char *export_name, int security, const char *place,
                            const char *user);

/// Begins to connect with a Unix socket.
int synthgate_nbd_connect_unix(struct synthgate_nbd *connection, const char *path);

/// Begins to connect over TCP; waits for the resolution of `host`.
int synthgate_nbd_connect_tcp(struct synthgate_nbd *connection, const char *host, const char *port);

/// Names the export; the state becomes READY then, or stays NEGOTIATING with an error.
int synthgate_nbd_choose_export(struct synthgate_nbd *connection);

enum synthgate_nbd_state synthgate_nbd_state(struct synthgate_nbd *connection);

/// Why connecting failed last, in words of libnbd; never NULL. And its errno, 0 where there is none.
const char *synthgate_nbd_problem(const struct synthgate_nbd *connection);
int synthgate_nbd_problem_number(const struct synthgate_nbd *connection);

/// Fills `facts`. -EOVERFLOW for a size that is no size.
int synthgate_nbd_facts(struct synthgate_nbd *connection, struct synthgate_nbd_facts *facts);

/// The socket now, or -1, and whether it is to be watched for input (1), output (2) or both (3).
int synthgate_nbd_descriptor(struct synthgate_nbd *connection);
int synthgate_nbd_direction(struct synthgate_nbd *connection);

/// Waits until the socket is ready, `cancel` (or -1) is readable, or the time is over. 1: `cancel` is readable.
int synthgate_nbd_wait(struct synthgate_nbd *connection, int cancel, int milliseconds);

/// Sends and receives as much as is possible now, a few hundred replies at most.
void synthgate_nbd_progress(struct synthgate_nbd *connection);

/// Sends a command. The memory must stay until the completion of its tag is taken, or the connection is destroyed; it is
/// NULL but for reads and writes. The tag must be free. -ENOTCONN: the connection has ended.
int synthgate_nbd_submit(struct synthgate_nbd *connection, int operation, unsigned int tag, void *memory, uint64_t count,
                         uint64_t offset, int flags);

/// Takes a completion: 1 and its tag and errno (0: success; ENOTCONN: the connection has ended), or 0 when there is none.
/// For a block status, `*length` bytes have the `*status` (1 hole, 2 zero); 0 bytes where the server did not tell.
int synthgate_nbd_take(struct synthgate_nbd *connection, unsigned int *tag, int *error, uint64_t *length,
                       uint32_t *status);

/// Says goodbye; the state becomes ENDED when it was sent and the server has closed. Nothing may be in flight.
int synthgate_nbd_disconnect(struct synthgate_nbd *connection);
