// Mounts, loop devices, signals and processes. Every function returns a value >= 0, or -errno.
#pragma once

#include <stdint.h>

/// mount(2); `data` and `type` may be NULL.
int synthgate_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data);

/// Ignores SIGPIPE in this process; programs that synthgate_spawn starts have its default action again.
void synthgate_ignore_broken_pipes(void);

/// umount2(2).
int synthgate_umount(const char *target, int flags);

/// Sets a free loop device up over the open file `backing` (LOOP_CTL_GET_FREE, LOOP_CONFIGURE) and returns its number.
/// The device goes when its last user does (autoclear). `*descriptor` becomes an open descriptor of it, which keeps it.
int synthgate_loop_attach(int backing, const char *name, unsigned int block_size, int read_only, int direct_io,
                          int *descriptor);

/// A close-on-exec descriptor from which the `count` signals, which become blocked for the calling thread, are read.
int synthgate_signal_descriptor(const int *signals, int count);

/// The next signal of a signal descriptor, 0 when there is none now.
int synthgate_next_signal(int descriptor);

/// Starts `path` with `arguments` (NULL-terminated) in a session of its own, with a clean signal mask; descriptors
/// `input`, `output` and `error` become 0, 1 and 2, and `extra` (or -1) becomes 3; all others are closed on exec.
/// Returns the process id.
int synthgate_spawn(const char *path, const char *const *arguments, int input, int output, int error, int extra,
                    int new_session);

/// A pidfd of the process.
int synthgate_pidfd(int process);

/// Sends a signal through a pidfd.
int synthgate_pidfd_signal(int pidfd, int signal);

/// Waits for the child `process`; returns its exit code, 128 + signal when it was killed; -EAGAIN with `no_wait` when it
/// still runs.
int synthgate_wait(int process, int no_wait);

/// poll(2) on up to 16 descriptors for `events` (0: POLLIN); a bit of the result per descriptor that is ready or failed.
int synthgate_poll(const int *descriptors, const short *events, int count, int milliseconds);

/// Makes a terminal hand over every key as it is pressed, and keeps its settings for `synthgate_terminal_restore`.
int synthgate_terminal_raw(int fd);

/// Gives the terminal the settings that it had before `synthgate_terminal_raw`.
int synthgate_terminal_restore(int fd);
