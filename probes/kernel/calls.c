/* System calls: reported one by one, or, where they returned no result, folded into bursts.
 *
 * Needs load_arguments (arguments.c), close_begins (descriptors.c), the sums (sums.c), follow (threads.c), switch_in_missed (sched.c) and the helpers of
 * instrument.c. Offers report_call and report_totals to
 * end.c, copy_end_missed to data.c. Attached: on_enter, on_exit, their stand-ins, on_gone. */

/* Adds a call to the sums, and reports it where details are wanted: a call that has ended, that is under way at the end of the
 * recording, or that will not return. `itself` as in sum_call. */
static inline int report_call(struct thread *t, int itself, s64 ret, u32 flags, u64 now) {
  if (itself)
    load_arguments_now(t);
  else
    load_arguments(t);
  struct descriptor behind = sum_call(t, itself, ret, flags, now);
  if (!t->detailed)
    return 0;
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
  r->release = behind.release;
  r->socket_kind = behind.socket;
  r->unused = 0;
  spend(sizeof(*r));
  submit(r);
  return 0;
}

/* ---- bursts ---- */

/* Adds a burst that has ended to the sums, and reports it where details were wanted. */
static inline int report_burst(struct thread *t, struct burst_record *burst) {
  sum_burst(t, burst);
  if (!burst->detailed)
    return 0;
  REPORT(burst_record, r);
  bpf_probe_read_kernel(r, sizeof(*r), burst);
  spend(sizeof(*r));
  submit(r);
  return 0;
}

/* Does the call belong to the burst? A burst is reported whole or not at all, so it ends where details begin or end. After a close,
 * the number may mean another file, so no burst goes on (`closes`). */
static inline int same_burst(struct thread *t, struct burst_record *burst, s64 ret) {
  return burst->ret == ret && burst->detailed == t->detailed && burst->closes == t->closes;
}

/* An io_uring_enter that submits no request, waits for no completion, and wakes no thread (IORING_ENTER_SQ_WAKEUP, 2). */
static inline int only_looks(struct thread *t) {
  return t->nr == NR_IO_URING_ENTER && !(u32)t->args[1] && !(u32)t->args[2] && !(t->args[3] & 2);
}

#define REPEATED 64  /* the first 64 identical rounds of a spin are reported call by call; later rounds are folded */

/* 1 if a number is not 0, without a branch: the verifier goes through code without branches once. */
static inline u64 is_set(u64 number) {
  u64 sign = number | -number;
  __asm__ __volatile__("" : "+r"(sign));
  return sign >> 63;
}

/* The smaller of two numbers below 2^63. */
static inline u64 smaller(u64 a, u64 b) { return b ^ ((a ^ b) & -((a - b) >> 63)); }

/* The place for the thread's call among its latest calls (`last`), in the 2 low bits. The other bits are 0 if the call is there already,
 * with the same arguments and result. If not, the place is that of the same call on the same descriptor, or else that of the call that was
 * made longest ago. So a call on one descriptor that alternates between two results never folds: it would end a burst each time. */
static inline u64 place_of_repeat(struct thread *t, s64 ret) {
  u64 found = ~0ULL >> 1;
#pragma unroll
  for (u32 i = 0; i < CYCLE; i++) {
    struct repeat *kept = &t->last[i];
    u64 other = (t->nr ^ kept->nr) | (t->args[0] ^ kept->args[0]);
    u64 differs = other | (ret ^ kept->ret) | (t->args[1] ^ kept->args[1]) | (t->args[2] ^ kept->args[2]) |
                  (t->args[3] ^ kept->args[3]) | !kept->used;
    found = smaller(found, ((kept->used & -is_set(other)) | is_set(differs)) * CYCLE + i);
  }
  return found;
}

/* Is the call part of a spin? A thread spins if it repeats a round of one to CYCLE calls REPEATED times, with the same arguments and
 * results: it reads 0 bytes at the end of a file, or poll finds POLLHUP. Calls without result fold at once, and are not counted here.
 * The count begins again after a call that sleeps, moves data of a socket, or is new. A call that was once part of a spin is folded
 * from then on, because a server may spin between its messages. */
