#include "CLinux.h"

#include <stdatomic.h>

// Mappings whose memory may vanish: the handler below looks for them here. An entry with length 0 is free.
static struct {
  _Atomic(uintptr_t) base;
  _Atomic(size_t) length;
} guarded[1024];
enum { guarded_count = sizeof guarded / sizeof *guarded };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction former;
static int is_installed;

// Runs on the thread that has touched the memory. Everything here is safe in a signal handler.
static void on_bus_error(int signal, siginfo_t *info, void *context) {
  (void)context;
  int failure = errno;
  uintptr_t address = (uintptr_t)info->si_addr;
  for (int i = 0; i < guarded_count; i++) {
    size_t length = atomic_load_explicit(&guarded[i].length, memory_order_acquire);
    uintptr_t base = atomic_load_explicit(&guarded[i].base, memory_order_relaxed);
    if (length == 0 || address < base || address - base >= length) continue;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    if (mmap((void *)base, length, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) break;
    errno = failure;
    return;
  }
  // Not ours: the access is repeated, and meets the handler that was there before.
  sigaction(signal, &former, NULL);
  errno = failure;
}

int synthgate_guard(void *address, size_t length) {
  int result = -ENOSPC;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < guarded_count && result < 0; i++) {
    if (atomic_load_explicit(&guarded[i].length, memory_order_relaxed) != 0) continue;
    atomic_store_explicit(&guarded[i].base, (uintptr_t)address, memory_order_relaxed);
    atomic_store_explicit(&guarded[i].length, length, memory_order_release);
    result = 0;
  }
  if (result == 0 && !is_installed) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, &action, &former) == 0) is_installed = 1;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

void synthgate_unguard(void *address) {
  pthread_mutex_lock(&lock);
  for (int i = 0; i < guarded_count; i++) {
    if (atomic_load_explicit(&guarded[i].base, memory_order_relaxed) != (uintptr_t)address) continue;
    atomic_store_explicit(&guarded[i].length, 0, memory_order_release);
    atomic_store_explicit(&guarded[i].base, 0, memory_order_relaxed);
  }
  pthread_mutex_unlock(&lock);
}
