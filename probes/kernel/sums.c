/* Sums: each call and each sleep is added to a row, exact for the whole recording, however few details are kept.
 *
 * Needs the maps and helpers of instrument.c and kernel.h. Offers wants_details to threads.c and calls.c, sum_call and sum_burst to
 * calls.c, sum_sleep to sched.c, sum_unlisted to calls.c. Attached: nothing.
 *
 * Only the thread itself adds to its own rows, so plain additions are exact. The threads of the account OTHERS share their rows,
 * and so do rows for which the table has no room: additions to them are atomic. */

#define ADD(row, field, number) \
  do { \
    if (shared) add_to_u64(&(row)->field, number); \
    else (row)->field += (number); \
  } while (0)
#define ADD_TO_BUCKET(row, index, number) \
  do { \
    u32 *bucket = &(row)->buckets[(index) & (SUM_BUCKETS - 1)]; \
    if (shared) add_to_u32(bucket, number); \
    else *bucket += (number); \
  } while (0)

/* Are the thread's next call, and its sleeps until the end of that call, recorded one by one? */
static inline u32 wants_details(struct thread *t) {
  int zero = 0;
  struct settings *now = settings.lookup(&zero);
  return now && now->details && t->account != OTHERS;
}

static inline u32 facts_of(s64 nr) {
  u32 at = nr;
  u32 *facts = nr >= 0 && nr < CALL_NUMBERS ? call_facts.lookup(&at) : 0;
  return facts ? *facts : 0;
}

/* ---- calls ---- */

struct sum_place { struct sum_record *row; int shared; };

static inline struct sum_place sum_row(struct sum_key *key) {
  struct sum_place place = {.row = 0, .shared = 0};
  int zero = 0;
  struct sum_record *blank = fresh_sum.lookup(&zero);
  if (!blank)
    return place;
  if (key->thread != OTHERS)
    place.row = sums.lookup_or_try_init(key, blank);
  if (!place.row) {
    key->thread = OTHERS;
    place.shared = 1;
    place.row = shared_sums.lookup_or_try_init(key, blank);
    if (!place.row)
      count(LOSS_SUMS_FULL);
  }
  return place;
}

/* Did the call ask for more bytes than it moved? Only for calls whose third argument says how many. */
static inline int is_short(struct thread *t, u32 facts, s64 ret) {
  return facts & FACT_ASKED && ret > 0 && (u64)ret < t->args[2];
}

static inline s32 outcome_of(struct thread *t, u32 facts, s64 ret, u32 flags) {
  if (flags & (CALL_OPEN | CALL_NO_RETURN))
    return flags & CALL_OPEN ? OUTCOME_OPEN : OUTCOME_NO_RETURN;
  if (ret <= 0 && ret > -4096)
    return ret;
  return is_short(t, facts, ret) ? OUTCOME_SHORT : OUTCOME_DONE;
}

/* A call with MSG_PEEK (2) leaves the data in the socket, so the data is counted when a later call takes it. */
static inline u64 bytes_of(struct thread *t, u32 facts, s64 ret, u32 flags) {
  u64 peeks = facts & FACT_FLAGS_IN_3 ? t->args[3] : facts & FACT_FLAGS_IN_2 ? t->args[2] : 0;
  return facts & FACT_BYTES && ret > 0 && !(flags & (CALL_OPEN | CALL_NO_RETURN)) && !(peeks & 2) ? ret : 0;
}

/* Adds a call that has its arguments. `itself`: the call is the current task's. Returns what kind of file the call's descriptor is;
 * 0 if that is not known. */
static inline struct descriptor sum_call(struct thread *t, int itself, s64 ret, u32 flags, u64 now) {
  u32 facts = facts_of(t->nr);
  struct descriptor behind = {.release = 0, .socket = 0};
  if (itself && facts & FACT_DESCRIPTOR)
    behind = descriptor_of_call(t);
  struct sum_key key = {.thread = t->account, .nr = t->nr, .outcome = outcome_of(t, facts, ret, flags),
                        .socket = behind.socket, .release = behind.release};
  struct sum_place place = sum_row(&key);
  struct sum_record *row = place.row;
  int shared = place.shared;
  u64 total = now - t->enter;
  if (!row)
    return behind;
  ADD(row, count, 1);
  ADD(row, bytes, bytes_of(t, facts, ret, flags));
  ADD(row, total, total);
  if (total > row->longest)
    row->longest = total;
  ADD_TO_BUCKET(row, bucket_of(total), 1);
  if (!t->touched)
    return behind;  /* all of the others are 0 */
  ADD(row, wait, t->in.wait);
  ADD(row, delay, t->in.delay);
  ADD(row, preempted, t->in.preempted);
  ADD(row, copy, t->copy);
  ADD(row, sleeps, t->in.sleeps);
  ADD(row, preemptions, t->in.preemptions);
  ADD(row, polled, t->polled);
  ADD(row, queued, t->queued);
  ADD(row, unqueued, t->unqueued);
  return behind;
}

