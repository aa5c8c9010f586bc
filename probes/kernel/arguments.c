/* The arguments of a system call, read when they are needed: the kernel keeps them in the registers that it saved (struct pt_regs)
 * until the call ends.
 *
 * Needs the helpers of instrument.c and kernel.h. Offers first_argument, load_arguments and load_arguments_now to
 * sched.c and calls.c.
 * Attached: nothing. */

/* The events of a struct epoll_event (uapi/linux/eventpoll.h), whose address alone says nothing. EPOLL_CTL_DEL has none: 0. */
static inline u64 epoll_mask(u64 event) {
  u32 events = 0;
  bpf_probe_read_user(&events, sizeof(events), (void *)event);
  return events;
}

/* Stores the arguments of a call of any thread; of epoll_ctl the events in the place of their address. The registers of the 32-bit
 * ABI are others. aarch64 writes the result over the first argument, and keeps a copy of the argument (orig_x0). */
static inline void load_arguments(struct thread *t) {
  if (t->loaded)
    return;
  u64 regs[8] = {};
  t->loaded = 1;
  if (!(t->nr & COMPAT))
    bpf_probe_read_kernel(regs, sizeof(regs), (void *)(t->regs + REGS_ARGS));
  t->args[0] = t->nr & COMPAT ? 0 : peek(t->regs, REG_FIRST_AT_EXIT);
  t->args[1] = regs[REG_ARG1];
  t->args[2] = regs[REG_ARG2];
  t->args[3] = t->nr == NR_EPOLL_CTL ? epoll_mask(regs[REG_ARG3]) : regs[REG_ARG3];
}

#if HAS_TASK_REGS
/* A register that the kernel saved for the current task, without a helper that reads memory (bpf_task_pt_regs, since 5.15). */
static inline u64 this_register(u32 offset) {
  return OF_TASK(u64, (u64)bpf_task_pt_regs((struct task_struct *)bpf_get_current_task_btf()), offset);
}
#endif

/* The same in the thread itself. */
static inline void load_arguments_now(struct thread *t) {
#if HAS_TASK_REGS
  if (t->loaded || t->nr & COMPAT) {
    load_arguments(t);
    return;
  }
  u64 regs = (u64)bpf_task_pt_regs((struct task_struct *)bpf_get_current_task_btf());
  t->loaded = 1;
  t->args[0] = OF_TASK(u64, regs, REG_FIRST_AT_EXIT);
  t->args[1] = OF_TASK(u64, regs, REGS_ARGS + 8 * REG_ARG1);
  t->args[2] = OF_TASK(u64, regs, REGS_ARGS + 8 * REG_ARG2);
  t->args[3] = OF_TASK(u64, regs, REGS_ARGS + 8 * REG_ARG3);
  if (t->nr == NR_EPOLL_CTL)
    t->args[3] = epoll_mask(t->args[3]);
#else
  load_arguments(t);
#endif
}

/* The first argument of the call that the current task ends. */
static inline u64 first_argument(struct thread *t) {
  if (t->nr & COMPAT)
    return 0;
#if HAS_TASK_REGS
  return this_register(REG_FIRST_AT_EXIT);
#else
  return peek(t->regs, REG_FIRST_AT_EXIT);
#endif
}
