/* System calls: reported one by one, or, where they returned no result, folded into bursts.
 *
 * Needs follow (threads.c), switch_in_missed (sched.c) and the helpers of instrument.c. Offers report_call and report_totals to
 * end.c, copy_end_missed to data.c. Attached: on_enter, on_exit, their stand-ins, on_gone. */

static inline int report_call(struct thread *t, s64 ret, u32 flags, u64 now) {
  t->calls++;
  REPORT(call_record, r);
  r->kind = KIND_CALL;
  r->thread = t->serial;
  r->nr = t->nr;
  r->flags = flags | (t->drained ? CALL_DRAINED : 0) | (t->linear ? CALL_LINEAR : 0) | (t->late ? CALL_COPY_LATE : 0);
  r->enter = t->enter;
  r->exit = now;
  r->ret = ret;
  r->args[0] = t->args[0];
  r->args[1] = t->args[1];
  r->args[2] = t->args[2];
  r->args[3] = t->args[3];
  r->wait = t->in.wait;
  r->delay = t->in.delay;
  r->preempted = t->in.preempted;
  r->copy = t->copy;
  r->sleeps = t->in.sleeps;
  r->preemptions = t->in.preemptions;
  r->socket = t->socket;
  r->ready = t->ready;
  r->copied = t->copied;
  r->arrivals = t->arrivals;
  r->unread = t->unread;
  r->polled = t->polled;
  r->queued = t->queued;
  r->unqueued = t->unqueued;
  r->copies = t->copies;
  r->copy_in_max = t->copy_in_max;
  r->copy_out_max = fold_copy_out_max(t, now);
  r->latest = t->latest;
  submit(r);
  return 0;
}

/* ---- bursts ---- */

static inline int report_burst(struct burst_record *burst) {
  REPORT(burst_record, r);
  bpf_probe_read_kernel(r, sizeof(*r), burst);
  submit(r);
  return 0;
}

/* An io_uring_enter that submits no request, waits for no completion, and wakes no thread (IORING_ENTER_SQ_WAKEUP, 2). */
static inline int only_looks(struct thread *t) {
  return t->nr == NR_IO_URING_ENTER && !(u32)t->args[1] && !(u32)t->args[2] && !(t->args[3] & 2);
}

/* A call without result that did not sleep: EAGAIN, a multiplexer that found no descriptor ready, io_getevents that found no
 * completion, or an io_uring_enter that did not have to wait. */
static inline int without_result(struct thread *t, s64 ret) {
  int nothing = is_multiplexer(t->nr) || is_aio_wait(t->nr) || only_looks(t);
  return !t->in.sleeps && !t->copies && (ret == -11 || (ret == 0 && nothing));
}

/* Folds the call into the burst of the same call on the same descriptor. Returns 0 if the table of bursts is full: the caller
 * then reports the call by itself, and nothing is lost. */
static inline int fold_burst(struct thread *t, struct burst_key *key, s64 ret, u64 now) {
  struct burst_record *burst = bursts.lookup(key);
  if (burst && burst->ret != ret) {
    report_burst(burst);
    bursts.delete(key);
    burst = 0;
  }
  if (!burst) {
    int zero = 0;
    struct burst_record *blank = fresh_burst.lookup(&zero);
    if (!blank || bursts.update(key, blank))
      return 0;
    burst = bursts.lookup(key);
    if (!burst)
      return 0;
    burst->kind = KIND_BURST;
    burst->thread = t->serial;
    burst->nr = t->nr;
    burst->fd = key->fd;
    burst->ret = ret;
    burst->first = t->enter;
  }
  burst->count++;
  burst->last = now;
  burst->total += now - t->enter;
  if (now - t->enter > burst->longest)
    burst->longest = now - t->enter;
  burst->delay += t->in.delay;
  burst->preempted += t->in.preempted;
  burst->preemptions += t->in.preemptions;
  burst->polled += t->polled;
  burst->queued += t->queued;
  burst->unqueued += t->unqueued;
  burst->buckets[burst_bucket(now - t->enter) & (BURST_BUCKETS - 1)]++;
  t->bursts++;
  return 1;
}

static inline void end_burst(struct burst_key *key) {
  struct burst_record *burst = bursts.lookup(key);
  if (burst) {
    report_burst(burst);
    bursts.delete(key);
  }
}

/* After close the number may soon mean another file, so the bursts on it end. */
static inline void end_bursts_of(struct thread *t) {
  s32 polled[] = {POLLED_CALLS};
#pragma unroll
  for (u32 i = 0; i < sizeof(polled) / sizeof(*polled); i++) {
    struct burst_key key = {.thread = t->serial, .nr = polled[i], .fd = (u32)t->args[0]};
    end_burst(&key);
  }
}

