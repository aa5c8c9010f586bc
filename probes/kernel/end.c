/* The end of a recording: the last records of each thread that lives on.
 *
 * Needs report_sleep (sched.c), report_call and report_totals (calls.c). Offers nothing to others. No event runs on_end: the
 * instrument runs it once for each thread, by BPF_PROG_TEST_RUN, after `stopped` was set. The thread's state can't be used
 * afterwards. */

/* on_end(tid, end) */
int on_end(struct raw *ctx) {
  u32 tid = (u32)ctx->args[0];
  u64 now = ctx->args[1];
  struct thread *t = threads.lookup(&tid);
  if (!t)
    return 0;
  /* A program that had begun before `end` may have reported an event a moment after it. */
  if (now < t->enter) now = t->enter;
  if (now < t->off_at) now = t->off_at;
  if (now < t->on_at) now = t->on_at;
  struct phases *p = t->where == IN_USER ? &t->out : &t->in;
  u64 off = now - t->off_at;
  t->touched = 1;
  t->copy_at = 0;  /* a copy that has not ended counts as kernel */
  if (t->off == ASLEEP) {
    p->wait += off;
    p->sleeps++;
    t->unseen = t->early = 0;
    t->woke = now;
    report_sleep(t, now, SLEEP_OPEN);
  } else if (t->off == PREEMPTED) {
    p->preempted += off;
  } else if (t->off == NEWBORN) {
    p->delay += off;
  }
  if (t->where == IN_CALL) {
    fold_exit(t, IN_CALL, now);
    report_call(t, 0, 0, CALL_OPEN, now);
  } else if (t->where == IN_BIRTH) {
    fold_exit(t, IN_BIRTH, now);
  }
  return report_totals(t, now, 0, 0);
}
