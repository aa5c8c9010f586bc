/* The scheduler's events: a thread is switched out, woken, switched in.
 *
 * Needs the maps and helpers of instrument.c, load_arguments (arguments.c), sum_sleep (sums.c), and fold.h for the account of time.
 * Offers report_sleep to end.c and switch_in_missed to calls.c and data.c. Attached: on_switch, on_waking. */

/* A sleep is over: added to the sums, and reported where details are wanted. */
static inline int report_sleep(struct thread *t, u64 now, u32 flags) {
  flags |= (t->early ? SLEEP_EARLY : 0) | (t->unseen ? SLEEP_UNSEEN : 0) | (t->where == IN_CALL ? 0 : SLEEP_OUTSIDE);
  flags |= (t->queue_carried ? SLEEP_QUEUE_CARRIED : 0) | (t->waker_carried && !t->unseen ? SLEEP_WAKER_CARRIED : 0);
  sum_sleep(t, flags);
  if (!t->detailed)
    return 0;
  if (flags & SLEEP_OUTSIDE) {
    t->reported++;
    t->reported_wait += t->woke - t->off_at;
  }
  REPORT(sleep_record, r);
  r->kind = KIND_SLEEP;
  r->thread = t->serial;
  r->flags = flags;
  r->waker_tid = t->unseen ? 0 : t->waker_tid;
  r->off = t->off_at;
  r->woken = t->woke;
  r->on = now;
  r->stack = t->stack;
  r->object = t->object;
  r->waker_stack = t->unseen ? 0 : t->waker_stack;
  r->probed = t->unseen || t->early ? 0 : t->probed;
  bpf_probe_read_kernel(r->waker_comm, sizeof(r->waker_comm), t->waker_comm);
  spend(sizeof(*r));
  submit(r);
  return 0;
}

/* Closes an absence from the CPU whose end the kernel did not report: the thread runs at `now`. Some machines hide their
 * supervisor from tracing, and with it each switch from the supervisor to another task. The thread came back some time before
 * `now`. The time since then counts as run queue, which is an upper bound. */
static inline void switch_in_missed(struct thread *t, u64 now) {
  if (t->off == ON_CPU)
    return;
  count(LOSS_UNSEEN);
  if (fold_in(t, now))
    report_sleep(t, now, SLEEP_BOUNDED);
}

/* Does the task that is switched out leave the run queue? A preempted task does not. A task with a pending signal does not
 * either: the kernel sets its state back to running (0) on the way out (kernel/sched/core.c, __schedule), although the
 * tracepoint may still pass the state from before. */
static inline int goes_to_sleep(struct raw *ctx) {
  if ((u32)ctx->args[0] || !switch_prev_state(ctx->args))
    return 0;
  u64 prev = this_task();
  /* on_rq is 0, 1 or 2: an int, and since 7.2 one byte, followed by other members */
  return !(OF_TASK(u8, prev, OFF_TASK_ON_RQ) && !OF_TASK(u32, prev, OFF_TASK_STATE));
}

/* A name for the object behind a descriptor (file->private_data): a struct socket, eventpoll or pipe. All threads that sleep on
 * one queue of one object (queues.py, OF_THE_OBJECT) get the same name. The kernel uses addresses again, so the inode's number is
 * in the high bits, which are the same in each address. If another thread closes the descriptor at this moment, the name is
 * wrong; nothing else happens. */
static inline u64 object_behind(u32 fd) {
  u64 file = file_of(fd);
  return file ? peek(file, OFF_FILE_OBJECT) ^ peek(peek(file, OFF_FILE_INODE), OFF_INODE_NUMBER) << 40 : 0;
}

/* The thread goes to sleep. Its own stack names the wait queue. */
static inline u64 sleeps_on(struct raw *ctx, struct thread *t) {
  t->object = 0;
  if (t->where == IN_CALL) {
    load_arguments_now(t);
    t->object = object_behind((u32)t->args[0]);
  }
  struct walk_key key = {.thread = t->serial, .nr = t->where == IN_CALL ? (s32)t->nr : -1, .waker = ANY_WAKER};
  key.fd = t->where == IN_CALL ? (u32)t->args[0] : 0;
  return sampled_stack(ctx, 0, &key, &t->queue_carried);
}

/* sched_switch: `prev` is still the current task. */
int on_switch(struct raw *ctx) {
  u32 next = peek32(switch_next(ctx->args), OFF_TASK_PID);
  struct thread *t = current_thread(HIT_SWITCH);
  if (!t && !threads.lookup(&next))
    return 0;  /* before the clock is read, which takes longer than both look-ups */
  u64 now = bpf_ktime_get_ns();
  if (t) {
    switch_in_missed(t, now);
    int asleep = goes_to_sleep(ctx);
    fold_out(t, asleep, asleep ? sleeps_on(ctx, t) : 0, now);
  }
  t = thread_of(next, HIT_SWITCH);
  if (t && t->off != ON_CPU && fold_in(t, now))
    report_sleep(t, now, 0);
  return 0;
}

/* sched_waking(task): runs in the task that wakes, so the stack is the waker's. The walk of the stack prolongs the sleep. The record
 * says by how much (`probed`), so a report can subtract it. */
int on_waking(struct raw *ctx) {
  struct thread *t = thread_of(peek32(ctx->args[0], OFF_TASK_PID), HIT_WAKING);
  if (!t || !fold_wakes(t))
    return 0;
  u64 now = bpf_ktime_get_ns();
  u32 tid = (u32)bpf_get_current_pid_tgid();
  struct thread *waker = threads.lookup(&tid);
  struct walk_key key = {.thread = t->serial, .nr = t->where == IN_CALL ? (s32)t->nr : -1, .fd = 0, .waker = tid};
  t->waker_tid = tid;
  t->waker = waker ? waker->serial : 0;
  t->waker_stack = sampled_stack(ctx, 1, &key, &t->waker_carried);
  bpf_get_current_comm(t->waker_comm, sizeof(t->waker_comm));
  t->woken_at = t->waker_carried ? now : bpf_ktime_get_ns();  /* without a walk, the probe's work takes about as long as the clock */
  t->probed = t->woken_at - now;
  return 0;
}
