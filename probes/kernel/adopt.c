/* Threads that run already when the recording begins.
 *
 * Needs begin_life and introduce (threads.c). Offers nothing to others. No event runs on_adopt: the instrument runs it once for
 * each thread, by BPF_PROG_TEST_RUN, with what /proc says of the thread. The thread may go on meanwhile. So its first event may
 * contradict /proc, and is believed (calls.c: adopted). */

struct known {
  u64 tid, ns_tid, ns_tgid;
  u64 state;    /* 0: it runs; 1: asleep outside calls; 2: asleep in the call `nr` */
  u64 nr, args[4];
  u64 stack;    /* of its sleep: the id of a stack that the instrument knows */
  u64 comm[2];
};

BPF_ARRAY(adopted_thread, struct thread, 1);

/* The thread's state is whole before its events find it in the table, since it may be at work on another CPU. */
int on_adopt(struct known *known) {
  u32 tid = known->tid;
  u64 now = bpf_ktime_get_ns();
  int zero = 0;
  struct thread *t = adopted_thread.lookup(&zero), *blank = fresh_thread.lookup(&zero);
  if (!t || !blank || threads.lookup(&tid))
    return 0;  /* created by a thread that is followed since a moment ago */
  bpf_probe_read_kernel(t, sizeof(*t), blank);
  if (!begin_life(t, known->state ? ASLEEP : ON_CPU, now))
    return 0;
  t->adopted = 1;
  t->stack = known->stack;
  t->where = IN_USER;
  if (known->state == 2) {
    fold_enter(t, known->nr, now);
    t->args[0] = known->args[0];
    t->args[1] = known->args[1];
    t->args[2] = known->args[2];
    t->args[3] = known->args[3];
    t->loaded = 1;
  }
  u64 comm[2] = {known->comm[0], known->comm[1]};
  introduce(t, tid, known->ns_tid, known->ns_tgid, (u64)comm, now);
  if (threads.insert(&tid, t) && !threads.lookup(&tid))
    count(LOSS_THREADS_FULL);
  return 0;
}
