#define _GNU_SOURCE
#include "CKVM.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result(int value) { return value < 0 ? -errno : value; }

int synthgate_kvm_open(const char *path) { return result(open(path, O_RDWR | O_CLOEXEC)); }

int synthgate_kvm_api_version(int kvm) { return result(ioctl(kvm, KVM_GET_API_VERSION, 0)); }

int synthgate_kvm_check(int kvm, enum synthgate_kvm_capability capability) {
  static const int numbers[] = {
      [synthgate_kvm_readonly_memory] = KVM_CAP_READONLY_MEM,
      [synthgate_kvm_irqfd_resample] = KVM_CAP_IRQFD_RESAMPLE,
      [synthgate_kvm_hyperv_synic2] = KVM_CAP_HYPERV_SYNIC2,
      [synthgate_kvm_hyperv_vp_index] = KVM_CAP_HYPERV_VP_INDEX,
      [synthgate_kvm_hyperv_eventfd] = KVM_CAP_HYPERV_EVENTFD,
      [synthgate_kvm_hyperv_enforce_cpuid] = KVM_CAP_HYPERV_ENFORCE_CPUID,
      [synthgate_kvm_max_vcpus] = KVM_CAP_MAX_VCPUS,
  };
  return result(ioctl(kvm, KVM_CHECK_EXTENSION, numbers[capability]));
}

int synthgate_kvm_create_machine(int kvm) {
  int machine = ioctl(kvm, KVM_CREATE_VM, 0);
  if (machine < 0) return -errno;
  // Just below the BIOS, where no RAM of ours lies; needed by Intel's processors.
  uint64_t identity_map = 0xfffbc000;
  struct kvm_pit_config timer = {.flags = KVM_PIT_SPEAKER_DUMMY};
  if (ioctl(machine, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0 ||
      ioctl(machine, KVM_SET_TSS_ADDR, 0xfffbd000UL) < 0 || ioctl(machine, KVM_CREATE_IRQCHIP, 0) < 0 ||
      ioctl(machine, KVM_CREATE_PIT2, &timer) < 0) {
    int error = errno;
    close(machine);
    return -error;
  }
  return machine;
}

int synthgate_kvm_set_memory(int machine, uint32_t slot, int read_only, uint64_t guest_address, uint64_t size,
                             void *memory) {
  struct kvm_userspace_memory_region region = {
      .slot = slot,
      .flags = read_only ? KVM_MEM_READONLY : 0,
      .guest_phys_addr = guest_address,
      .memory_size = size,
      .userspace_addr = (uint64_t)(uintptr_t)memory,
  };
  return result(ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region));
}

int synthgate_kvm_run_area_size(int kvm) { return result(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0)); }

int synthgate_kvm_create_processor(int machine, uint32_t index, size_t run_area_size, void **run_area) {
  int processor = ioctl(machine, KVM_CREATE_VCPU, (unsigned long)index);
  if (processor < 0) return -errno;
  // The kernel gives this descriptor close-on-exec, as all of its kind.
  struct kvm_enable_cap synic = {.cap = KVM_CAP_HYPERV_SYNIC2};
  if (ioctl(processor, KVM_ENABLE_CAP, &synic) < 0) goto fail;
  void *area = mmap(NULL, run_area_size, PROT_READ | PROT_WRITE, MAP_SHARED, processor, 0);
  if (area == MAP_FAILED) goto fail;
  *run_area = area;
  return processor;
fail:;
  int error = errno;
  close(processor);
  return -error;
}

void synthgate_kvm_unmap_run_area(void *run_area, size_t size) { munmap(run_area, size); }

int synthgate_kvm_route_interrupts(int machine, uint32_t processors, uint32_t sint) {
  enum { pic_lines = 16, ioapic_lines = 24 };
  size_t capacity = pic_lines + ioapic_lines + processors;
  struct kvm_irq_routing *table = calloc(1, sizeof *table + capacity * sizeof table->entries[0]);
  if (!table) return -ENOMEM;
  for (uint32_t line = 0; line < pic_lines; line++) {
    struct kvm_irq_routing_entry *entry = &table->entries[table->nr++];
    entry->gsi = line;
    entry->type = KVM_IRQ_ROUTING_IRQCHIP;
    entry->u.irqchip.irqchip = line < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
    entry->u.irqchip.pin = line & 7;
  }
  // Line 0 is the timer, whose pin is 2; the cascade, line 2, has none.
  for (uint32_t line = 0; line < ioapic_lines; line++) {
    if (line == 2) continue;
    struct kvm_irq_routing_entry *entry = &table->entries[table->nr++];
    entry->gsi = line;
    entry->type = KVM_IRQ_ROUTING_IRQCHIP;
    entry->u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
    entry->u.irqchip.pin = line == 0 ? 2 : line;
  }
  for (uint32_t index = 0; index < processors; index++) {
    struct kvm_irq_routing_entry *entry = &table->entries[table->nr++];
    entry->gsi = ioapic_lines + index;
    entry->type = KVM_IRQ_ROUTING_HV_SINT;
    entry->u.hv_sint.vcpu = index;
    entry->u.hv_sint.sint = sint;
  }
  int status = result(ioctl(machine, KVM_SET_GSI_ROUTING, table));
  free(table);
  return status;
}

