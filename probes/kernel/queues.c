/* Data of AF_UNIX and MPTCP sockets: when it arrived, for the call that reads it.
 *
 * Needs the maps and helpers of instrument.c, first_argument and load_arguments_now (arguments.c), facts_of (sums.c), the sockets
 * (sockets.c). Offers queue_arrived to data.c, queue_read to calls.c. Attached: nothing.
 *
 * The kernel reports an arrival (sk_data_ready), but not which socket a copy was made from. So the socket is found at the end of a
 * call that copied data, by the call's descriptor. Then another arrival may be in the queue already.
 *
 * What a process sends to itself through a socketpair wakes one of its own threads (asyncio, for example), and is no message. */

BPF_ARRAY(queue_entries, u64, 1);  /* how many entries were made */

/* The data is in the receive queue of a socket that is neither TCP nor UDP. */
static inline int queue_arrived(u64 sk, u32 protocol, u64 now) {
  if (peek16(sk, OFF_SOCK_FAMILY) != AF_UNIX && protocol != IPPROTO_MPTCP)
    return 0;
  u64 inode = socket_inode(sk);
  u32 writer = bpf_get_current_pid_tgid() >> 32;
  struct queue_arrival *seen = queue_arrivals.lookup(&sk);
  if (seen && (seen->inode == inode || !seen->inode)) {
    seen->inode = inode;
    seen->latest = now;
    seen->writer = !seen->first || seen->writer == writer ? writer : 0;
    if (!seen->first)
      seen->first = now;
    seen->count++;
    return 0;
  }
  int zero = 0;
  u64 *made = queue_entries.lookup(&zero);
  struct queue_arrival fresh = {.inode = inode, .first = now, .latest = now, .count = 1, .writer = writer};
  queue_arrivals.update(&sk, &fresh);
  if (made)
    __sync_fetch_and_add(made, 1);
  return 0;
}

/* No entry: the data came before the recording; or the entry was evicted, if the table may have been full. */
static inline void entry_missing(void) {
  int zero = 0;
  u64 *made = queue_entries.lookup(&zero);
  if (made && *made >= MAX_QUEUE_SOCKETS / 4 * 3)
    count(LOSS_ARRIVAL);
}

/* The call has read all that had arrived before `latest`. What has arrived meanwhile waits for the next call. */
static inline void queue_drained(struct queue_arrival *seen, u64 sk, u64 latest) {
  seen->first = 0;
  if (seen->latest != latest || peek32(sk, OFF_SOCK_QUEUE_LENGTH))  /* an arrival, perhaps between the two lines */
    seen->first = seen->latest;
}

static inline int is_to_itself(u64 sk, u32 writer) {
  if (writer != (u32)(bpf_get_current_pid_tgid() >> 32) || !HAS_UNIX || peek16(sk, OFF_SOCK_FAMILY) != AF_UNIX)
    return 0;
  u64 peer = peek(sk, OFF_UNIX_PEER);
  return !peek(sk, OFF_UNIX_ADDRESS) && !(peer && peek(peer, OFF_UNIX_ADDRESS));
}

/* A reading call has ended that copied from a socket which no other probe named. Returns 1 if the socket was not reported yet. */
static inline int queue_read(struct thread *t, s64 ret, u64 now) {
  u64 sk = ret > 0 ? socket_of_file(file_of((u32)first_argument(t))) : 0;
  if (!sk)
    return 0;
  u32 type = type_of(sk), facts = facts_of(t->nr);
  if ((type & 255) != AF_UNIX && type >> 16 != IPPROTO_MPTCP)
    return 0;
  load_arguments_now(t);
  u64 flags = facts & FACT_FLAGS_IN_3 ? t->args[3] : facts & FACT_FLAGS_IN_2 ? t->args[2] : 0, inode = socket_inode(sk);
  int unknown = !sockets.lookup(&sk);
  struct queue_arrival *seen = queue_arrivals.lookup(&sk);
  if (flags & 2 /* MSG_PEEK */)
    return unknown;
  if (!seen || !seen->first || (seen->inode && seen->inode != inode)) {
    if (!seen)
      entry_missing();
    return unknown;
  }
  u64 latest = seen->latest;
  u32 left = peek32(sk, OFF_SOCK_QUEUE_LENGTH), stream = (type >> 8 & 255) == 1 /* SOCK_STREAM */;
  /* A read of a stream that returned less than it asked for had emptied the queue. */
  int drained = !left || (stream && facts & FACT_ASKS && (u64)ret < t->args[2]);
  if (!is_to_itself(sk, seen->writer)) {
    hit(HIT_READY);
    t->socket = socket_name(sk, 0, inode);
    t->ready = seen->first;
    t->latest = latest > now ? 0 : latest;
    t->arrivals = seen->count;
    t->drained = drained;
    t->unread = drained ? 0 : first_buffer(sk, type);
  }
  seen->count = 0;
  if (drained)
    queue_drained(seen, sk, latest);
  return unknown;
}
