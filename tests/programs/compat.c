/* compat COOKIE: on x86_64, getpid of the 32-bit ABI (number 20, which is writev in the other), 7 times. */
#include "marker.h"

int main(int argc, char **argv) {
  follow_me(argv[1]);
#ifdef __x86_64__
  for (int i = 0; i < 7; i++) {
    int number = 20;
    __asm__ volatile("int $0x80" : "+a"(number) : : "memory", "r8", "r9", "r10", "r11");
    if (number != getpid()) return 1;
  }
#endif
  return 0;
}
