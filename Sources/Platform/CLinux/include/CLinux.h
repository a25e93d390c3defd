// What Swift's Glibc overlay does not show: Linux system calls, variadic calls and ioctl macros.
// Every function here returns a value >= 0, or -errno.
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

// sys/types.h brings sys/select.h along, whose fd_set has other field names under _GNU_SOURCE than in Swift's Glibc. A
// program that sees both is refused by the compiler, now and then. Nothing here uses select(2): its header is left out.
#define _SYS_SELECT_H 1

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "CLinuxAllocation.h"
#include "CLinuxFile.h"
#include "CLinuxMemory.h"
#include "CLinuxNetwork.h"
#include "CLinuxPath.h"
#include "CLinuxProcess.h"
#include "CLinuxStream.h"

/// open(2) with close-on-exec; `mode` counts only where O_CREAT is among `flags`.
int synthgate_open(const char *path, int flags, unsigned int mode);

/// fcntl(2) commands with an integer argument (F_SETFL, F_ADD_SEALS, F_GET_SEALS, ...).
int synthgate_fcntl(int fd, int command, int argument);

/// A new memfd that allows sealing, close-on-exec.
int synthgate_memfd(const char *name);

/// Sends `length` bytes and `descriptor_count` descriptors (at most 8) as one packet. Never blocks, never raises SIGPIPE.
ssize_t synthgate_send(int socket, const void *bytes, size_t length, const int *descriptors, int descriptor_count);

/// Receives one packet of at most `length` bytes. At most `*descriptor_count` (<= 8) descriptors land in `descriptors`,
/// close-on-exec; `*descriptor_count` becomes their number. 0 is the end of the connection; -EMSGSIZE a packet that was
/// too long or brought too many descriptors (those that came are closed).
ssize_t synthgate_receive(int socket, void *bytes, size_t length, int *descriptors, int *descriptor_count);

/// The name of the calling thread, at most 15 characters.
int synthgate_set_thread_name(const char *name);

/// Process id of the peer of a connected Unix socket.
int synthgate_peer_process(int socket);

/// A close-on-exec SEQPACKET socket that is connected to the Unix socket at `path`.
int synthgate_connect(const char *path);

/// A close-on-exec SEQPACKET socket that listens at `path` with the permissions `mode`; `path` must not exist.
int synthgate_listen(const char *path, unsigned int mode);

/// The next connection of a listening socket, close-on-exec.
int synthgate_accept(int socket);

/// Reads the counter of an eventfd without waiting, also where a peer that holds it has made it blocking; 8 or -errno.
ssize_t synthgate_drain_eventfd(int fd);

/// Whether `fd` is a memfd of ordinary pages (1), or one that may run out of huge pages under a mapping (0); -errno.
int synthgate_has_ordinary_pages(int fd);

/// The errno of the calling thread, which Swift can't see: it is a macro.
int synthgate_errno(void);

/// PR_SET_IO_FLUSHER for the calling thread; needs CAP_SYS_RESOURCE.
int synthgate_set_io_flusher(void);

/// Keeps every page of the process in memory from its first use on (mlockall with MCL_ONFAULT).
int synthgate_lock_memory(void);

/// A date and a time of day in UTC; months, days and weekdays count from 1, which is Sunday.
struct synthgate_civil_time {
  int year, month, day, weekday, hour, minute, second;
};

/// The time `seconds` after 1970 began.
struct synthgate_civil_time synthgate_civil_time(int64_t seconds);