static inline int repeats(struct thread *t, s64 ret) {
  load_arguments_now(t);
  u64 place = place_of_repeat(t, ret);
  struct repeat *kept = &t->last[place % CYCLE];
  t->clock += 2;
  kept->used = t->clock;
  if (place >= CYCLE) {
    t->spin++;
    kept->nr = t->nr;
    kept->ret = ret;
    kept->args[0] = t->args[0];
    kept->args[1] = t->args[1];
    kept->args[2] = t->args[2];
    kept->args[3] = t->args[3];
    kept->times = 0;
    kept->spin = t->spin;
    return 0;
  }
  if (kept->spin != t->spin && kept->times < REPEATED)
    kept->times = 0;
  kept->spin = t->spin;
  return ++kept->times >= REPEATED;
}

/* A call without result that did not sleep: EAGAIN, a multiplexer that found no descriptor ready, io_getevents that found no
 * completion, or an io_uring_enter that did not have to wait. */
static inline int without_result(struct thread *t, s64 ret) {
  if (ret == -11)
    return 1;
  if (ret)
    return 0;
  if (t->nr == NR_IO_URING_ENTER)
    load_arguments_now(t);
  return is_multiplexer(t->nr) || is_aio_wait(t->nr) || only_looks(t);
}

/* Is the call part of a burst? The buckets of a burst end at 4 ms; a longer call is reported by itself. */
static inline int folds(struct thread *t, s64 ret, u64 now) {
  if ((t->touched && (t->in.sleeps || t->copies || t->socket)) || now - t->enter >= 1ULL << (6 + BURST_BUCKETS / 4)) {
    t->spin++;
    return 0;
  }
  return without_result(t, ret) || (t->detailed && repeats(t, ret));
}

/* A bit for the call and the descriptor of a burst, so that most calls need no look-up to find that they end none. */
static inline u32 burst_bit(struct burst_key *key) { return 1U << ((key->nr * 7 + (u32)key->fd) & 31); }

/* Makes an empty burst. Returns 0 if the table of bursts is full. */
static inline struct burst_record *begin_burst(struct thread *t, struct burst_key *key, s64 ret) {
  int zero = 0;
  struct burst_record *blank = fresh_burst.lookup(&zero);
  if (!blank || bursts.update(key, blank))
    return 0;
  struct burst_record *burst = bursts.lookup(key);
  if (!burst)
    return 0;
  struct descriptor behind = {.release = 0, .socket = 0};
  if (facts_of(t->nr) & FACT_DESCRIPTOR)
    behind = descriptor_of(t, (u32)key->fd);
  t->open_bursts++;
  t->folding |= burst_bit(key);
  burst->kind = KIND_BURST;
  burst->thread = t->account == OTHERS ? OTHERS : t->serial;
  burst->nr = t->nr;
  burst->fd = key->fd;
  burst->ret = ret;
  burst->first = t->enter;
  burst->release = behind.release;
  burst->socket = behind.socket;
  burst->detailed = t->detailed;
  burst->closes = t->closes;
  return burst;
}

static inline void fold_call(struct thread *t, struct burst_record *burst, u64 now) {
  u64 total = now - t->enter;
  burst->count++;
  burst->last = now;
  burst->total += total;
  if (total > burst->longest)
    burst->longest = total;
  if (t->touched) {
    burst->delay += t->in.delay;
    burst->preempted += t->in.preempted;
    burst->preemptions += t->in.preemptions;
    burst->polled += t->polled;
    burst->queued += t->queued;
    burst->unqueued += t->unqueued;
  }
  burst->buckets[bucket_of(total) & (BURST_BUCKETS - 1)]++;
  if (t->detailed)
    t->bursts++;
}

/* Folds the call into the burst of the same call on the same descriptor, or ends that burst. Returns 0 if the call is not folded:
 * the caller then reports it by itself. */
