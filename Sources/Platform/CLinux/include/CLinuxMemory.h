// Memory that devices reach by physical addresses, and what a guest can ask its processor. Every function returns a value
// >= 0, or -errno.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// Maps private zeroed memory of 2 MiB pages, all of them present; `length` is a multiple of 2 MiB.
int synthgate_map_huge(size_t length, void **address);

/// Makes every page of a private mapping present.
int synthgate_populate(void *address, size_t length);

/// Pins pages for as long as the descriptor that is returned stays open: the kernel then moves none of them.
///
/// They are the registered buffers of an io_uring that is used for nothing else.
int synthgate_pin(void *address, size_t length);

/// mmap(2) of a device file, shared, readable and writable.
int synthgate_map_device(int fd, size_t length, uint64_t offset, void **address);

/// Has accesses to a mapping go on with private zeros when what was mapped is gone, instead of ending the process by SIGBUS.
/// -ENOSPC when there are too many such mappings.
int synthgate_guard(void *address, size_t length);

/// Takes `synthgate_guard` back; before the mapping goes.
void synthgate_unguard(void *address);

/// The size of a page of this machine, in bytes.
int synthgate_system_page_size(void);

/// Makes a character device node that only its owner may use; an existing one is left alone.
int synthgate_make_character_device(const char *path, unsigned int major_number, unsigned int minor_number);

/// The numbers of the character device at `path`; -ENODEV when it is something else.
int synthgate_character_device(const char *path, unsigned int *major_number, unsigned int *minor_number);

/// Executes CPUID; answers 0 where the processor has no such instruction, else 1.
int synthgate_cpuid(uint32_t leaf, uint32_t registers[4]);
