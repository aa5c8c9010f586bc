/* The probes: what the kernel tells at its tracepoints, folded per call (fold.h) and written as records (records.py).
 *
 * All are raw tracepoints: the cheapest hook, present without tracefs, and, unlike the perf kind, not skipped when an
 * interrupt brings one event while another is being handled. Their arguments are kernel pointers, so every field is read at
 * an offset that the running kernel's BTF gave (the OFF_ constants come from instrument.py); no kernel header is used.
 */
#include "fold.h"

struct raw { u64 args[4]; };

BPF_HASH(threads, u32, struct thread, MAX_THREADS);
BPF_PERCPU_ARRAY(losses, u64, LOSSES);
BPF_PERCPU_ARRAY(hits, u64, HITS);
BPF_ARRAY(stopped, u32, 1);
BPF_PERCPU_ARRAY(serials, u32, 1);
BPF_RINGBUF_OUTPUT(records, RING_PAGES);

struct run_key { u32 thread; s32 nr; u64 fd; };
BPF_HASH(runs, struct run_key, struct run_record, MAX_RUNS);
BPF_ARRAY(fresh_run, struct run_record, 1);  /* all zero: too big for the 512 bytes of BPF stack */

struct frames { u64 at[STACK_FRAMES]; };
BPF_PERCPU_ARRAY(stack_scratch, struct frames, 2);
BPF_TABLE("lru_hash", u64, u8, stacks_seen, 16384);

BPF_TABLE("lru_hash", u64, u32, generations, 65536);
struct arrival { u64 first; u64 count; };
BPF_TABLE("lru_hash", u64, struct arrival, arrivals, 65536);
struct datagrams { u64 told, taken; u64 at[WAITING]; };
BPF_TABLE("lru_hash", u64, struct datagrams, datagrams, 4096);

static inline void count(int what) {
  u64 *n = losses.lookup(&what);
  if (n) (*n)++;
}

static inline void hit(int what) {
  u64 *n = hits.lookup(&what);
  if (n) (*n)++;
}

/* Every event of a followed thread comes through here. Once `stopped` is set, nothing is followed any more: all threads'
 * states stand still at the same moment, though the programs are detached one after the other. */
static inline struct thread *thread_of(u32 tid, int event) {
  int zero = 0;
  struct thread *t = threads.lookup(&tid);
  if (!t)
    return 0;
  u32 *stop = stopped.lookup(&zero);
  if (!stop || *stop)
    return 0;
  hit(event);
  return t;
}

static inline struct thread *current_thread(int event) {
  return thread_of((u32)bpf_get_current_pid_tgid(), event);
}

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

static inline __attribute__((always_inline)) void *reserve(u64 size) {
  void *room = records.ringbuf_reserve(size);
  if (!room)
    count(LOSS_RING_FULL);
  return room;
}

