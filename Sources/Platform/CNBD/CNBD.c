#define _GNU_SOURCE
#include "CNBD.h"

#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct command {
  struct synthgate_nbd *connection;
  int64_t cookie;
  uint64_t offset;
  uint64_t length;
  uint32_t status;
  int error;
};

struct synthgate_nbd {
  struct nbd_handle *handle;
  unsigned int depth;
  // By tag.
  struct command *commands;
  // Tags of finished commands, in the order of their ends: a ring of `depth` entries, since a tag is in it once at most.
  unsigned int *finished;
  unsigned int first;
  unsigned int finished_count;
  int problem_number;
  char problem[512];
};

// Replies that one call handles, so that a server which never stops does not keep the thread.
enum { REPLIES_AT_ONCE = 256 };

static int remember(struct synthgate_nbd *connection) {
  const char *text = nbd_get_error();
  const int number = nbd_get_errno();
  snprintf(connection->problem, sizeof connection->problem, "%s", text ? text : "unknown");
  connection->problem_number = number;
  return number > 0 ? -number : -EPROTO;
}

int synthgate_nbd_create(unsigned int depth, struct synthgate_nbd **connection) {
  struct synthgate_nbd *made = calloc(1, sizeof *made);
  if (!made) return -ENOMEM;
  made->depth = depth;
  made->commands = calloc(depth, sizeof *made->commands);
  made->finished = calloc(depth, sizeof *made->finished);
  made->handle = nbd_create();
  if (!made->commands || !made->finished || !made->handle) {
    synthgate_nbd_destroy(made);
    return -ENOMEM;
  }
  *connection = made;
  return 0;
}

void synthgate_nbd_destroy(struct synthgate_nbd *connection) {
  nbd_close(connection->handle);
  free(connection->finished);
  free(connection->commands);
  free(connection);
}

int synthgate_nbd_configure(struct synthgate_nbd *connection, const char *export_name, int security, const char *place,
                            const char *user) {
  struct nbd_handle *handle = connection->handle;
  // With the option mode the transport fails at another place than the export. Errors of reads are looked at, so that
  // memory need not be zeroed before.
  int failed = nbd_set_opt_mode(handle, true) | nbd_set_pread_initialize(handle, false) |
               nbd_set_export_name(handle, export_name) |
               nbd_add_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION) |
               nbd_set_tls(handle, security == SYNTHGATE_NBD_PLAIN ? LIBNBD_TLS_DISABLE : LIBNBD_TLS_REQUIRE);
  if (!failed && place) {
    failed = security == SYNTHGATE_NBD_SHARED_KEY ? nbd_set_tls_psk_file(handle, place)
                                                  : nbd_set_tls_certificates(handle, place);
  }
  if (!failed && user) failed = nbd_set_tls_username(handle, user);
  return failed ? remember(connection) : 0;
}

int synthgate_nbd_connect_unix(struct synthgate_nbd *connection, const char *path) {
  return nbd_aio_connect_unix(connection->handle, path) == -1 ? remember(connection) : 0;
}

int synthgate_nbd_connect_tcp(struct synthgate_nbd *connection, const char *host, const char *port) {
  return nbd_aio_connect_tcp(connection->handle, host, port) == -1 ? remember(connection) : 0;
}

static int export_chosen(void *context, int *error) {
  // The text belongs to the thread, not to the handle, and is that of the failure which is being told.
  if (*error) {
    remember(context);
    ((struct synthgate_nbd *)context)->problem_number = *error;
  }
  return 1;
}

int synthgate_nbd_choose_export(struct synthgate_nbd *connection) {
  connection->problem_number = 0;
  nbd_completion_callback callback = {.callback = export_chosen, .user_data = connection};
  return nbd_aio_opt_go(connection->handle, callback) == -1 ? remember(connection) : 0;
}

