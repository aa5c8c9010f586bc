/* What kind of file a descriptor is.
 *
 * Needs struct thread (fold.h), load_arguments (arguments.c) and the accessors of kernel.h. Offers struct descriptor,
 * descriptor_of and descriptor_of_call to sums.c and calls.c. Attached: nothing. */

/* The function that closes files of that kind (file->f_op->release; 0: none), and of a socket its family, type and protocol. */
struct descriptor { u64 release; u32 socket; };

static inline u32 socket_kind(u64 file, u64 inode) {
  if ((peek16(inode, OFF_INODE_MODE) & 0170000) != 0140000 /* S_IFSOCK */)
    return 0;
  u64 sk = peek(peek(file, OFF_FILE_OBJECT), OFF_SOCKET_SK);
  return peek16(sk, OFF_SOCK_FAMILY) | (u32)(peek16(sk, OFF_SOCK_TYPE) & 255) << 8 | (u32)peek16(sk, OFF_SOCK_PROTOCOL) << 16;
}

/* Two members of struct file that are read in one piece. */
#define MEMBERS_BEGIN (OFF_FILE_OPERATIONS < OFF_FILE_INODE ? OFF_FILE_OPERATIONS : OFF_FILE_INODE)
#define MEMBERS_END (OFF_FILE_OPERATIONS < OFF_FILE_INODE ? OFF_FILE_INODE : OFF_FILE_OPERATIONS)
#define MEMBER(offset) (((offset) - MEMBERS_BEGIN) / 8)

/* The kind of a file, from the thread's entry for it if that is still valid: the file has the same operations and, if it is a
 * socket, the same inode number. The kernel uses the memory of a file again for another file; the inodes of sockets are numbered
 * one by one (fs/inode.c, get_next_ino). */
static inline struct descriptor kind_of(struct known_file *known, u64 file) {
  u64 members[MEMBER(MEMBERS_END) + 1] = {};
  bpf_probe_read_kernel(members, sizeof(members), (void *)(file + MEMBERS_BEGIN));
  u64 operations = members[MEMBER(OFF_FILE_OPERATIONS)], inode = members[MEMBER(OFF_FILE_INODE)], number = 0;
  int same = known->file == file && known->operations == operations;
  if (!same || known->socket)
    number = peek(inode, OFF_INODE_NUMBER);
  if (!same || (known->socket && known->inode != number)) {
    known->file = file;
    known->operations = operations;
    known->inode = number;
    known->release = peek(operations, OFF_RELEASE);
    known->socket = socket_kind(file, inode);
  }
  struct descriptor found = {.release = known->release, .socket = known->socket};
  return found;
}

/* The kind of a descriptor of the current task, whose thread is t. */
static inline struct descriptor descriptor_of(struct thread *t, u32 fd) {
  struct descriptor none = {.release = 0, .socket = 0};
  u64 file = file_of(fd);
  return file ? kind_of(&t->files[fd & (KNOWN_FILES - 1)], file) : none;
}

/* The kind of the descriptor of the call that the current task has just made. After close, the number means no file, or already
 * another file, so the kind was taken when the call began. */
static inline struct descriptor descriptor_of_call(struct thread *t) {
  struct descriptor closed = {.release = t->closing, .socket = t->closing_socket};
  return t->nr == NR_CLOSE ? closed : descriptor_of(t, (u32)t->args[0]);
}

static inline void close_begins(struct thread *t, u32 fd) {
  struct descriptor closed = descriptor_of(t, fd);
  t->closing = closed.release;
  t->closing_socket = closed.socket;
}