/* No wake-up for the reader: it would interrupt the very CPU that is measured. The reader comes by on a timer. */
static inline __attribute__((always_inline)) void submit(void *record) {
  records.ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

#define REPORT(type, name) \
  struct type *name = reserve(sizeof(struct type)); \
  if (!name) return 0

/* ---- stacks: the frames once, then an id -------------------------------------------------------------------------- */

static inline u64 stack_id(void *ctx, int slot) {
  struct frames *scratch = stack_scratch.lookup(&slot);
  if (!scratch)
    return 0;
  long bytes = bpf_get_stack(ctx, scratch, sizeof(*scratch), 0);
  if (bytes <= 0) {
    count(LOSS_STACK_FAILED);
    return 0;
  }
  u32 depth = bytes / 8;
  u64 id = 0xcbf29ce484222325ULL;
  /* No early way out, and an index that clang can't turn into a pointer: else the verifier of some kernels gives up. What
   * lies beyond the depth is an older stack's, and is masked. */
  for (u32 i = 0; i < STACK_FRAMES; i++) {
    u32 at = i;
    __asm__ __volatile__("" : "+r"(at));
    u64 inside = -(u64)(at < depth);
    id = (id ^ (scratch->at[at & (STACK_FRAMES - 1)] & inside)) * 0x100000001b3ULL;
    id ^= id >> 29;
  }
  if (stacks_seen.lookup(&id))
    return id;
  u8 yes = 1;
  REPORT(stack_record, r);
  r->kind = KIND_STACK;
  r->thread = 0;
  r->id = id;
  r->depth = depth;
  bpf_probe_read_kernel(r->frames, sizeof(r->frames), scratch);
  submit(r);
  stacks_seen.update(&id, &yes);
  return id;
}

/* ---- threads: born, renamed, gone ----------------------------------------------------------------------------------- */

/* A task's id in its own pid namespace, the one the program itself sees: task->thread_pid->numbers[level].nr */
static inline u32 namespace_id(u64 task) {
  u64 pid = peek(task, OFF_TASK_THREAD_PID);
  u32 level = peek32(pid, OFF_PID_LEVEL);
  return peek32(pid, OFF_PID_NUMBERS + (level & 31) * SIZE_UPID + OFF_UPID_NR);
}

static inline struct thread *follow(u64 task, u32 parent, int off, int worker, u64 now) {
  struct thread fresh = {};
  u32 tid = peek32(task, OFF_TASK_PID), zero = 0;
  u32 *serial = serials.lookup(&zero);
  if (!serial)
    return 0;
  fresh.serial = ++*serial << 10 | (bpf_get_smp_processor_id() & 1023);  /* atomic add with a result needs 5.12 */
  fresh.where = IN_BIRTH;
  fresh.enter = now;
  fresh.off = off;
  fresh.off_at = now;
  if (threads.update(&tid, &fresh)) {
    count(LOSS_THREADS_FULL);
    return 0;
  }
  REPORT(thread_record, r);
  r->kind = KIND_THREAD;
  r->thread = fresh.serial;
  r->tid = tid;
  r->ns_tid = namespace_id(task);
  r->ns_tgid = namespace_id(peek(task, OFF_TASK_GROUP_LEADER));
  r->parent = parent;
  r->start = now;
  r->worker = worker;
  bpf_probe_read_kernel(r->comm, sizeof(r->comm), (void *)(task + OFF_TASK_COMM));
  submit(r);
  return threads.lookup(&tid);
}

/* sched_process_fork(parent, child): runs in the parent, before the child first gets a CPU. */
int on_fork(struct raw *ctx) {
  struct thread *parent = current_thread(HIT_FORK);
  if (parent)
    follow(ctx->args[1], parent->serial, NEWBORN, 0, bpf_ktime_get_ns());
  return 0;
}

/* sched_wakeup_new(task): runs in the creator, after sched_process_fork. A task that did not come by there is one of the
 * kernel's own workers for this process, made by create_io_thread: io_uring's iou-wrk and iou-sqp. It makes no system call. */
int on_start(struct raw *ctx) {
  u32 tid = peek32(ctx->args[0], OFF_TASK_PID);
  struct thread *creator = current_thread(HIT_START);
  if (creator && !threads.lookup(&tid))
    follow(ctx->args[0], creator->serial, NEWBORN, 1, bpf_ktime_get_ns());
  return 0;
}

/* task_rename(task, comm): a worker of the kernel gets its name only when it runs. */
int on_name(struct raw *ctx) {
  struct thread *t = thread_of(peek32(ctx->args[0], OFF_TASK_PID), HIT_NAME);
  if (!t)
    return 0;
  REPORT(name_record, r);
  r->kind = KIND_NAME;
  r->thread = t->serial;
  r->at = bpf_ktime_get_ns();
  bpf_probe_read_kernel_str(r->comm, sizeof(r->comm), (void *)ctx->args[1]);
  submit(r);
  return 0;
}

/* sched_process_exec(task, old_pid, binprm): a thread that is not the leader takes over the leader's id when it execs. */
int on_exec(struct raw *ctx) {
  u32 tid = (u32)bpf_get_current_pid_tgid(), old = (u32)ctx->args[1];
  struct thread *t = thread_of(old, HIT_EXEC);
  if (!t)
    return 0;
  if (old != tid) {
    threads.update(&tid, t);
    threads.delete(&old);
    t = threads.lookup(&tid);
    if (!t)
      return 0;
  }
  REPORT(exec_record, r);
  r->kind = KIND_EXEC;
  r->thread = t->serial;
  r->at = bpf_ktime_get_ns();
  r->ns_tid = namespace_id(ctx->args[0]);
  r->ns_tgid = namespace_id(peek(ctx->args[0], OFF_TASK_GROUP_LEADER));
  bpf_get_current_comm(r->comm, sizeof(r->comm));
  submit(r);
  return 0;
}

/* ---- asleep and awake --------------------------------------------------------------------------------------------- */

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
  u64 prev = ctx->args[SWITCH_PREV];
  if ((u32)ctx->args[0] || !SWITCH_PREV_STATE(ctx))
    return 0;
  return !(peek32(prev, OFF_TASK_ON_RQ) && !peek32(prev, OFF_TASK_STATE));
}

