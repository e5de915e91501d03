// fan.c: the limit of a fan-out: the same bytes written to many sockets, and nothing else. A connection to /fan/G is a subscriber of group
// G, and the one to /publish says what is written: its messages go to the groups in turn, each by one send to every subscriber, at
// once. Where it joins, all messages of one read go to a subscriber by one send. Not a hub: groups have no names.
//
// Cost of a delivery: one send (2 to 8 µs on loopback); its connection's line of the cache and 2 ns of our own.
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "frames.h"

struct group {
    int *fds;
    uint32_t count, room;
    uint8_t *joined; // what is to leave when the publisher's read is dealt with
    size_t joined_count, joined_room;
};
bool joins;
static struct group *groups;
static uint32_t group_count, next_group;
// What the publisher sent and is not a whole frame yet.
static uint8_t unread[READ_BYTES];
static size_t unread_count;

static bool enter_group(int fd, uint32_t number) {
    if (number >= connection_limit) return false;
    if (number >= group_count) {
        struct group *more = realloc(groups, (number + 1) * sizeof *groups);
        if (more == NULL) return false;
        memset(more + group_count, 0, (number + 1 - group_count) * sizeof *groups);
        groups = more;
        group_count = number + 1;
    }
    struct group *g = &groups[number];
    if (g->count == g->room) {
        uint32_t room = g->room == 0 ? 4 : g->room * 2;
        int *more = realloc(g->fds, room * sizeof *g->fds);
        if (more == NULL) return false;
        g->fds = more;
        g->room = room;
    }
    g->fds[g->count++] = fd;
    connections[fd].group = number;
    connections[fd].phase = SUBSCRIBER;
    return true;
}

void leave_group(int fd) {
    struct group *g = &groups[connections[fd].group];
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->fds[i] != fd) continue;
        g->fds[i] = g->fds[--g->count];
        break;
    }
    // Who comes next is of another run, which may have fewer groups.
    while (group_count > 0 && groups[group_count - 1].count == 0) {
        free(groups[--group_count].fds);
        free(groups[group_count].joined);
    }
}

// What a subscriber's socket did not take before goes first.
static void queue(int fd, const uint8_t *bytes, size_t count) {
    struct connection *c = &connections[fd];
    uint8_t *more = realloc(c->waiting, c->waiting_count + count);
    if (more == NULL) {
        drop(fd);
        return;
    }
    memcpy(more + c->waiting_count, bytes, count);
    c->waiting = more;
    c->waiting_count += (uint32_t)count;
}

static void write_to(struct group *g, const uint8_t *bytes, size_t count) {
    // From the end: a subscriber whose socket fails leaves, and the last one takes its place.
    for (uint32_t i = g->count; i-- > 0;) {
        if (connections[g->fds[i]].waiting == NULL)
            transmit(g->fds[i], bytes, count);
        else
            queue(g->fds[i], bytes, count);
    }
}

static void fan_out(const uint8_t *frame, size_t count) {
    if (group_count == 0) return;
    struct group *g = &groups[next_group++ % group_count];
    if (!joins) {
        write_to(g, frame, count);
        return;
    }
    if (g->joined_room - g->joined_count < count) {
        g->joined_room = (g->joined_count + count) * 2;
        g->joined = realloc(g->joined, g->joined_room);
        if (g->joined == NULL) exit(1);
    }
    memcpy(g->joined + g->joined_count, frame, count);
    g->joined_count += count;
}

static void flush_groups(void) {
    for (uint32_t i = group_count; i-- > 0;) {
        if (i >= group_count || groups[i].joined_count == 0) continue;
        size_t count = groups[i].joined_count;
        groups[i].joined_count = 0;
        write_to(&groups[i], groups[i].joined, count);
    }
}

// Takes what the publisher sent; each whole frame is rewritten once, in place, and goes out.
void publish(int fd, const uint8_t *bytes, size_t count) {
    if (count > sizeof unread - unread_count) {
        drop(fd);
        return;
    }
    memcpy(unread + unread_count, bytes, count);
    unread_count += count;
    struct connection *c = &connections[fd];
    size_t at = 0;
    while (unread_count - at >= 2 && unread_count - at >= client_header_bytes(unread[at + 1])) {
        uint8_t header[LARGEST_CLIENT_HEADER];
        size_t size = client_header_bytes(unread[at + 1]);
        size_t written = rewrite_header(c, unread + at, header);
        if (written == 0 || c->is_close || c->left > sizeof unread) {
            drop(fd);
            return;
        }
        if (unread_count - at - size < c->left) break;
        unmask(unread + at + written, unread + at + size, c->left, c->key);
        memcpy(unread + at, header, written);
        fan_out(unread + at, written + c->left);
        at += size + c->left;
    }
    if (joins) flush_groups();
    memmove(unread, unread + at, unread_count - at);
    unread_count -= at;
}

bool cast(int fd, const char *head) {
    if (strncmp(head, "GET /publish ", 13) == 0) {
        connections[fd].phase = PUBLISHER;
        unread_count = 0;
        next_group = 0;
        return true;
    }
    if (strncmp(head, "GET /fan/", 9) != 0) return false;
    return enter_group(fd, (uint32_t)strtoul(head + 9, NULL, 10));
}
