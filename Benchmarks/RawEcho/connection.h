// connection.h: what RawEcho knows of a connection, and what its files call of each other. Not how a connection is opened or read:
// main.c.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    READ_BYTES = 256 * 1024,
    LARGEST_CLIENT_HEADER = 14,
};

enum phase { CLOSED = 0, HANDSHAKE, STREAM, CLOSING, SUBSCRIBER, PUBLISHER };

// Sixty-four bytes, one line of the cache, found by descriptor.
struct connection {
    uint64_t left;                         // payload bytes of the current frame that are still to come
    uint8_t *waiting;                      // bytes that the socket did not take; while there are any, nothing is read
    uint8_t *head;                         // the beginning of a request that came in pieces
    uint32_t waiting_count, waiting_start; // in bytes
    uint32_t head_count;
    uint8_t phase;                         // enum phase
    uint8_t header_count;                  // bytes of `header` that came so far
    uint8_t is_close;                      // whether the current frame is a close frame
    uint8_t key[4];                        // masking key, turned so that key[0] is due next
    union {
        uint8_t header[LARGEST_CLIENT_HEADER];
        uint32_t group; // of a subscriber, whose frames nobody reads
    };
} __attribute__((aligned(64)));

// By descriptor, as many as this process may have.
extern struct connection *connections;
extern size_t connection_limit;

// Closes a connection and forgets it.
void drop(int fd);
// Sends, or keeps what the socket does not take; nothing may be waiting already.
void transmit(int fd, const uint8_t *bytes, size_t count);

// Whether publications that came in one read leave in one send to each subscriber.
extern bool joins;
// Gives a connection its part in the fan-out by the head of its request; false where there is none for it.
bool cast(int fd, const char *head);
// Takes what the publisher sent.
void publish(int fd, const uint8_t *bytes, size_t count);
// A subscriber is about to be dropped.
void leave_group(int fd);