/* ---- system calls ------------------------------------------------------------------------------------------------- */

static inline int report_call(struct thread *t, s64 ret, u32 flags, u64 now) {
  t->calls++;
  REPORT(call_record, r);
  r->kind = KIND_CALL;
  r->thread = t->serial;
  r->nr = t->nr;
  r->flags = flags | (t->drained ? CALL_DRAINED : 0);
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
  submit(r);
  return 0;
}

static inline int report_run(struct run_record *run) {
  REPORT(run_record, r);
  bpf_probe_read_kernel(r, sizeof(*r), run);
  submit(r);
  return 0;
}

/* A call that brought nothing and did not sleep: EAGAIN, or a multiplexer that found nothing ready. */
static inline int fruitless(struct thread *t, s64 ret) {
  return !t->in.sleeps && !t->copies && (ret == -11 || (ret == 0 && IS_MULTIPLEXER(t->nr)));
}

/* Folds the call into the run of its kind on its descriptor. Returns 0 if the table of runs is full: the caller then
 * reports the call by itself, and nothing is lost. */
static inline int fold_run(struct thread *t, struct run_key *key, s64 ret, u64 now) {
  struct run_record *run = runs.lookup(key);
  if (run && run->ret != ret) {
    report_run(run);
    runs.delete(key);
    run = 0;
  }
  if (!run) {
    int zero = 0;
    struct run_record *blank = fresh_run.lookup(&zero);
    if (!blank || runs.update(key, blank))
      return 0;
    run = runs.lookup(key);
    if (!run)
      return 0;
    run->kind = KIND_RUN;
    run->thread = t->serial;
    run->nr = t->nr;
    run->fd = key->fd;
    run->ret = ret;
    run->first = t->enter;
  }
  run->count++;
  run->last = now;
  run->total += now - t->enter;
  if (now - t->enter > run->longest)
    run->longest = now - t->enter;
  run->delay += t->in.delay;
  run->preempted += t->in.preempted;
  run->preemptions += t->in.preemptions;
  run->buckets[run_bucket(now - t->enter) & (RUN_BUCKETS - 1)]++;
  t->runs++;
  return 1;
}

static inline void end_run(struct run_key *key) {
  struct run_record *run = runs.lookup(key);
  if (run) {
    report_run(run);
    runs.delete(key);
  }
}

/* After close the number may soon be another file's: its runs end here. */
static inline void end_runs_of(struct thread *t) {
  s32 polled[] = {POLLED_CALLS};
#pragma unroll
  for (u32 i = 0; i < sizeof(polled) / sizeof(*polled); i++) {
    struct run_key key = {.thread = t->serial, .nr = polled[i], .fd = (u32)t->args[0]};
    end_run(&key);
  }
}