int synthgate_kvm_tie_interrupt(int machine, uint32_t line, int event, int resample) {
  struct kvm_irqfd tie = {
      .fd = (uint32_t)event, .gsi = line, .flags = KVM_IRQFD_FLAG_RESAMPLE, .resamplefd = (uint32_t)resample};
  return result(ioctl(machine, KVM_IRQFD, &tie));
}

int synthgate_kvm_set_line(int machine, uint32_t line, int level) {
  struct kvm_irq_level change = {.irq = line, .level = (uint32_t)level};
  return result(ioctl(machine, KVM_IRQ_LINE, &change));
}

int synthgate_kvm_tie_connection(int machine, uint32_t connection, int event, int release) {
  struct kvm_hyperv_eventfd tie = {
      .conn_id = connection, .fd = event, .flags = release ? KVM_HYPERV_EVENTFD_DEASSIGN : 0};
  return result(ioctl(machine, KVM_HYPERV_EVENTFD, &tie));
}

int synthgate_kvm_clock(int machine, uint64_t *nanoseconds) {
  struct kvm_clock_data clock = {0};
  if (ioctl(machine, KVM_GET_CLOCK, &clock) < 0) return -errno;
  *nanoseconds = clock.clock;
  return 0;
}

enum { maximum_leaf_count = 256 };

int synthgate_kvm_supported_leaves(int kvm, struct synthgate_kvm_leaf *leaves, int capacity) {
  struct kvm_cpuid2 *table = calloc(1, sizeof *table + maximum_leaf_count * sizeof table->entries[0]);
  if (!table) return -ENOMEM;
  table->nent = maximum_leaf_count;
  int count = result(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, table));
  if (count >= 0) {
    count = 0;
    for (uint32_t i = 0; i < table->nent && count < capacity; i++) {
      const struct kvm_cpuid_entry2 *entry = &table->entries[i];
      leaves[count++] = (struct synthgate_kvm_leaf){
          entry->function, entry->index, (entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0,
          entry->eax,      entry->ebx,   entry->ecx,
          entry->edx};
    }
  }
  free(table);
  return count;
}

int synthgate_kvm_set_leaves(int processor, const struct synthgate_kvm_leaf *leaves, int count) {
  if (count < 0 || count > maximum_leaf_count) return -EINVAL;
  struct kvm_cpuid2 *table = calloc(1, sizeof *table + (size_t)count * sizeof table->entries[0]);
  if (!table) return -ENOMEM;
  table->nent = (uint32_t)count;
  for (int i = 0; i < count; i++) {
    struct kvm_cpuid_entry2 *entry = &table->entries[i];
    entry->function = leaves[i].function;
    entry->index = leaves[i].index;
    entry->flags = leaves[i].is_indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
    entry->eax = leaves[i].eax;
    entry->ebx = leaves[i].ebx;
    entry->ecx = leaves[i].ecx;
    entry->edx = leaves[i].edx;
  }
  int status = result(ioctl(processor, KVM_SET_CPUID2, table));
  free(table);
  if (status < 0) return status;
  struct kvm_enable_cap enforce = {.cap = KVM_CAP_HYPERV_ENFORCE_CPUID, .args = {1}};
  return result(ioctl(processor, KVM_ENABLE_CAP, &enforce));
}

