// RawEcho: the limit of the machine. One thread, level-triggered epoll, one recv and one send a readiness: what this kernel gives
// to a WebSocket echo server that does nothing else, or to one that writes what one connection says to all the others. It is a
// yardstick, not a server to use: it trusts its peer, knows no limits and no fragments, and times nobody out. RFC 6455 §4.2.2
// (handshake) and §5 (frames).
//
// Cost of a message of 64 bytes: one recv and one send (about 2 µs each on loopback) and 20 ns of our own; nothing is allocated
// unless a socket is full. The kernel dominates, so frames are rewritten in place in the receive buffer and leave in one send. A
// message that is fanned out costs one send of the same bytes for each subscriber.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connection.h"
#include "frames.h"
#include "transport.h"

enum {
    // A header of at most 14 bytes that began in an earlier read is written anew before the bytes of this one: by that much, and no
    // more, the output may begin before the input.
    HEADROOM = 16,
    HEAD_BYTES = 8192, // a request for the upgrade longer than this is refused
    EVENTS = 1024,
};

struct connection *connections;
size_t connection_limit;
static int poller;
static bool fans_out; // what connections are for: fan.c, otherwise an echo
static uint8_t storage[HEADROOM + READ_BYTES + 64] __attribute__((aligned(64)));
static uint8_t *const received = storage + HEADROOM;

// ---------------------------------------------------------------------------------------------------------------- closing, output

static void watch(int fd, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poller, operation, fd, &event) != 0) {
        perror("epoll_ctl");
        exit(1);
    }
}

void drop(int fd) {
    struct connection *c = &connections[fd];
    if (c->phase == SUBSCRIBER) leave_group(fd);
    free(c->waiting);
    free(c->head);
    memset(c, 0, sizeof *c);
    end_transport(fd);
    close(fd);
}

void transmit(int fd, const uint8_t *bytes, size_t count) {
    ssize_t sent = give(fd, bytes, count);
    if (sent == (ssize_t)count) return;
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            drop(fd);
            return;
        }
        sent = 0;
    }
    struct connection *c = &connections[fd];
    c->waiting_count = (uint32_t)(count - (size_t)sent);
    c->waiting_start = 0;
    c->waiting = malloc(c->waiting_count);
    if (c->waiting == NULL) {
        drop(fd);
        return;
    }
    memcpy(c->waiting, bytes + sent, c->waiting_count);
    watch(fd, EPOLL_CTL_MOD, EPOLLOUT); // no reading before this is gone: a connection never holds more than one read's worth
}

static void resume(int fd) {
    struct connection *c = &connections[fd];
    ssize_t sent = give(fd, c->waiting + c->waiting_start, c->waiting_count - c->waiting_start);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) drop(fd);
        return;
    }
    c->waiting_start += (uint32_t)sent;
    if (c->waiting_start < c->waiting_count) return;
    free(c->waiting);
    c->waiting = NULL;
    c->waiting_count = c->waiting_start = 0;
    if (c->phase == CLOSING)
        drop(fd);
    else
        watch(fd, EPOLL_CTL_MOD, EPOLLIN);
}

// ------------------------------------------------------------------------------------------------------------------------ frames

static void turn(uint8_t key[4], size_t count) {
    uint8_t old[4];
    memcpy(old, key, 4);
    for (size_t i = 0; i < 4; i++) key[i] = old[(i + count) & 3];
}

// Rewrites what came into what goes back, in place. Returns the end of the output, NULL on a bad frame.
static uint8_t *rewrite(struct connection *c, uint8_t *source, size_t count, uint8_t *target) {
    uint8_t *end = source + count;
    for (;;) {
        if (c->left > 0) {
            size_t size = (size_t)(end - source);
            if (size > c->left) size = (size_t)c->left;
            unmask(target, source, size, c->key);
            source += size;
            target += size;
            c->left -= size;
            if (c->left > 0) {
                turn(c->key, size);
                return target;
            }
            if (c->is_close) {
                c->phase = CLOSING;
                return target;
            }
        }
        size_t room = (size_t)(end - source);
        if (room == 0) return target;
        size_t written;
        if (c->header_count == 0 && room >= 2 && room >= client_header_bytes(source[1])) {
            size_t size = client_header_bytes(source[1]);
            written = rewrite_header(c, source, target);
            source += size;
        } else { // the header was cut by the end of a read
            while (c->header_count < 2 || c->header_count < client_header_bytes(c->header[1])) {
                if (source == end) return target;
                c->header[c->header_count++] = *source++;
            }
            written = rewrite_header(c, c->header, target);
            c->header_count = 0;
        }
        if (written == 0) return NULL;
        target += written;
        if (c->left == 0 && c->is_close) {
            c->phase = CLOSING;
            return target;
        }
    }
}

static void stream(int fd, uint8_t *bytes, size_t count) {
    struct connection *c = &connections[fd];
    // The output begins early when a header was cut: it could overtake the input otherwise.
    uint8_t *start = c->header_count == 0 ? bytes : bytes - HEADROOM;
    uint8_t *end = rewrite(c, bytes, count, start);
    if (end == NULL) {
        drop(fd);
        return;
    }
    bool closing = c->phase == CLOSING;
    if (end > start) transmit(fd, start, (size_t)(end - start));
    if (closing && c->phase == CLOSING && c->waiting == NULL) drop(fd);
}

