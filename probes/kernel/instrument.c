/* The probes: what the kernel tells, folded per call (fold.h) and written as records (records.py). Here is what they share;
 * then come threads.c, sched.c, calls.c, data.c, poll.c and end.c, in one text, as BCC wants its programs in one file.
 *
 * Most are raw tracepoints: the cheapest hook, present without tracefs, and, unlike the perf kind, not skipped when an
 * interrupt brings another program's event while one is being handled. What no tracepoint shows is asked of functions, at
 * their entry and exit, where the kernel allows that (AT_ENTRY, AT_EXIT). All arguments are kernel pointers, so every field is
 * read at an offset that the running kernel's BTF gave (the OFF_ constants come from constants.py); no kernel header is used.
 */
#include "kernel.h"
#include "fold.h"

struct raw { u64 args[4]; };

BPF_HASH(threads, u32, struct thread, MAX_THREADS);
BPF_ARRAY(fresh_thread, struct thread, 1);  /* all zero: with a copy on it the BPF stack of 512 bytes would be full */
BPF_PERCPU_ARRAY(losses, u64, LOSSES);
BPF_PERCPU_ARRAY(hits, u64, HITS);
BPF_HASH(invitations, u64, u32, INVITATIONS);  /* cookies that nobody has said yet */
BPF_ARRAY(stopped, u32, 1);
BPF_PERCPU_ARRAY(serials, u32, 1);
BPF_RINGBUF_OUTPUT(records, RING_PAGES);

struct burst_key { u32 thread; s32 nr; u64 fd; };
BPF_HASH(bursts, struct burst_key, struct burst_record, MAX_BURSTS);
BPF_ARRAY(fresh_burst, struct burst_record, 1);  /* all zero: too big for the 512 bytes of BPF stack */

struct frames { u64 at[STACK_FRAMES]; };
BPF_PERCPU_ARRAY(stack_scratch, struct frames, 2);
BPF_TABLE("lru_hash", u64, u8, stacks_seen, 16384);

BPF_HASH(generations, u64, u32, MAX_GENERATIONS);
struct arrival { u64 first; u64 count; };
BPF_TABLE("lru_hash", u64, struct arrival, arrivals, 65536);
struct ready { u64 socket, at; };
BPF_PERCPU_ARRAY(latest_ready, struct ready, 1);
struct datagrams { u64 inode, came, taken; u64 at[WAITING]; };
BPF_TABLE("lru_hash", u64, struct datagrams, datagrams, 4096);
BPF_ARRAY(fresh_datagrams, struct datagrams, 1);  /* all zero: too big for the BPF stack, too */

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

/* Two programs for one place in a function, of which attach.py takes one: fentry (or fexit) finds the arguments in a row,
 * kprobe (or kretprobe) finds the registers. Read as plain numbers: with typed pointers the verifier lets us do little. */
#define AT_ENTRY(function, handler, a, b) \
  KFUNC_PROBE(function) { return handler(peek((u64)ctx, 8 * a), peek((u64)ctx, 8 * b)); } \
  int kprobe_on_##function(void *ctx) { return handler(peek((u64)ctx, REGISTER##a), peek((u64)ctx, REGISTER##b)); }
#define AT_EXIT(function, handler) \
  KRETFUNC_PROBE(function) { return handler(); } \
  int kretprobe_on_##function(void *ctx) { return handler(); }

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
  if (depth == STACK_FRAMES)
    count(LOSS_STACK_CUT);
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
