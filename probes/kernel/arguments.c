/* The arguments of a system call, read when they are needed: the kernel keeps them in the registers that it saved (struct pt_regs)
 * until the call ends.
 *
 * Needs the helpers of instrument.c and kernel.h. Offers first_argument and load_arguments to sched.c and calls.c.
 * Attached: nothing. */

/* aarch64 writes the result over the first argument, and keeps a copy of the argument (orig_x0). */
static inline u64 first_argument(struct thread *t) {
  return t->nr & COMPAT ? 0 : peek(t->regs, REG_FIRST_AT_EXIT);
}

/* The events of a struct epoll_event (uapi/linux/eventpoll.h), whose address alone says nothing. EPOLL_CTL_DEL has none: 0. */
static inline u64 epoll_mask(u64 event) {
  u32 events = 0;
  bpf_probe_read_user(&events, sizeof(events), (void *)event);
  return events;
}

/* Stores the arguments; of epoll_ctl the events in the place of their address. The registers of the 32-bit ABI are others. */
static inline void load_arguments(struct thread *t) {
  if (t->loaded)
    return;
  u64 regs[8] = {};
  t->loaded = 1;
  if (!(t->nr & COMPAT))
    bpf_probe_read_kernel(regs, sizeof(regs), (void *)(t->regs + REGS_ARGS));
  t->args[0] = first_argument(t);
  t->args[1] = regs[REG_ARG1];
  t->args[2] = regs[REG_ARG2];
  t->args[3] = t->nr == NR_EPOLL_CTL ? epoll_mask(regs[REG_ARG3]) : regs[REG_ARG3];
}