enum synthgate_nbd_state synthgate_nbd_state(struct synthgate_nbd *connection) {
  struct nbd_handle *handle = connection->handle;
  if (nbd_aio_is_ready(handle) == 1 || nbd_aio_is_processing(handle) == 1) return SYNTHGATE_NBD_READY;
  if (nbd_aio_is_negotiating(handle) == 1) return SYNTHGATE_NBD_NEGOTIATING;
  if (nbd_aio_is_connecting(handle) == 1) return SYNTHGATE_NBD_CONNECTING;
  return SYNTHGATE_NBD_ENDED;
}

const char *synthgate_nbd_problem(const struct synthgate_nbd *connection) { return connection->problem; }

int synthgate_nbd_problem_number(const struct synthgate_nbd *connection) { return connection->problem_number; }

int synthgate_nbd_facts(struct synthgate_nbd *connection, struct synthgate_nbd_facts *facts) {
  struct nbd_handle *handle = connection->handle;
  memset(facts, 0, sizeof *facts);
  facts->byte_count = nbd_get_size(handle);
  if (facts->byte_count < 0) return -EOVERFLOW;
  const int64_t minimum = nbd_get_block_size(handle, LIBNBD_SIZE_MINIMUM);
  const int64_t preferred = nbd_get_block_size(handle, LIBNBD_SIZE_PREFERRED);
  const int64_t maximum = nbd_get_block_size(handle, LIBNBD_SIZE_MAXIMUM);
  facts->minimum_block = minimum > 0 ? minimum : 0;
  facts->preferred_block = preferred > 0 ? preferred : 0;
  facts->maximum_payload = maximum > 0 ? maximum : 0;
  facts->is_read_only = nbd_is_read_only(handle) == 1;
  facts->can_flush = nbd_can_flush(handle) == 1;
  facts->can_force_unit_access = nbd_can_fua(handle) == 1;
  facts->can_trim = nbd_can_trim(handle) == 1;
  facts->can_zero = nbd_can_zero(handle) == 1;
  facts->can_multi_connection = nbd_can_multi_conn(handle) == 1;
  facts->can_block_status = nbd_can_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
  facts->is_rotational = nbd_is_rotational(handle) == 1;
  facts->is_encrypted = nbd_get_tls_negotiated(handle) == 1;
  return 0;
}

int synthgate_nbd_descriptor(struct synthgate_nbd *connection) {
  const int fd = nbd_aio_get_fd(connection->handle);
  return fd < 0 ? -1 : fd;
}

int synthgate_nbd_direction(struct synthgate_nbd *connection) {
  return (int)nbd_aio_get_direction(connection->handle);
}