/* ---- begin and end ---- */

enum { HANDLED_ENTER = 1, HANDLED_EXIT = 2, HANDLED_COPIED = 4 };

/* The probe at the end of a copy has not run, although the copy is over. */
static inline void copy_end_missed(struct thread *t) {
  if (t->bracketed) {
    count(LOSS_COPY_END);
    t->late = 1;
  }
  t->bracketed = 0;
}

/* prctl(MARKER, cookie) is how a thread asks to be followed, in any pid namespace. A cookie is an invitation for one thread: the
 * kernel deletes a key once, also where two CPUs try at the same time. */
static inline void asks_to_be_followed(u64 regs_at, int stands_in) {
  u64 regs[8];
  int zero = 0;
  bpf_probe_read_kernel(regs, sizeof(regs), (void *)(regs_at + REGS_ARGS));
  u64 cookie = regs[REG_ARG1];
  u32 *stop = stopped.lookup(&zero);
  if ((u32)regs[REG_ARG0] != MARKER || !stop || *stop)
    return;
  if (invitations.delete(&cookie)) {
    if (!stands_in)
      count(LOSS_UNINVITED);  /* once, although the stand-in comes here, too */
    return;
  }
  struct thread *t = follow(bpf_get_current_task(), 0, ON_CPU, 0, bpf_ktime_get_ns());
  if (t)
    t->handled = HANDLED_ENTER;
}

/* The events of a struct epoll_event (uapi/linux/eventpoll.h), whose address alone says nothing. EPOLL_CTL_DEL has none: 0. */
static inline u64 epoll_mask(u64 event) {
  u32 events = 0;
  bpf_probe_read_user(&events, sizeof(events), (void *)event);
  return events;
}

/* Stores the arguments; of epoll_ctl the events in the place of their address. Returns the number of the call, which is marked
 * where it belongs to the architecture's 32-bit ABI: the registers of that ABI are others. */
static inline s64 take_arguments(struct thread *t, u64 regs_at, s64 nr) {
  u64 regs[8];
  bpf_probe_read_kernel(regs, sizeof(regs), (void *)(regs_at + REGS_ARGS));
  if (is_compat(bpf_get_current_task())) {
    nr |= COMPAT;
    __builtin_memset(regs, 0, sizeof(regs));
  }
  t->args[0] = regs[REG_ARG0];
  t->args[1] = regs[REG_ARG1];
  t->args[2] = regs[REG_ARG2];
  t->args[3] = nr == NR_EPOLL_CTL ? epoll_mask(regs[REG_ARG3]) : regs[REG_ARG3];
  return nr;
}

/* sys_enter(regs, nr) */
static inline void call_begins(struct raw *ctx, int stands_in) {
  s64 nr = ctx->args[1];
  struct thread *t = current_thread(HIT_ENTER);
  if (!t) {
    if (nr == NR_PRCTL)
      asks_to_be_followed(ctx->args[0], stands_in);
    return;
  }
  t->handled = HANDLED_ENTER;
  switch_in_missed(t, bpf_ktime_get_ns());
  nr = take_arguments(t, ctx->args[0], nr);
  if (t->where == IN_CALL)
    count(LOSS_UNMATCHED);  /* the end of the call before was not reported */
  fold_enter(t, nr, bpf_ktime_get_ns());  /* last: the probe's own work belongs to the time before the call */
  if (fold_enter_interrupted(t))
    fold_enter_again(t, bpf_ktime_get_ns());
}

/* From here on nothing is added to the call. Returns the end of the call: `now`, or a later time if the thread was preempted
 * after `now`. */
static inline u64 leaves(struct thread *t, u64 now) {
  t->where = IN_USER;
  __asm__ __volatile__("" ::: "memory");
  return t->off_at > now ? bpf_ktime_get_ns() : now;
}

/* Why a call ended that never began: a LOSS_ number.
 *
 * A tracer and seccomp act before sys_enter (include/linux/entry-common.h, syscall_trace_enter). So only sys_exit fires for a
 * call that a tracer emulates (PTRACE_SYSEMU) or cancels (number -1), for a call in which the tracer kills the thread, and for a
 * call that a filter answers. */
static inline int why_it_never_began(u64 task, s32 nr) {
  if (peek32(peek(task, OFF_TASK_SIGNAL), OFF_SIGNAL_FLAGS) & 4 /* SIGNAL_GROUP_EXIT */)
    return LOSS_KILLED;
  int traced = peek32(task, OFF_TASK_PTRACE);
  if (traced && (nr == -1 || is_emulated(task)))
    return LOSS_EMULATED;
  if (is_filtered(task))
    return LOSS_REFUSED;
  return traced ? LOSS_EMULATED : LOSS_UNMATCHED;
}

