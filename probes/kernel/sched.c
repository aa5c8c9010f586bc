/* Asleep and awake: switched out, woken, switched in. */

static inline int report_sleep(struct thread *t, u64 now, u32 flags) {
  REPORT(sleep_record, r);
  r->kind = KIND_SLEEP;
  r->thread = t->serial;
  r->flags = flags | (t->early ? SLEEP_EARLY : 0) | (t->unseen ? SLEEP_UNSEEN : 0) | (t->where == IN_CALL ? 0 : SLEEP_OUTSIDE);
  r->waker_tid = t->unseen ? 0 : t->waker_tid;
  r->off = t->off_at;
  r->woken = t->woke;
  r->on = now;
  r->stack = t->stack;
  r->object = t->object;
  r->waker_stack = t->unseen ? 0 : t->waker_stack;
  r->probed = t->unseen || t->early ? 0 : t->probed;
  bpf_probe_read_kernel(r->waker_comm, sizeof(r->waker_comm), t->waker_comm);
  submit(r);
  return 0;
}

/* The thread runs, but the kernel never told of its switch-in. Some machines hide their supervisor from tracing, and with it
 * every switch from the supervisor to somebody else. The thread came back some time before now: what it did since then is
 * taken for the run queue, an upper bound, and counted. */
static inline void came_back_unseen(struct thread *t, u64 now) {
  if (t->off == ON_CPU)
    return;
  count(LOSS_UNSEEN);
  if (fold_in(t, now))
    report_sleep(t, now, SLEEP_BOUNDED);
}

/* Did the task that is switched out leave the run queue? Not if it was preempted, nor if it saw a pending signal on its way
 * out: then the kernel has put its state back to running (0), though the tracepoint may still tell the state before. */
static inline int goes_to_sleep(struct raw *ctx) {
  u64 prev = switch_prev(ctx->args);
  if ((u32)ctx->args[0] || !switch_prev_state(ctx->args))
    return 0;
  return !(peek32(prev, OFF_TASK_ON_RQ) && !task_state(prev));
}

/* What the kernel has behind a descriptor (file->private_data): a struct socket, eventpoll, pipe. Whoever sleeps at one of its
 * queues (queues.py: OF_THE_OBJECT) sleeps with all others at the same queue of the same object. Addresses are used again, so
 * the inode's number goes into the high bits, which are the same in every address: each socket and pipe has its own. Another
 * thread may close the descriptor in this very moment: then the object is a wrong one, and nothing worse. */
static inline u64 object_behind(u64 task, u32 fd) {
  u64 table = peek(peek(task, OFF_TASK_FILES), OFF_FILES_TABLE);
  if (fd >= peek32(table, OFF_TABLE_LENGTH))
    return 0;
  u64 file = peek(peek(table, OFF_TABLE_FILES) + 8 * (u64)fd, 0);
  return file ? peek(file, OFF_FILE_OBJECT) ^ peek(peek(file, OFF_FILE_INODE), OFF_INODE_NUMBER) << 40 : 0;
}

/* sched_switch: `prev` is still current; its stack says on which wait queue it goes to sleep. */
int on_switch(struct raw *ctx) {
  u64 now = bpf_ktime_get_ns();
  struct thread *t = current_thread(HIT_SWITCH);
  if (t) {
    came_back_unseen(t, now);
    int asleep = goes_to_sleep(ctx);
    t->object = asleep && t->where == IN_CALL ? object_behind(switch_prev(ctx->args), (u32)t->args[0]) : 0;
    fold_out(t, asleep, asleep ? stack_id(ctx, 0) : 0, now);
  }
  t = thread_of(peek32(switch_next(ctx->args), OFF_TASK_PID), HIT_SWITCH);
  if (t && t->off != ON_CPU && fold_in(t, now))
    report_sleep(t, now, 0);
  return 0;
}

/* sched_waking(task): runs where the wake-up is decided, so the stack is the waker's. Walking a stack that is cold in the
 * cache takes some 20 us, and the sleeper sleeps on for just as long: the time is told, so that reports can take it out. */
int on_waking(struct raw *ctx) {
  u64 now = bpf_ktime_get_ns();
  struct thread *t = thread_of(peek32(ctx->args[0], OFF_TASK_PID), HIT_WAKING);
  if (!t || !fold_wakes(t))
    return 0;
  t->waker_tid = (u32)bpf_get_current_pid_tgid();
  t->waker_stack = stack_id(ctx, 1);
  bpf_get_current_comm(t->waker_comm, sizeof(t->waker_comm));
  t->woken_at = bpf_ktime_get_ns();
  t->probed = t->woken_at - now;
  return 0;
}