static short wanted_events(int direction) {
  return (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                 (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
}

int synthgate_nbd_wait(struct synthgate_nbd *connection, int cancel, int milliseconds) {
  struct pollfd files[2] = {
      {synthgate_nbd_descriptor(connection), wanted_events(synthgate_nbd_direction(connection)), 0},
      {cancel, POLLIN, 0},
  };
  return poll(files, 2, milliseconds) > 0 && files[1].revents != 0;
}

void synthgate_nbd_progress(struct synthgate_nbd *connection) {
  struct nbd_handle *handle = connection->handle;
  const int greets = synthgate_nbd_state(connection) == SYNTHGATE_NBD_CONNECTING;
  for (int round = 0; round < REPLIES_AT_ONCE; round++) {
    const int direction = synthgate_nbd_direction(connection);
    struct pollfd file = {synthgate_nbd_descriptor(connection), wanted_events(direction), 0};
    // Without readiness a notification would leave the state in which commands are sent.
    if (direction == 0 || file.fd < 0 || poll(&file, 1, 0) <= 0) return;
    // A connection that has failed is told by the next read or write.
    const int failed = file.revents & (POLLHUP | POLLERR | POLLNVAL);
    int result;
    if ((direction & LIBNBD_AIO_DIRECTION_READ) && (file.revents & POLLIN || failed)) {
      result = nbd_aio_notify_read(handle);
    } else {
      result = nbd_aio_notify_write(handle);
    }
    // When TLS is refused, libnbd says so and takes its leave politely, which is no failure of the call. While nothing has
    // ended the thread's error may be that of an earlier connection.
    const int left = greets && synthgate_nbd_state(connection) == SYNTHGATE_NBD_ENDED && nbd_get_error();
    if (result == -1 || left) remember(connection);
    if (result == -1) return;
  }
}

static int command_finished(void *context, int *error) {
  struct command *command = context;
  struct synthgate_nbd *connection = command->connection;
  command->error = *error;
  const unsigned int place = (connection->first + connection->finished_count) % connection->depth;
  connection->finished[place] = (unsigned int)(command - connection->commands);
  connection->finished_count++;
  // It is not retired yet: only then is looked whether a read has brought all of its bytes.
  return 0;
}

static int extents_told(void *context, const char *name, uint64_t offset, uint32_t *entries, size_t count, int *error) {
  struct command *command = context;
  (void)error;
  if (strcmp(name, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0 && offset == command->offset && count >= 2) {
    command->length = entries[0];
    command->status = entries[1];
  }
  return 0;
}

int synthgate_nbd_submit(struct synthgate_nbd *connection, int operation, unsigned int tag, void *memory, uint64_t count,
                         uint64_t offset, int flags) {
  struct nbd_handle *handle = connection->handle;
  struct command *command = &connection->commands[tag];
  *command = (struct command){.connection = connection, .offset = offset};
  const nbd_completion_callback finished = {.callback = command_finished, .user_data = command};
  const uint32_t durable = flags & SYNTHGATE_NBD_FORCE_UNIT_ACCESS ? LIBNBD_CMD_FLAG_FUA : 0;
  const uint32_t keep = flags & SYNTHGATE_NBD_KEEP_STORAGE ? LIBNBD_CMD_FLAG_NO_HOLE : 0;
  int64_t cookie;
  switch (operation) {
    case SYNTHGATE_NBD_READ: cookie = nbd_aio_pread(handle, memory, count, offset, finished, 0); break;
    case SYNTHGATE_NBD_WRITE: cookie = nbd_aio_pwrite(handle, memory, count, offset, finished, durable); break;
    case SYNTHGATE_NBD_FLUSH: cookie = nbd_aio_flush(handle, finished, 0); break;
    case SYNTHGATE_NBD_TRIM: cookie = nbd_aio_trim(handle, count, offset, finished, durable); break;
    case SYNTHGATE_NBD_ZERO: cookie = nbd_aio_zero(handle, count, offset, finished, durable | keep); break;
    case SYNTHGATE_NBD_BLOCK_STATUS: {
      const nbd_extent_callback extents = {.callback = extents_told, .user_data = command};
      cookie = nbd_aio_block_status(handle, count, offset, extents, finished, LIBNBD_CMD_FLAG_REQ_ONE);
      break;
    }
    default: return -EINVAL;
  }
  if (cookie != -1) {
    command->cookie = cookie;
    return 0;
  }
  const int number = nbd_get_errno();
  if (synthgate_nbd_state(connection) != SYNTHGATE_NBD_READY) return -ENOTCONN;
  return number > 0 ? -number : -EIO;
}

int synthgate_nbd_take(struct synthgate_nbd *connection, unsigned int *tag, int *error, uint64_t *length,
                       uint32_t *status) {
  if (connection->finished_count == 0) return 0;
  const unsigned int found = connection->finished[connection->first];
  connection->first = (connection->first + 1) % connection->depth;
  connection->finished_count--;
  const struct command *command = &connection->commands[found];
  *tag = found;
  *error = command->error;
  *length = command->length;
  *status = command->status;
  if (nbd_aio_command_completed(connection->handle, (uint64_t)command->cookie) == -1 && *error == 0) {
    const int number = nbd_get_errno();
    *error = number > 0 ? number : EIO;
  }
  return 1;
}

int synthgate_nbd_disconnect(struct synthgate_nbd *connection) {
  return nbd_aio_disconnect(connection->handle, 0) == -1 ? remember(connection) : 0;
}