// --------------------------------------------------------------------------------------------------------------------- handshake

// The value of a header field, or NULL. Good enough for a client of our own; not a parser.
static const char *field(const char *head, const char *name) {
    size_t size = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, size) != 0 || line[size] != ':') continue;
        line += size + 1;
        while (*line == ' ') line++;
        return line;
    }
    return NULL;
}

static void answer(int fd, uint8_t *bytes, size_t count) {
    struct connection *c = &connections[fd];
    size_t before = c->head_count, room = HEAD_BYTES - before, size = count < room ? count : room;
    if (c->head == NULL) c->head = malloc(HEAD_BYTES + 1);
    if (c->head == NULL) {
        drop(fd);
        return;
    }
    memcpy(c->head + before, bytes, size);
    c->head_count += (uint32_t)size;
    c->head[c->head_count] = 0;
    char *head = (char *)c->head;
    char *end = strstr(head, "\r\n\r\n");
    if (end == NULL) {
        if (c->head_count == HEAD_BYTES) drop(fd);
        return;
    }
    const char *key = field(head, "sec-websocket-key");
    if (key == NULL || strcspn(key, " \r") != 24) {
        static const char refusal[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        (void)give(fd, (const uint8_t *)refusal, sizeof refusal - 1);
        drop(fd);
        return;
    }
    // §4.2.2: base64 of SHA-1 of the key and this one text.
    uint8_t text[60], digest[SHA_DIGEST_LENGTH], accept[32], response[256];
    memcpy(text, key, 24);
    memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    SHA1(text, sizeof text, digest);
    EVP_EncodeBlock(accept, digest, sizeof digest);
    int length = snprintf((char *)response, sizeof response,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                        accept);
    size_t used = (size_t)(end + 4 - head) - before; // frames may follow the request in the same read
    c->phase = STREAM;
    if (fans_out && !cast(fd, head)) {
        drop(fd);
        return;
    }
    free(c->head);
    c->head = NULL;
    c->head_count = 0;
    transmit(fd, response, (size_t)length);
    if (used < count && c->phase == STREAM && c->waiting == NULL) stream(fd, bytes + used, count - used);
}

// -------------------------------------------------------------------------------------------------------------------------- loop

static void accept_all(int listener) {
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        if ((size_t)fd >= connection_limit) {
            close(fd);
            return;
        }
        connections[fd].phase = HANDSHAKE;
        begin_transport(fd);
        watch(fd, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void ready(int fd, uint32_t events) {
    struct connection *c = &connections[fd];
    if (c->waiting != NULL) {
        if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) resume(fd);
        return;
    }
    ssize_t count = take(fd, received, READ_BYTES);
    if (count <= 0) {
        if (count == 0 || (errno != EAGAIN && errno != EINTR)) drop(fd);
        return;
    }
    switch (c->phase) {
    case STREAM: stream(fd, received, (size_t)count); break;
    case PUBLISHER: publish(fd, received, (size_t)count); break;
    case SUBSCRIBER: break; // says nothing that matters
    default: answer(fd, received, (size_t)count);
    }
}

static int listen_on(int port) {
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (port != 0) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one); // several processes may share a port that was named
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); // accepted sockets inherit it
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        perror("listen");
        exit(1);
    }
    printf("listening 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void leave(int signal) {
    (void)signal;
    _exit(0);
}

static int usage(void) {
    fprintf(stderr, "usage: raw-echo ws|fan|join PORT | tls PORT CERTIFICATE KEY    (port 0: a free one, which is printed)\n");
    return 2;
}

int main(int count, char **arguments) {
    if (count < 3) return usage();
    const char *part = arguments[1];
    char *rest = NULL;
    long port = strtol(arguments[2], &rest, 10);
    bool secures = strcmp(part, "tls") == 0;
    joins = strcmp(part, "join") == 0;
    fans_out = joins || strcmp(part, "fan") == 0;
    if (count != (secures ? 5 : 3) || !(secures || fans_out || strcmp(part, "ws") == 0)) return usage();
    if (port < 0 || port > 65535 || rest == arguments[2] || *rest != 0) return usage();
    signal(SIGTERM, leave);
    signal(SIGINT, leave);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    connection_limit = limit.rlim_max < 1048576 ? (size_t)limit.rlim_max : 1048576;
    // Zeroed pages, which become real only where a connection is: the weight of idle connections is to show as such.
    connections = mmap(NULL, connection_limit * sizeof *connections, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (connections == MAP_FAILED || poller < 0) return 1;
    if (secures && !secure(arguments[3], arguments[4])) return 1;
    int listener = listen_on((int)port);
    watch(listener, EPOLL_CTL_ADD, EPOLLIN);
    static struct epoll_event events[EVENTS];
    for (;;) {
        int waiting = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < waiting; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                accept_all(listener);
            else if (connections[fd].phase != CLOSED) // dropped earlier in this round otherwise
                ready(fd, events[i].events);
        }
    }
}
