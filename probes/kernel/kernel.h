/* The running kernel's own structures and numbers, read by functions with types: each difference between kernels in one place.
 *
 * Needs the constants that probes/capture/constants.py writes before this text: OFF_ (offsets, from the kernel's BTF), HAS_ (0 or
 * 1: whether the kernel has that member), SWITCH_ (places of arguments), NR_ and lists of system call numbers. Offers peek and the
 * functions below. All pointers are u64: with typed pointers the verifier lets a program do little.
 */
#pragma once

static inline u64 peek(u64 pointer, u32 offset) {
  u64 value = 0;
  bpf_probe_read_kernel(&value, sizeof(value), (void *)(pointer + offset));
  return value;
}

static inline u32 peek32(u64 pointer, u32 offset) {
  u32 value = 0;
  bpf_probe_read_kernel(&value, sizeof(value), (void *)(pointer + offset));
  return value;
}

static inline u32 peek16(u64 pointer, u32 offset) {
  u16 value = 0;
  bpf_probe_read_kernel(&value, sizeof(value), (void *)(pointer + offset));
  return value;
}

/* Is the number in the list? The compiler folds the loop into comparisons. */
#define IN_LIST(nr, ...) ({ \
  s32 listed[] = {__VA_ARGS__}; \
  int found = 0; \
  _Pragma("unroll") for (u32 i = 0; i < sizeof(listed) / sizeof(*listed); i++) found |= (s64)(nr) == listed[i]; \
  found; })

static inline int is_multiplexer(s64 nr) { return IN_LIST(nr, MULTIPLEXERS); }
static inline int is_aio_wait(s64 nr) { return IN_LIST(nr, AIO_WAITS); }
static inline int is_epoll_wait(s64 nr) { return IN_LIST(nr, EPOLL_WAITS); }
static inline int is_read(s64 nr) { return IN_LIST(nr, READS); }

/* sched_switch(preempt, prev, next): prev_state is an argument since 5.18 (fa2c3254d7cf), for a while in second place. Before,
 * the task itself tells. task->__state was task->state until 5.14 (2f064a59a11f). */
static inline u64 switch_prev(const u64 *args) { return args[SWITCH_PREV]; }
static inline u64 switch_next(const u64 *args) { return args[SWITCH_NEXT]; }
static inline u32 task_state(u64 task) { return peek32(task, OFF_TASK_STATE); }
static inline u32 switch_prev_state(const u64 *args) {
  return HAS_SWITCH_STATE ? (u32)args[SWITCH_STATE] : task_state(args[SWITCH_PREV]);
}

/* Is the task in a system call of the architecture's 32-bit ABI? x86: TS_COMPAT in thread_info.status; arm64: TIF_32BIT. */
static inline int is_compat(u64 task) {
  if (HAS_THREAD_STATUS)
    return peek32(task, OFF_THREAD_STATUS) >> 1 & 1;
  return HAS_THREAD_FLAGS ? peek(task, OFF_THREAD_FLAGS) >> 22 & 1 : 0;
}

/* The current task. A pointer with a type is read without a helper, which saves 7 ns a read; the kernel gives one since 5.11
 * (bpf_get_current_task_btf). OF_TASK reads a member of the current task, or of what such a member points to. */
#if HAS_TYPED_TASK
static inline u64 this_task(void) { return (u64)bpf_get_current_task_btf(); }
#define OF_TASK(type, pointer, offset) (*(type *)((pointer) + (offset)))
#else
static inline u64 this_task(void) { return bpf_get_current_task(); }
#define OF_TASK(type, pointer, offset) ((type)(sizeof(type) == 8 ? peek(pointer, offset) : peek32(pointer, offset)))
#endif

static inline int current_is_compat(void) {
  return HAS_THREAD_STATUS ? OF_TASK(u32, this_task(), OFF_THREAD_STATUS) >> 1 & 1 : is_compat(bpf_get_current_task());
}

/* Does a tracer emulate the calls of the task (PTRACE_SYSEMU)? thread_info.syscall_work, SYSCALL_WORK_BIT_SYSCALL_EMU; kernels
 * before 5.11, and architectures without generic entry code, have no such member. */
static inline int is_emulated(u64 task) {
  return HAS_SYSCALL_WORK ? peek(task, OFF_SYSCALL_WORK) >> 3 & 1 : 0;
}

/* Does a seccomp filter decide which calls the task may make (task->seccomp.mode; CONFIG_SECCOMP)? */
static inline int is_filtered(u64 task) { return HAS_SECCOMP ? peek32(task, OFF_SECCOMP_MODE) : 0; }

/* The inode of a socket: sk->sk_socket is the first member of struct socket_alloc. */
static inline u64 socket_inode(u64 sk) {
  return HAS_SOCKET_INODE ? peek(peek(sk, OFF_SOCK_SOCKET), OFF_SOCKET_ALLOC_INODE + OFF_INODE_NUMBER) : 0;
}

/* The file behind a descriptor of the current task; 0: none. */
static inline u64 file_of(u32 fd) {
  u64 table = OF_TASK(u64, OF_TASK(u64, this_task(), OFF_TASK_FILES), OFF_FILES_TABLE);
  return fd < OF_TASK(u32, table, OFF_TABLE_LENGTH) ? peek(OF_TASK(u64, table, OFF_TABLE_FILES) + 8 * (u64)fd, 0) : 0;
}