/* sys_exit of a call without sys_enter. A call that a seccomp filter answered is reported with its number and result, and with
 * no duration: when it began is not known. A filter that sends SIGSYS (SECCOMP_RET_TRAP) gives no result; the kernel then puts
 * the number into the register of the result (syscall_rollback). */
static inline void call_without_begin(struct thread *t, struct raw *ctx, u64 now) {
  s64 ret = ctx->args[1], nr = (s32)peek32(ctx->args[0], REG_NUMBER);
  int why = why_it_never_began(bpf_get_current_task(), nr);
  count(why);
  if (why != LOSS_REFUSED)
    return;
  switch_in_missed(t, now);
  u32 flags = CALL_REFUSED | (ret == nr ? CALL_NO_RETURN : 0);
  nr = take_arguments(t, ctx->args[0], nr);
  t->args[0] = nr & COMPAT ? 0 : peek(ctx->args[0], REG_FIRST_AT_EXIT);
  fold_enter(t, nr, now);
  now = leaves(t, now);
  report_call(t, ret, flags, now);
}

/* sys_exit(regs, ret) */
static inline void call_ends(struct raw *ctx) {
  u64 now = bpf_ktime_get_ns();  /* first: the probe's own work belongs to the time after the call */
  s64 ret = ctx->args[1];
  struct thread *t = current_thread(HIT_EXIT);
  if (!t)
    return;
  t->handled = HANDLED_EXIT;
  if (t->where == IN_USER) {
    call_without_begin(t, ctx, now);
    return;
  }
  switch_in_missed(t, now);
  u32 was = t->where;
  now = leaves(t, now);
  copy_end_missed(t);
  fold_exit(t, was, now);
  if (was == IN_CALL) {
    struct burst_key key = {.thread = t->serial, .nr = t->nr, .fd = (u32)t->args[0]};
    if (!without_result(t, ret) || !fold_burst(t, &key, ret, now)) {
      end_burst(&key);
      if (t->nr == NR_CLOSE)
        end_bursts_of(t);
      report_call(t, ret, 0, now);
    }
  }
}

int on_enter(struct raw *ctx) {
  call_begins(ctx, 0);
  return 0;
}

int on_exit(struct raw *ctx) {
  call_ends(ctx);
  return 0;
}

/* Newer kernels may preempt a program at these tracepoints, and skip the program for each other thread on that CPU meanwhile
 * (struct bpf_prog, active). A second program after each does the work if the first was skipped. */
int on_enter_stand_in(struct raw *ctx) {
  u32 tid = (u32)bpf_get_current_pid_tgid();
  struct thread *t = threads.lookup(&tid);
  if (t && t->handled & HANDLED_ENTER) {
    t->handled &= ~HANDLED_ENTER;
    return 0;
  }
  call_begins(ctx, 1);
  t = threads.lookup(&tid);
  if (t)
    t->handled &= ~HANDLED_ENTER;
  return 0;
}

int on_exit_stand_in(struct raw *ctx) {
  u32 tid = (u32)bpf_get_current_pid_tgid();
  struct thread *t = threads.lookup(&tid);
  if (!t)
    return 0;
  if (!(t->handled & HANDLED_EXIT))
    call_ends(ctx);
  t->handled &= ~HANDLED_EXIT;
  return 0;
}

/* ---- the end of a thread ---- */

/* The totals of a thread that has ended, or of a thread that lives on, whose name is known already. */
static inline int report_totals(struct thread *t, u64 now, int ended) {
  REPORT(exit_record, r);
  r->kind = KIND_EXIT;
  r->thread = t->serial;
  r->end = now;
  r->calls = t->calls;
  r->bursts = t->bursts;
  r->wait = t->out.wait;
  r->delay = t->out.delay;
  r->preempted = t->out.preempted;
  r->birth = t->birth;
  r->copy = t->birth_copy;
  r->sleeps = t->out.sleeps;
  r->preemptions = t->out.preemptions;
  __builtin_memset(r->comm, 0, sizeof(r->comm));
  if (ended)
    bpf_get_current_comm(r->comm, sizeof(r->comm));
  submit(r);
  return 0;
}

/* sched_process_exit(task): closes the call that does not return, and reports the totals. */
int on_gone(struct raw *ctx) {
  u64 now = bpf_ktime_get_ns();
  u32 tid = (u32)bpf_get_current_pid_tgid();
  struct thread *t = thread_of(tid, HIT_GONE);
  if (!t)
    return 0;
  switch_in_missed(t, now);
  u32 was = t->where;
  now = leaves(t, now);
  fold_exit(t, was, now);
  if (was == IN_CALL)
    report_call(t, 0, CALL_NO_RETURN, now);
  report_totals(t, now, 1);
  threads.delete(&tid);
  return 0;
}
