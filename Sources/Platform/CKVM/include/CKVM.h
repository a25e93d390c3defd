// /dev/kvm behind functions that Swift can call: its requests are macros, and its exits are unions.
// Every function returns a value >= 0, or -errno. No system header but stdint.h and stddef.h: others would define types a
// second time for Swift, which sees them through the C library's module too.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// What a kernel may be able to do (KVM_CHECK_EXTENSION).
enum synthgate_kvm_capability {
  synthgate_kvm_readonly_memory,
  synthgate_kvm_irqfd_resample,
  synthgate_kvm_hyperv_synic2,
  synthgate_kvm_hyperv_vp_index,
  synthgate_kvm_hyperv_eventfd,
  synthgate_kvm_hyperv_enforce_cpuid,
  synthgate_kvm_max_vcpus,
};

/// Opens the device, close-on-exec.
int synthgate_kvm_open(const char *path);

/// The API version of an open /dev/kvm.
int synthgate_kvm_api_version(int kvm);

/// What the kernel says of a capability; 0: it has it not.
int synthgate_kvm_check(int kvm, enum synthgate_kvm_capability capability);

/// A machine with interrupt controllers and a timer chip in the kernel, close-on-exec.
int synthgate_kvm_create_machine(int kvm);

/// Makes, changes or (with `size` 0) removes memory slot `slot`.
int synthgate_kvm_set_memory(int machine, uint32_t slot, int read_only, uint64_t guest_address, uint64_t size,
                             void *memory);

/// Length of what `synthgate_kvm_create_processor` maps, in bytes.
int synthgate_kvm_run_area_size(int kvm);

/// A virtual processor with its SynIC switched on, and its run area.
int synthgate_kvm_create_processor(int machine, uint32_t index, size_t run_area_size, void **run_area);

/// Unmaps a run area.
void synthgate_kvm_unmap_run_area(void *run_area, size_t size);

/// Routes the lines of the interrupt controllers, and for each of `processors` line 24 + index to its VMBus SINT.
int synthgate_kvm_route_interrupts(int machine, uint32_t processors, uint32_t sint);

/// Ties an eventfd to line `line`; `resample` is signalled when the guest has handled the interrupt.
int synthgate_kvm_tie_interrupt(int machine, uint32_t line, int event, int resample);

/// Sets the level of an ISA line.
int synthgate_kvm_set_line(int machine, uint32_t line, int level);

/// Has HvSignalEvent of `connection` signal an eventfd, or no more.
int synthgate_kvm_tie_connection(int machine, uint32_t connection, int event, int release);

/// The machine's clock in nanoseconds: 100 times what the guest reads as reference counter.
int synthgate_kvm_clock(int machine, uint64_t *nanoseconds);

/// A leaf of CPUID.
struct synthgate_kvm_leaf {
  uint32_t function, index, is_indexed, eax, ebx, ecx, edx;
};

/// Fills `leaves` with what guests can have, at most `capacity`; the number of them.
int synthgate_kvm_supported_leaves(int kvm, struct synthgate_kvm_leaf *leaves, int capacity);

/// Gives a processor its leaves; the Hyper-V features among them are all that it gets.
int synthgate_kvm_set_leaves(int processor, const struct synthgate_kvm_leaf *leaves, int count);

/// Where a processor starts in 64-bit mode.
struct synthgate_kvm_entry {
  uint64_t instruction, boot_parameters, stack, page_table, descriptor_table;
  uint16_t descriptor_table_limit, code_selector, data_selector;
};

/// Makes a processor start at `entry`.
int synthgate_kvm_set_entry(int processor, const struct synthgate_kvm_entry *entry);

/// Whether a processor runs at once, or waits for the guest to start it; sets the two local interrupt pins up.
int synthgate_kvm_prepare(int processor, int runs);

/// Why a processor has left the guest.
enum synthgate_kvm_exit_kind {
  synthgate_kvm_exit_other = 0,
  synthgate_kvm_exit_interrupted,
  synthgate_kvm_exit_port,
  synthgate_kvm_exit_memory,
  synthgate_kvm_exit_synic,
  synthgate_kvm_exit_hypercall,
  synthgate_kvm_exit_shutdown,
  synthgate_kvm_exit_event,
};

/// An exit. `port`: address, size (bytes of a value), count, is_write. `memory`: address, size, is_write, value[0].
/// `synic`: value = control, event page, message page. `hypercall`: value = input, two parameters. `event`: address = the
/// kind (1 shutdown, 2 reset, 3 crash). `other`: address = the kernel's reason, value[0] its detail.
struct synthgate_kvm_exit {
  uint32_t kind, size, count, is_write;
  uint64_t address;
  uint64_t value[3];
};

/// Enters the guest until it needs something.
int synthgate_kvm_run(int processor, void *run_area, struct synthgate_kvm_exit *exit);

/// Value `index` of a port exit.
uint32_t synthgate_kvm_port_value(const void *run_area, uint32_t index);

/// Answers value `index` of a port exit that reads.
void synthgate_kvm_set_port_value(void *run_area, uint32_t index, uint32_t value);

/// Answers a memory exit that reads.
void synthgate_kvm_set_memory_value(void *run_area, uint64_t value);

/// Answers a hypercall exit.
void synthgate_kvm_set_hypercall_result(void *run_area, uint64_t result);

/// Makes the next or the present entry return at once, or no more.
void synthgate_kvm_set_immediate_exit(void *run_area, int on);

/// Lets the calling thread be kicked, and answers its id.
int synthgate_kvm_accept_kicks(void);

/// Kicks a thread of this process out of the guest.
int synthgate_kvm_kick(int thread);