/* Adds a burst, when it ends. */
static inline void sum_burst(struct thread *t, struct burst_record *burst) {
  struct sum_key key = {.thread = t->account, .nr = burst->nr, .outcome = burst->ret > 0 ? OUTCOME_DONE : burst->ret,
                        .socket = burst->socket, .release = burst->release};
  struct sum_place place = sum_row(&key);
  struct sum_record *row = place.row;
  int shared = place.shared;
  if (!row)
    return;
  ADD(row, count, burst->count);
  ADD(row, total, burst->total);
  ADD(row, delay, burst->delay);
  ADD(row, preempted, burst->preempted);
  ADD(row, preemptions, burst->preemptions);
  ADD(row, polled, burst->polled);
  ADD(row, queued, burst->queued);
  ADD(row, unqueued, burst->unqueued);
  if (burst->longest > row->longest)
    row->longest = burst->longest;
  if (burst->count == 1) {
    ADD_TO_BUCKET(row, bucket_of(burst->longest), 1);
    return;
  }
  /* Two buckets at once, without a branch between them: the verifier goes through straight code once. A row has less than 2^32
   * calls in a bucket, or its histogram is wrong. */
  u64 *to = (u64 *)row->buckets, *from = (u64 *)burst->buckets;
  if (shared) {
#pragma unroll
    for (u32 i = 0; i < BURST_BUCKETS / 2; i++)
      add_to_u64(&to[i], from[i]);
  } else {
#pragma unroll
    for (u32 i = 0; i < BURST_BUCKETS / 2; i++)
      to[i] += from[i];
  }
}

/* ---- sleeps ---- */

static inline void sum_sleep(struct thread *t, u32 flags) {
  struct sleep_sum_key key = {.thread = t->account, .nr = t->where == IN_CALL ? (s32)t->nr : -1,
                              .flags = flags & (SLEEP_OUTSIDE | SLEEP_OPEN | SLEEP_UNSEEN), .waker = t->unseen ? 0 : t->waker,
                              .stack = t->stack, .waker_stack = t->unseen ? 0 : t->waker_stack};
  int zero = 0, shared = 0;
  struct sleep_sum_record *blank = fresh_sleep_sum.lookup(&zero), *row = 0;
  if (!blank)
    return;
  if (key.thread != OTHERS)
    row = sleep_sums.lookup_or_try_init(&key, blank);
  if (!row) {  /* without the wakers, of which there are many: each task that an interrupt met has a stack of its own */
    key.thread = OTHERS;
    key.waker = 0;
    key.waker_stack = 0;
    key.flags |= SLEEP_UNSEEN;
    shared = 1;
    row = shared_sleep_sums.lookup_or_try_init(&key, blank);
  }
  if (!row) {
    count(LOSS_SUMS_FULL);
    return;
  }
  u64 wait = t->woke - t->off_at, delay = t->on_at > t->woke ? t->on_at - t->woke : 0;
  if (!row->count)
    bpf_probe_read_kernel(row->waker_comm, sizeof(row->waker_comm), t->waker_comm);
  ADD(row, count, 1);
  ADD(row, wait, wait);
  ADD(row, delay, delay);
  ADD(row, walked, !(flags & SLEEP_QUEUE_CARRIED));
  ADD(row, waker_walked, !(flags & SLEEP_WAKER_CARRIED));
  if (wait > row->longest)
    row->longest = wait;
  ADD_TO_BUCKET(row, bucket_of(wait), 1);
}

/* ---- threads ---- */

/* The end of a thread of the account OTHERS. */
static inline void sum_unlisted(struct thread *t, u64 now) {
  int zero = 0, shared = 1;
  struct others_record *row = unlisted.lookup(&zero);
  if (!row)
    return;
  ADD(row, threads, 1);
  ADD(row, wall, now - t->born);
  ADD(row, made, t->made);
  ADD(row, wait, t->inside.wait + t->out.wait);
  ADD(row, delay, t->inside.delay + t->out.delay);
  ADD(row, preempted, t->inside.preempted + t->out.preempted);
  ADD(row, copy, t->inside_copy + t->birth_copy);
  ADD(row, kernel, t->inside_total - off_cpu(&t->inside) - t->inside_copy + t->birth);
  ADD(row, sleeps, (u64)t->inside.sleeps + t->out.sleeps);
  ADD(row, preemptions, (u64)t->inside.preemptions + t->out.preemptions);
}
