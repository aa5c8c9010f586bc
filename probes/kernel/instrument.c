/* What all programs of the instrument share: its maps, the lookup of a followed thread, room for records, kernel stacks.
 *
 * Needs the constants of probes/capture/constants.py and the records of records.py, which stand before this text, and kernel.h
 * and fold.h. Offers thread_of, current_thread, count, hit, add_to_u64, REPORT, submit, spend, stack_id, AT_ENTRY and AT_EXIT to
 * threads.c, sched.c, sums.c, calls.c, data.c, poll.c and end.c, which follow in one text: BCC finds programs in one file only.
 *
 * Most programs are raw tracepoints. They are the cheapest hook and need no tracefs. The kernel does not skip them when an
 * interrupt brings another program's event during the handling of one event; it skips programs of the perf kind
 * (kernel/trace/bpf_trace.c, trace_call_bpf). What no tracepoint shows is read at the entry and exit of functions, where the
 * kernel allows that.
 */
#include "kernel.h"
#include "fold.h"

struct raw { u64 args[4]; };

BPF_HASH(threads, u32, struct thread, MAX_THREADS);
BPF_ARRAY(fresh_thread, struct thread, 1);  /* all zero: a struct thread does not fit on the BPF stack of 512 bytes */
BPF_PERCPU_ARRAY(losses, u64, LOSSES);
BPF_PERCPU_ARRAY(hits, u64, HITS);
BPF_HASH(invitations, u64, u32, INVITATIONS);  /* cookies that no process has said yet */
BPF_ARRAY(stopped, u32, 1);
BPF_PERCPU_ARRAY(serials, u32, 1);
BPF_RINGBUF_OUTPUT(records, RING_PAGES);

/* Set by the capturing side. details: record calls and sleeps one by one. walk_every: how often the stacks of sleeps that look
 * alike are walked; 1: always. callbacks: the probe of epoll's callback is attached, which needs the latest arrival. left: how
 * many bytes of details may still be reported. When it falls below 0, the kernel side clears `details`, and sets `closed` to the
 * time. Each CPU takes its bytes in portions, so most details need no atomic addition. */
struct settings { u32 details, walk_every, callbacks, unused; s64 left; u64 closed; };
BPF_ARRAY(settings, struct settings, 1);
BPF_PERCPU_ARRAY(portions, s64, 1);  /* bytes left of the CPU's portion */
BPF_ARRAY(call_facts, u32, CALL_NUMBERS);  /* Fact, by the number of the call */

struct sum_key { u32 thread; s32 nr; s32 outcome; u32 socket; u64 release; };
struct sleep_sum_key { u32 thread; s32 nr; u32 flags, waker; u64 stack, waker_stack; };
BPF_HASH(sums, struct sum_key, struct sum_record, MAX_SUMS);
BPF_HASH(sleep_sums, struct sleep_sum_key, struct sleep_sum_record, MAX_SLEEP_SUMS);
BPF_HASH(shared_sums, struct sum_key, struct sum_record, MAX_SHARED_SUMS);
BPF_HASH(shared_sleep_sums, struct sleep_sum_key, struct sleep_sum_record, MAX_SHARED_SUMS);
BPF_ARRAY(fresh_sum, struct sum_record, 1);  /* all zero, for the same reason */
BPF_ARRAY(fresh_sleep_sum, struct sleep_sum_record, 1);
BPF_ARRAY(unlisted, struct others_record, 1);
BPF_ARRAY(accounts, u64, 1);  /* how many threads got an account of their own */

struct burst_key { u32 thread; s32 nr; u64 fd; };
BPF_HASH(bursts, struct burst_key, struct burst_record, MAX_BURSTS);
BPF_ARRAY(fresh_burst, struct burst_record, 1);  /* all zero, for the same reason */

/* Sleeps that look alike: the same thread in the same call on the same first argument, ended by the same waker (queue: all). */
struct walk_key { u32 thread; s32 nr; u32 fd, waker; };
struct walks { u64 stack; u32 seen, dense_until, walked, unused; };
BPF_TABLE("lru_hash", struct walk_key, struct walks, walks, MAX_WALKS);

struct frames { u64 at[STACK_FRAMES]; };
BPF_PERCPU_ARRAY(stack_scratch, struct frames, 2);
BPF_TABLE("lru_hash", u64, u8, stacks_seen, 16384);

/* crowded: when the entry was made, the table may already have evicted other entries (data.c) */
/* named: the socket's addresses were reported, or need not be (sockets.c) */
/* connection: its name (sockets.c), 0: not looked up yet. The entry is deleted when a connection gets the socket's address. */
struct arrival { u64 first, latest; u64 count; u32 crowded, named; u64 connection; };
BPF_TABLE("lru_hash", u64, struct arrival, arrivals, MAX_ARRIVALS);
BPF_ARRAY(arrivals_held, u64, 1);  /* entries made minus entries deleted */
BPF_HASH(generations, u64, u32, MAX_GENERATIONS);
struct ready { u64 socket, at; };
BPF_PERCPU_ARRAY(latest_ready, struct ready, 1);
struct datagrams { u64 inode, came, taken, named; u64 at[WAITING]; };
BPF_TABLE("lru_hash", u64, struct datagrams, datagrams, MAX_DATAGRAM_SOCKETS);
BPF_ARRAY(datagram_entries, u64, 1);  /* how many entries of datagrams were made */
BPF_ARRAY(fresh_datagrams, struct datagrams, 1);  /* all zero, for the same reason */

/* Atomic additions that return no result. For a C expression, the compiler may make an addition that returns one (BPF_FETCH), which
 * kernels before 5.12 refuse. */
