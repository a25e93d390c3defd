#include "CLinux.h"

#include <linux/loop.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

static int result(long value) { return value < 0 ? -errno : (int)value; }

int synthgate_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data) {
  return result(mount(source, target, type, flags, data));
}

int synthgate_umount(const char *target, int flags) { return result(umount2(target, flags)); }

int synthgate_loop_attach(int backing, const char *name, unsigned int block_size, int read_only, int direct_io,
                          int *descriptor) {
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return -errno;
  int number = -EBUSY;
  // Another process may take the free device between the two calls: then ask for the next one.
  for (int attempt = 0; attempt < 64; attempt++) {
    number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) {
      number = -errno;
      break;
    }
    char path[32];
    snprintf(path, sizeof path, "/dev/loop%d", number);
    int device = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (device < 0) {
      number = -errno;
      break;
    }
    struct loop_config config;
    memset(&config, 0, sizeof config);
    config.fd = (unsigned int)backing;
    config.block_size = block_size;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0) | (direct_io ? LO_FLAGS_DIRECT_IO : 0);
    strncpy((char *)config.info.lo_file_name, name, LO_NAME_SIZE - 1);
    if (ioctl(device, LOOP_CONFIGURE, &config) == 0) {
      *descriptor = device;
      break;
    }
    int failure = errno;
    close(device);
    number = -failure;
    if (failure != EBUSY) break;
  }
  close(control);
  return number;
}

int synthgate_signal_descriptor(const int *signals, int count) {
  sigset_t set;
  sigemptyset(&set);
  for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
  int failure = pthread_sigmask(SIG_BLOCK, &set, NULL);
  if (failure != 0) return -failure;
  return result(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

void synthgate_ignore_broken_pipes(void) { signal(SIGPIPE, SIG_IGN); }

int synthgate_next_signal(int descriptor) {
  struct signalfd_siginfo info;
  ssize_t count = read(descriptor, &info, sizeof info);
  if (count == sizeof info) return (int)info.ssi_signo;
  return count < 0 && errno != EAGAIN && errno != EINTR ? -errno : 0;
}

int synthgate_spawn(const char *path, const char *const *arguments, int input, int output, int error, int extra,
                    int new_session) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  // Descriptors above the four targets first, so that no dup2 overwrites one that is still needed.
  int sources[4] = {input, output, error, extra};
  int copies[4] = {-1, -1, -1, -1};
  int failure = 0;
  for (int i = 0; i < 4 && failure == 0; i++) {
    if (sources[i] < 0) continue;
    copies[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, 10);
    if (copies[i] < 0) failure = errno;
    else failure = posix_spawn_file_actions_adddup2(&actions, copies[i], i);
  }
  // Whoever started this program may wait for the end of something that it handed down without close-on-exec.
  if (failure == 0) failure = posix_spawn_file_actions_addclosefrom_np(&actions, extra < 0 ? 3 : 4);
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (new_session) flags |= POSIX_SPAWN_SETSID;
  posix_spawnattr_setflags(&attributes, flags);
  pid_t process = 0;
  if (failure == 0) {
    failure = posix_spawn(&process, path, &actions, &attributes, (char *const *)arguments, environ);
  }
  for (int i = 0; i < 4; i++) {
    if (copies[i] >= 0) close(copies[i]);
  }
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return failure == 0 ? (int)process : -failure;
}

int synthgate_pidfd(int process) { return result(syscall(SYS_pidfd_open, process, 0)); }

int synthgate_pidfd_signal(int pidfd, int signal) {
  return result(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

int synthgate_wait(int process, int no_wait) {
  int status;
  pid_t found;
  do {
    found = waitpid(process, &status, no_wait ? WNOHANG : 0);
  } while (found < 0 && errno == EINTR);
  if (found < 0) return -errno;
  if (found == 0) return -EAGAIN;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int synthgate_poll(const int *descriptors, const short *events, int count, int milliseconds) {
  struct pollfd entries[16];
  if (count < 0 || count > 16) return -EINVAL;
  for (int i = 0; i < count; i++) {
    entries[i] = (struct pollfd){.fd = descriptors[i], .events = events[i] ? events[i] : POLLIN};
  }
  int ready = poll(entries, (nfds_t)count, milliseconds);
  if (ready < 0) return errno == EINTR ? 0 : -errno;
  int bits = 0;
  for (int i = 0; i < count; i++) {
    if (entries[i].revents) bits |= 1 << i;
  }
  return bits;
}

static struct termios terminal_before;

int synthgate_terminal_raw(int fd) {
  if (tcgetattr(fd, &terminal_before) < 0) return -errno;
  struct termios raw = terminal_before;
  cfmakeraw(&raw);
  return tcsetattr(fd, TCSANOW, &raw) < 0 ? -errno : 0;
}

int synthgate_terminal_restore(int fd) { return tcsetattr(fd, TCSANOW, &terminal_before) < 0 ? -errno : 0; }