static inline int fold_or_end(struct thread *t, s64 ret, u64 now) {
  struct burst_key key = {.thread = t->serial, .nr = t->nr, .fd = (u32)first_argument(t)};
  int fold = folds(t, ret, now);
  struct burst_record *burst = fold || t->folding & burst_bit(&key) ? bursts.lookup(&key) : 0;
  if (burst && !(fold && same_burst(t, burst, ret))) {
    report_burst(t, burst);
    bursts.delete(&key);
    if (!--t->open_bursts)
      t->folding = 0;
    burst = 0;
  }
  if (fold && !burst)
    burst = begin_burst(t, &key, ret);
  if (!fold || !burst)
    return 0;
  fold_call(t, burst, now);
  return 1;
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

/* sys_enter(regs, nr) */
static inline void call_begins(struct raw *ctx, int stands_in) {
  s64 nr = ctx->args[1];
  struct thread *t = followed((u32)bpf_get_current_pid_tgid());
  if (!t) {
    if (nr == NR_PRCTL)
      asks_to_be_followed(ctx->args[0], stands_in);
    return;
  }
  t->handled = HANDLED_ENTER;
  t->enters++;
  if (t->off != ON_CPU)
    switch_in_missed(t, bpf_ktime_get_ns());
  t->regs = ctx->args[0];
  if (current_is_compat())
    nr |= COMPAT;
  if (t->where == IN_CALL && !t->adopted)
    count(LOSS_UNMATCHED);  /* the end of the call before was not reported */
  t->adopted = 0;
  t->nr = nr;
  if (nr == NR_CLOSE) {
    socket_closing(t);
    close_begins(t, (u32)first_argument(t));
  }
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

/* sys_exit of a call without sys_enter. The call begins here, with its number (-1 if a tracer skipped it), and is reported without
 * a duration: when it began is not known. A filter that sends SIGSYS (SECCOMP_RET_TRAP) gives no result; the kernel then puts the
 * number into the register of the result (syscall_rollback). Returns the call's flags, 0 if there is no such call. */
static inline u32 call_without_begin(struct thread *t, struct raw *ctx, u64 now) {
  s64 ret = ctx->args[1], nr = (s32)peek32(ctx->args[0], REG_NUMBER);
  u64 task = bpf_get_current_task();
  int why = why_it_never_began(task, nr);
  count(why);
  if (why == LOSS_UNMATCHED)
    return 0;
  t->regs = ctx->args[0];
  fold_enter(t, nr >= 0 && is_compat(task) ? nr | COMPAT : nr, now);
  if (why == LOSS_KILLED)
    return CALL_KILLED | CALL_NO_RETURN;
  return why == LOSS_EMULATED ? CALL_EMULATED : CALL_REFUSED | (ret == nr ? CALL_NO_RETURN : 0);
}

/* sys_exit(regs, ret) */
static inline void call_ends(struct raw *ctx) {
  s64 ret = ctx->args[1];
  struct thread *t = followed((u32)bpf_get_current_pid_tgid());
  if (!t)
    return;  /* before the clock is read, which takes longer than the look-up: most calls of a machine are not followed */
  u64 now = bpf_ktime_get_ns();  /* the rest of the probe's own work belongs to the time after the call */
  u32 adopted = t->adopted, flags = 0;
  t->handled = HANDLED_EXIT;
  t->exits++;
  t->adopted = 0;
  switch_in_missed(t, now);
  if (t->where == IN_USER) {
    flags = adopted ? 0 : call_without_begin(t, ctx, now);
    if (!flags)
      return;  /* of a call that began before the recording, nothing is known */
  }
  u32 was = t->where;
  now = leaves(t, now);
  copy_end_missed(t);
  fold_exit(t, was, now);
  int fresh = was == IN_CALL && t->copies && !t->socket && is_read(t->nr) ? queue_read(t, ret, now) : 0;
  if (was == IN_CALL && (flags || !fold_or_end(t, ret, now))) {
    report_call(t, 1, ret, flags, now);
    if (t->nr == NR_CLOSE)
      t->closes++;
    if (!flags && (fresh || facts_of(t->nr) & FACT_SOCKET))
      socket_call_ended(t, ret, now);
  }
  t->detailed = wants_details(t);
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

/* The totals of a thread that has ended, or of a thread that lives on, whose name is known already. `status`: as wait4 gives it. */
static inline int report_totals(struct thread *t, u64 now, int ended, u32 status) {
  hit_times(HIT_ENTER, t->enters);
  hit_times(HIT_EXIT, t->exits);
  if (t->account == OTHERS) {
    sum_unlisted(t, now);
    return 0;
  }
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
  r->made = t->made;
  r->in_total = t->inside_total;
  r->in_wait = t->inside.wait;
  r->in_delay = t->inside.delay;
  r->in_preempted = t->inside.preempted;
  r->in_copy = t->inside_copy;
  r->in_sleeps = t->inside.sleeps;
  r->in_preemptions = t->inside.preemptions;
  r->reported = t->reported;
  r->reported_wait = t->reported_wait;
  r->status = status;
  r->alive = !ended;
  r->unused = 0;
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
  u64 task = bpf_get_current_task();
  if (was == IN_CALL)
    report_call(t, 1, 0, CALL_NO_RETURN, now);
  report_totals(t, now, 1, peek32(task, OFF_TASK_EXIT_CODE));
  threads.delete(&tid);
  return 0;
}
