/* BCC sizes ring buffers in pages of this many bytes; the ring's own pages are the kernel's. */
#pragma once
#ifndef PAGE_SIZE
#define PAGE_SIZE 4096
#endif
