// Unix stream sockets. Every function returns a value >= 0, or -errno; none waits.
#pragma once

#include <stddef.h>
#include <sys/types.h>

/// A close-on-exec, non-blocking stream socket that is connected to the Unix socket at `path`.
int synthgate_stream_connect(const char *path);

/// A close-on-exec, non-blocking stream socket that listens at `path` with the permissions `mode`; `path` must not exist.
int synthgate_stream_listen(const char *path, unsigned int mode);

/// The next connection of a listening socket, close-on-exec and non-blocking; -EAGAIN when there is none.
int synthgate_stream_accept(int socket);

/// Two close-on-exec, non-blocking stream sockets that are connected with each other.
int synthgate_stream_pair(int numbers[2]);

/// What a read would find: 1 bytes, 0 the end of the stream, -EAGAIN nothing. Nothing is taken.
int synthgate_stream_peek(int socket);

/// Reads at most `length` bytes; 0 is the end of the stream.
ssize_t synthgate_stream_read(int socket, void *bytes, size_t length);

/// Writes at most `length` bytes; never raises SIGPIPE.
ssize_t synthgate_stream_write(int socket, const void *bytes, size_t length);
