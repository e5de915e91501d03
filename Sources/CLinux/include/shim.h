// What Glibc's module map leaves out: epoll, eventfd, signalfd, accept4, gathered writes.
#ifndef SIGNALBOX_CLINUX_H
#define SIGNALBOX_CLINUX_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
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
extern int memfd_create(const char *, unsigned int);
extern int pipe2(int *, int);

// A file without a name, in memory, closed on exec; MFD_CLOEXEC is 1.
static inline int signalbox_memory_file(void) { return memfd_create("signalbox", 1); }

// The variables of this process; whoever changes them is not asked.
static inline char **signalbox_environment(void) { return __environ; }

// A pipe whose end for reading does not block, both closed on exec. Whoever writes to it is another program, and used to waiting.
static inline int signalbox_pipe(int *ends) {
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) == -1 ? -1 : 0;
}

// RLIMIT_NOFILE is an enumerator of a type that differs between C libraries.
static inline int signalbox_descriptor_limit(struct rlimit *limit) { return getrlimit(RLIMIT_NOFILE, limit); }
static inline int signalbox_set_descriptor_limit(const struct rlimit *limit) { return setrlimit(RLIMIT_NOFILE, limit); }

// Control messages are read and written by macros, which a module does not carry over.
enum { SIGNALBOX_DESCRIPTORS_MAX = 253 };

// Sends one message with descriptors beside it; at most SIGNALBOX_DESCRIPTORS_MAX.
static inline ssize_t signalbox_send_descriptors(int channel, const void *bytes, size_t length, const int *descriptors, size_t count) {
    union { char room[CMSG_SPACE(SIGNALBOX_DESCRIPTORS_MAX * sizeof(int))]; struct cmsghdr alignment; } control;
    struct iovec slice = {(void *)bytes, length};
    struct msghdr message = {0};
    message.msg_iov = &slice;
    message.msg_iovlen = 1;
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
    }
    return sendmsg(channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Receives one message, and the descriptors beside it, which are the caller's then and closed on exec. `isWhole` is 0 where something of it
// did not fit.
static inline ssize_t signalbox_receive_descriptors(
    int channel, void *bytes, size_t length, int *descriptors, size_t *count, int *isWhole) {
    union { char room[CMSG_SPACE(SIGNALBOX_DESCRIPTORS_MAX * sizeof(int))]; struct cmsghdr alignment; } control;
    struct iovec slice = {bytes, length};
    struct msghdr message = {0};
    message.msg_iov = &slice;
    message.msg_iovlen = 1;
    message.msg_control = control.room;
    message.msg_controllen = sizeof control.room;
    *count = 0;
    *isWhole = 1;
    ssize_t received = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (received < 0) return received;
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) *isWhole = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (*count + here > SIGNALBOX_DESCRIPTORS_MAX) here = SIGNALBOX_DESCRIPTORS_MAX - *count;
        memcpy(descriptors + *count, CMSG_DATA(header), here * sizeof(int));
        *count += here;
    }
    return received;
}

// Who listens, or connected, at the other end of a unix socket. struct ucred is declared only under _GNU_SOURCE, as accept4 is.
static inline int signalbox_peer_user(int channel, uid_t *user) {
    struct { pid_t process; uid_t user; gid_t group; } credentials;
    socklen_t size = sizeof credentials;
    int result = getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
    if (result == 0) *user = credentials.user;
    return result;
}

#endif