/* sys_enter(regs, nr) */
int on_enter(struct raw *ctx) {
  s64 nr = ctx->args[1];
  u64 regs[8];
  struct thread *t = current_thread(HIT_ENTER);
  if (!t) {
    /* The marker: prctl(MARKER, cookie) is how a thread asks to be followed, whatever pid namespace it lives in. */
    if (nr != NR_PRCTL)
      return 0;
    bpf_probe_read_kernel(regs, sizeof(regs), (void *)(ctx->args[0] + REGS_ARGS));
    if ((u32)regs[REG_ARG0] == MARKER && regs[REG_ARG1] == COOKIE)
      follow(bpf_get_current_task(), 0, ON_CPU, 0, bpf_ktime_get_ns());
    return 0;
  }
  bpf_probe_read_kernel(regs, sizeof(regs), (void *)(ctx->args[0] + REGS_ARGS));
  came_back_unseen(t, bpf_ktime_get_ns());
  t->args[0] = regs[REG_ARG0];
  t->args[1] = regs[REG_ARG1];
  t->args[2] = regs[REG_ARG2];
  t->args[3] = regs[REG_ARG3];
  fold_enter(t, nr, bpf_ktime_get_ns());  /* last: our own work belongs to the time before the call */
  return 0;
}

/* sys_exit(regs, ret) */
int on_exit(struct raw *ctx) {
  u64 now = bpf_ktime_get_ns();  /* first: our own work belongs to the time after the call */
  s64 ret = ctx->args[1];
  struct thread *t = current_thread(HIT_EXIT);
  if (!t)
    return 0;
  if (t->where == IN_USER) {
    count(LOSS_UNMATCHED);
    return 0;
  }
  came_back_unseen(t, now);
  fold_exit(t, now);
  if (t->where == IN_CALL) {
    struct run_key key = {.thread = t->serial, .nr = t->nr, .fd = (u32)t->args[0]};
    if (!fruitless(t, ret) || !fold_run(t, &key, ret, now)) {
      end_run(&key);
      if (t->nr == NR_CLOSE)
        end_runs_of(t);
      report_call(t, ret, 0, now);
    }
  }
  t->where = IN_USER;
  return 0;
}

/* sched_process_exit(task): closes the call that never returns, and hands over the totals. */
int on_gone(struct raw *ctx) {
  u64 now = bpf_ktime_get_ns();
  u32 tid = (u32)bpf_get_current_pid_tgid();
  struct thread *t = thread_of(tid, HIT_GONE);
  if (!t)
    return 0;
  came_back_unseen(t, now);
  fold_exit(t, now);
  if (t->where == IN_CALL)
    report_call(t, 0, CALL_NO_RETURN, now);
  struct exit_record *r = reserve(sizeof(*r));
  if (r) {
    r->kind = KIND_EXIT;
    r->thread = t->serial;
    r->end = now;
    r->calls = t->calls;
    r->runs = t->runs;
    r->wait = t->out.wait;
    r->delay = t->out.delay;
    r->preempted = t->out.preempted;
    r->birth = t->birth;
    r->copy = t->birth_copy;
    r->sleeps = t->out.sleeps;
    r->preemptions = t->out.preemptions;
    bpf_get_current_comm(r->comm, sizeof(r->comm));
    submit(r);
  }
  threads.delete(&tid);
  return 0;
}

/* ---- scheduler ---------------------------------------------------------------------------------------------------- */

