/* counts COUNT COOKIE: COUNT system calls that succeed, as fast as they go. */
#include "marker.h"
#include <sys/syscall.h>

int main(int argc, char **argv) {
  long count = atol(argv[1]);
  follow_me(argv[2]);
  for (long i = 0; i < count; i++) syscall(SYS_getppid);
  return 0;
}
