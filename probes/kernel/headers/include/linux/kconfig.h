/* BCC force-includes this file ahead of every program; its own helpers.h asks for these two options. */
#pragma once
#define CONFIG_BPF_SYSCALL 1
#define CONFIG_BPF_EVENTS 1