/* sched_switch: `prev` is still current; its stack says on which wait queue it goes to sleep. */
int on_switch(struct raw *ctx) {
  u64 now = bpf_ktime_get_ns();
  struct thread *t = current_thread(HIT_SWITCH);
  if (t) {
    came_back_unseen(t, now);
    int asleep = goes_to_sleep(ctx);
    fold_out(t, asleep, asleep ? stack_id(ctx, 0) : 0, now);
  }
  t = thread_of(peek32(ctx->args[SWITCH_NEXT], OFF_TASK_PID), HIT_SWITCH);
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

/* ---- data ----------------------------------------------------------------------------------------------------------- */

static inline int arrived(u64 socket, u64 now) {
  struct arrival *seen = arrivals.lookup(&socket);
  if (seen) {
    __sync_fetch_and_add(&seen->count, 1);
  } else {
    struct arrival fresh = {.first = now, .count = 1};
    arrivals.update(&socket, &fresh);
  }
  return 0;
}

/* How many datagrams wait in a UDP socket: those that came, and those that its reader has moved to a queue of its own. */
static inline u32 waiting(u64 socket) {
  return peek32(socket, OFF_SOCK_QUEUE_LENGTH) + peek32(socket, OFF_UDP_READER_LENGTH);
}

/* A datagram is a message of its own, so each one's arrival is remembered, for as many as may wait: `told` and `taken` count
 * the datagrams that came and went, at[] holds the times of those between. Arrivals on several CPUs may use one place at the
 * same time: then one of them has no time, and 0 says so. Datagrams that nobody read (the socket was closed, and its address
 * is another's now) leave the counts apart: the kernel's own count of those that wait puts them right. */
static inline int datagram_arrived(u64 socket, u64 now) {
  struct datagrams *seen = datagrams.lookup(&socket);
  if (!seen) {
    struct datagrams fresh = {.told = 1, .at = {now}};
    datagrams.update(&socket, &fresh);
    return 0;
  }
  if (seen->taken != seen->told && waiting(socket) == 1) {
    __builtin_memset(seen->at, 0, sizeof(seen->at));
    seen->taken = seen->told;
  }
  u64 ahead = seen->told - seen->taken;
  if (ahead < WAITING)  /* not, if more wait, or if the reader was faster than this word of it */
    seen->at[seen->told & (WAITING - 1)] = now;
  __sync_fetch_and_add(&seen->told, 1);
  return 0;
}

/* When the datagram that was just taken had arrived; 0: not known. */
static inline u64 datagram_taken(u64 socket) {
  struct datagrams *seen = datagrams.lookup(&socket);
  if (!seen)
    return 0;
  u32 at = seen->taken & (WAITING - 1);
  u64 arrival = seen->taken < seen->told ? seen->at[at] : 0;
  seen->at[at] = 0;
  __sync_fetch_and_add(&seen->taken, 1);
  if (seen->taken < seen->told && !waiting(socket)) {
    __builtin_memset(seen->at, 0, sizeof(seen->at));
    seen->taken = seen->told;
  }
  return arrival;
}

/* sk_data_ready(sk): the data is in the receive queue; the wake-ups follow. Whose socket it is only its reader will tell,
 * so arrivals wait in a table under the socket's address, and leave it only with a read. */
int on_ready(struct raw *ctx) {
  u64 now = bpf_ktime_get_ns(), socket = ctx->args[0];
  u32 protocol = peek16(socket, OFF_SOCK_PROTOCOL);
  if (protocol == IPPROTO_TCP)
    return arrived(socket, now);
  if (protocol == IPPROTO_UDP)
    return datagram_arrived(socket, now);
  return 0;
}

/* tcp_probe(sk, skb), where sk_data_ready isn't there: the segment enters TCP, a moment earlier. A bare ACK carries no
 * sequence space (TCP_SKB_CB(skb)->end_seq == seq). */
int on_segment(struct raw *ctx) {
  u64 cb = peek(ctx->args[1], OFF_SKB_CB);
  if ((u32)(cb >> 32) == (u32)cb)
    return 0;
  return arrived(ctx->args[0], bpf_ktime_get_ns());
}

/* inet_sock_set_state(sk, old, new): the address may have been another connection's before. */
int on_state(struct raw *ctx) {
  u64 socket = ctx->args[0];
  if ((u32)ctx->args[2] != 1 /* TCP_ESTABLISHED */)
    return 0;
  arrivals.delete(&socket);
  u32 first = 1, *generation = generations.lookup(&socket);
  if (generation)
    (*generation)++;
  else
    generations.update(&socket, &first);
  return 0;
}

/* A name for a connection: its socket's address, whose 16 upper bits say nothing, with the number of the connections that
 * had that address before. */
static inline u64 connection(u64 socket) {
  u32 *generation = generations.lookup(&socket);
  return (socket & 0xffffffffffffULL) | (u64)(generation ? *generation & 0xffff : 0) << 48;
}

/* skb_copy_datagram_iovec(skb, len): the copy of one buffer to user space begins. */
int on_copy(struct raw *ctx) {
  struct thread *t = current_thread(HIT_COPY);
  if (!t)
    return 0;
  u64 now = bpf_ktime_get_ns();
  fold_copy_start(t, now);
  if (!t->taken)
    t->taking_at = now;
  t->taken += (u32)ctx->args[1];
  return 0;
}

/* One system call may take from several sockets (io_uring), and a worker of the kernel makes no system call at all. */
static inline int report_taken(struct thread *t, u64 now) {
  REPORT(taken_record, r);
  r->kind = KIND_TAKEN;
  r->thread = t->serial;
  r->socket = t->socket;
  r->ready = t->ready;
  r->started = t->taking_at;
  r->copied = now;
  r->bytes = t->taken;
  r->arrivals = t->arrivals;
  r->unread = t->unread;
  submit(r);
  t->ready = 0;
  t->arrivals = 0;
  t->socket = 0;
  return 0;
}

/* tcp_rcv_space_adjust(sk): called after each buffer that tcp_recvmsg copied, with the socket locked, so the queue and the
 * table of arrivals agree. */
int on_copied(struct raw *ctx) {
  u64 now = bpf_ktime_get_ns(), socket = ctx->args[0];
  struct thread *t = current_thread(HIT_COPIED);
  if (!t)
    return 0;
  fold_copy_end(t, now);
  t->socket = connection(socket);
  t->unread = peek32(socket, OFF_TCP_RCV_NXT) - peek32(socket, OFF_TCP_COPIED_SEQ);
  struct arrival *seen = arrivals.lookup(&socket);
  if (seen) {
    hit(HIT_READY);
    if (!t->ready || seen->first < t->ready)
      t->ready = seen->first;
    t->arrivals += seen->count;
    seen->count = 0;  /* counted once, though the data may take several reads */
    if (!t->unread)
      arrivals.delete(&socket);
  }
  t->drained = !t->unread;
  if (t->where != IN_CALL || !IS_READ(t->nr))
    report_taken(t, now);
  t->taken = 0;
  return 0;
}

/* sock_recv_length(sk, ret, flags): a receive on any kind of socket is over, in whatever call. A datagram was taken whole. */
int on_received(struct raw *ctx) {
  u64 now = bpf_ktime_get_ns(), socket = ctx->args[0];
  s32 size = ctx->args[1];
  if (size < 0 || ctx->args[2] & 2 /* MSG_PEEK */ || peek16(socket, OFF_SOCK_PROTOCOL) != IPPROTO_UDP)
    return 0;
  u64 arrival = datagram_taken(socket);  /* whoever took it */
  struct thread *t = current_thread(HIT_RECEIVED);
  if (!t)
    return 0;
  fold_copy_end(t, now);
  if (arrival)
    hit(HIT_READY);
  t->socket = connection(socket);
  t->ready = arrival;
  t->arrivals = 1;
  t->unread = 0;
  t->drained = 1;
  if (t->where != IN_CALL || !IS_READ(t->nr)) {
    if (!t->taken)
      t->taking_at = now;  /* only the end of its copy is known */
    t->taken = size;
    report_taken(t, now);
  }
  t->taken = 0;
  return 0;
}