int synthgate_kvm_set_entry(int processor, const struct synthgate_kvm_entry *entry) {
  struct kvm_sregs special;
  if (ioctl(processor, KVM_GET_SREGS, &special) < 0) return -errno;
  struct kvm_segment code = {.selector = entry->code_selector, .limit = 0xffffffff, .type = 0xb, .present = 1, .s = 1, .l = 1, .g = 1};
  struct kvm_segment data = {.selector = entry->data_selector, .limit = 0xffffffff, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
  special.cs = code;
  special.ds = special.es = special.fs = special.gs = special.ss = data;
  special.gdt.base = entry->descriptor_table;
  special.gdt.limit = entry->descriptor_table_limit;
  special.idt.base = 0;
  special.idt.limit = 0;
  special.cr0 = 0x80050033;  // paging, protection, and the usual flags of an x87
  special.cr3 = entry->page_table;
  special.cr4 = 0x20;   // PAE
  special.efer = 0x500;  // long mode, enabled and active
  if (ioctl(processor, KVM_SET_SREGS, &special) < 0) return -errno;
  struct kvm_regs general = {
      .rip = entry->instruction, .rsi = entry->boot_parameters, .rsp = entry->stack, .rflags = 2};
  return result(ioctl(processor, KVM_SET_REGS, &general));
}

int synthgate_kvm_prepare(int processor, int runs) {
  struct kvm_mp_state state = {.mp_state = runs ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED};
  if (ioctl(processor, KVM_SET_MP_STATE, &state) < 0) return -errno;
  struct kvm_lapic_state apic;
  if (ioctl(processor, KVM_GET_LAPIC, &apic) < 0) return -errno;
  uint32_t external = 0x700, nmi = 0x400;
  memcpy(apic.regs + 0x350, &external, 4);
  memcpy(apic.regs + 0x360, &nmi, 4);
  return result(ioctl(processor, KVM_SET_LAPIC, &apic));
}

int synthgate_kvm_run(int processor, void *run_area, struct synthgate_kvm_exit *exit) {
  struct kvm_run *run = run_area;
  memset(exit, 0, sizeof *exit);
  if (ioctl(processor, KVM_RUN, 0) < 0) {
    if (errno != EINTR && errno != EAGAIN) return -errno;
    exit->kind = synthgate_kvm_exit_interrupted;
    return 0;
  }
  switch (run->exit_reason) {
    case KVM_EXIT_IO:
      exit->kind = synthgate_kvm_exit_port;
      exit->address = run->io.port;
      exit->size = run->io.size;
      exit->count = run->io.count;
      exit->is_write = run->io.direction == KVM_EXIT_IO_OUT;
      break;
    case KVM_EXIT_MMIO:
      exit->kind = synthgate_kvm_exit_memory;
      exit->address = run->mmio.phys_addr;
      exit->size = run->mmio.len;
      exit->is_write = run->mmio.is_write;
      memcpy(&exit->value[0], run->mmio.data, 8);
      break;
    case KVM_EXIT_HYPERV:
      if (run->hyperv.type == KVM_EXIT_HYPERV_SYNIC) {
        exit->kind = synthgate_kvm_exit_synic;
        exit->value[0] = run->hyperv.u.synic.control;
        exit->value[1] = run->hyperv.u.synic.evt_page;
        exit->value[2] = run->hyperv.u.synic.msg_page;
      } else if (run->hyperv.type == KVM_EXIT_HYPERV_HCALL) {
        exit->kind = synthgate_kvm_exit_hypercall;
        exit->value[0] = run->hyperv.u.hcall.input;
        exit->value[1] = run->hyperv.u.hcall.params[0];
        exit->value[2] = run->hyperv.u.hcall.params[1];
      } else {
        exit->address = run->exit_reason;
        exit->value[0] = run->hyperv.type;
      }
      break;
    case KVM_EXIT_SHUTDOWN: exit->kind = synthgate_kvm_exit_shutdown; break;
    case KVM_EXIT_SYSTEM_EVENT:
      exit->kind = synthgate_kvm_exit_event;
      exit->address = run->system_event.type;
      break;
    case KVM_EXIT_INTR: exit->kind = synthgate_kvm_exit_interrupted; break;
    case KVM_EXIT_FAIL_ENTRY:
      exit->address = run->exit_reason;
      exit->value[0] = run->fail_entry.hardware_entry_failure_reason;
      break;
    case KVM_EXIT_INTERNAL_ERROR:
      exit->address = run->exit_reason;
      exit->value[0] = run->internal.suberror;
      break;
    default: exit->address = run->exit_reason;
  }
  return 0;
}

static uint8_t *port_data(const void *run_area, uint32_t index, uint32_t *size) {
  const struct kvm_run *run = run_area;
  *size = run->io.size;
  return (uint8_t *)run_area + run->io.data_offset + (size_t)index * run->io.size;
}

uint32_t synthgate_kvm_port_value(const void *run_area, uint32_t index) {
  uint32_t size, value = 0;
  const uint8_t *data = port_data(run_area, index, &size);
  memcpy(&value, data, size < 4 ? size : 4);
  return value;
}

void synthgate_kvm_set_port_value(void *run_area, uint32_t index, uint32_t value) {
  uint32_t size;
  uint8_t *data = port_data(run_area, index, &size);
  memcpy(data, &value, size < 4 ? size : 4);
}

void synthgate_kvm_set_memory_value(void *run_area, uint64_t value) {
  struct kvm_run *run = run_area;
  memcpy(run->mmio.data, &value, 8);
}

void synthgate_kvm_set_hypercall_result(void *run_area, uint64_t value) {
  struct kvm_run *run = run_area;
  run->hyperv.u.hcall.result = value;
}

void synthgate_kvm_set_immediate_exit(void *run_area, int on) {
  struct kvm_run *run = run_area;
  __atomic_store_n(&run->immediate_exit, (uint8_t)(on != 0), __ATOMIC_SEQ_CST);
}

static void ignore(int signal) { (void)signal; }

int synthgate_kvm_accept_kicks(void) {
  // Without SA_RESTART, so that entering the guest returns.
  struct sigaction action = {.sa_handler = ignore};
  sigset_t kick;
  sigemptyset(&kick);
  sigaddset(&kick, SIGUSR2);
  if (sigaction(SIGUSR2, &action, NULL) < 0) return -errno;
  int error = pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
  return error ? -error : (int)syscall(SYS_gettid);
}

int synthgate_kvm_kick(int thread) { return result((int)syscall(SYS_tgkill, getpid(), thread, SIGUSR2)); }