static inline void add_to_u64(u64 *at, u64 number) {
  __asm__ __volatile__("lock *(u64 *)(%0 + 0) += %1" : : "r"(at), "r"(number) : "memory");
}
static inline void add_to_u32(u32 *at, u64 number) {
  __asm__ __volatile__("lock *(u32 *)(%0 + 0) += %1" : : "r"(at), "r"(number) : "memory");
}

static inline void count(int loss) {
  u64 *n = losses.lookup(&loss);
  if (n) (*n)++;
}

static inline void hit_times(int probe, u64 times) {
  u64 *n = hits.lookup(&probe);
  if (n) *n += times;
}

static inline void hit(int probe) {
  hit_times(probe, 1);
}

/* The state of a followed thread; 0 if the thread is not followed, or if the recording has ended. `stopped` ends the recording
 * for all threads at the same moment, although the programs are detached one after the other. */
static inline struct thread *followed(u32 tid) {
  int zero = 0;
  struct thread *t = threads.lookup(&tid);
  if (!t)
    return 0;
  u32 *stop = stopped.lookup(&zero);
  return stop && !*stop ? t : 0;
}

static inline struct thread *thread_of(u32 tid, int event) {
  struct thread *t = followed(tid);
  if (t) {
    t->touched = 1;
    hit(event);
  }
  return t;
}

static inline struct thread *current_thread(int event) {
  return thread_of((u32)bpf_get_current_pid_tgid(), event);
}

static inline __attribute__((always_inline)) void *reserve(u64 size) {
  void *room = records.ringbuf_reserve(size);
  if (!room)
    count(LOSS_RING_FULL);
  return room;
}

/* BPF_RB_NO_WAKEUP: a wake-up of the reader would interrupt the CPU that is measured. The reader polls by a timer. */
static inline __attribute__((always_inline)) void submit(void *record) {
  records.ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

#define REPORT(type, name) \
  struct type *name = reserve(sizeof(struct type)); \
  if (!name) return 0

#define PORTION 2048  /* bytes: 8 calls */

/* Takes the bytes of one detail from the budget, and ends the details when it is spent. The reader can't do this: a thread makes
 * thousands of calls between two of its checks. */
static inline void spend(u64 bytes) {
  int zero = 0;
  s64 *portion = portions.lookup(&zero);
  struct settings *now = settings.lookup(&zero);
  if (!portion || !now || !now->details)
    return;
  *portion -= bytes + 8;  /* 8: the record's header in the ring, BPF_RINGBUF_HDR_SZ */
  if (*portion >= 0)
    return;
  *portion += PORTION;
  add_to_u64((u64 *)&now->left, -PORTION);
  if (now->left >= 0)
    return;
  now->closed = bpf_ktime_get_ns();
  now->details = 0;
}

/* Two programs for one place in a function; attach.py attaches one of them. An fentry or fexit program finds the function's
 * arguments in a row, a kprobe or kretprobe program finds the registers. Both read the arguments as plain numbers. */
#define AT_ENTRY(function, handler, a, b) \
  KFUNC_PROBE(function) { return handler(peek((u64)ctx, 8 * a), peek((u64)ctx, 8 * b)); } \
  int kprobe_on_##function(void *ctx) { return handler(peek((u64)ctx, REGISTER##a), peek((u64)ctx, REGISTER##b)); }
#define AT_EXIT(function, handler) \
  KRETFUNC_PROBE(function) { return handler(); } \
  int kretprobe_on_##function(void *ctx) { return handler(); }

/* ---- stacks: a record with the frames once, then only the id ------------------------------------------------------- */

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
  if (depth == STACK_FRAMES)
    count(LOSS_STACK_CUT);
  u64 id = 0xcbf29ce484222325ULL;
  /* The loop has no early exit, and clang can't turn the index into a pointer or the mask into a branch. Otherwise the verifier would
   * take long, or give up on some kernels. Frames beyond the depth belong to an older stack, so they are masked. */
  for (u32 i = 0; i < STACK_FRAMES; i++) {
    u32 at = i;
    __asm__ __volatile__("" : "+r"(at));
    u64 below = (u64)at - depth;
    __asm__ __volatile__("" : "+r"(below));
    u64 inside = (s64)below >> 63;  /* all bits where at < depth */
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

#define DENSE 64      /* so many of the first sleeps that look alike are walked, and so many after a different stack */
#define MANY 1024     /* from so many sleeps that look alike on, stacks are walked SPARSELY times less often */
#define SPARSELY 4
#define ANY_WAKER 0xFFFFFFFFU

/* The stack of a sleep or of a wake-up. Walking a stack takes 2 to 5 us, and up to 45 us with cold caches. Where many sleeps look
 * alike, only some stacks are walked, and the sleeps between carry the id of the last stack that was. */
static inline u64 sampled_stack(void *ctx, int slot, struct walk_key *key, u32 *carried) {
  int zero = 0;
  struct settings *now = settings.lookup(&zero);
  *carried = 0;
  if (now && now->walk_every > 1) {
    struct walks blank = {}, *seen = walks.lookup_or_try_init(key, &blank);
    if (seen) {
      u32 number = seen->seen++;
      u32 every = number < MANY ? now->walk_every : now->walk_every * SPARSELY;
      if (seen->walked && number >= DENSE && number >= seen->dense_until && number % every) {
        *carried = 1;
        return seen->stack;
      }
    }
  }
  /* Nothing from above is used below, so the verifier goes through the walk once. */
  u64 id = stack_id(ctx, slot);
  struct walks *seen = walks.lookup(key);
  if (seen) {
    if (seen->walked && id != seen->stack)
      seen->dense_until = seen->seen + DENSE;
    seen->stack = id;
    seen->walked = 1;
  }
  return id;
}
