// What Glibc's module map leaves out: epoll, eventfd, signalfd, accept4, gathered writes.
#ifndef SIGNALBOX_CLINUX_H
#define SIGNALBOX_CLINUX_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

// accept4 is declared only under _GNU_SOURCE, which a module cannot set: the headers that it shares with Glibc's module would differ.
extern int accept4(int, struct sockaddr *, socklen_t *, int);

// RLIMIT_NOFILE is an enumerator of a type that differs between C libraries.
static inline int signalbox_descriptor_limit(struct rlimit *limit) { return getrlimit(RLIMIT_NOFILE, limit); }
static inline int signalbox_set_descriptor_limit(const struct rlimit *limit) { return setrlimit(RLIMIT_NOFILE, limit); }

#endif
