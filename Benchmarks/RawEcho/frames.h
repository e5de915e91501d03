// frames.h: the client's frames made the server's, RFC 6455 §5. Rewrites headers and takes masks off; which bytes are a frame, the callers
// know.
#pragma once
#include <stdint.h>
#include <string.h>

#include "connection.h"

typedef uint64_t lanes __attribute__((vector_size(32)));

// Copies `count` bytes down to `target` and takes the mask off. The two may overlap as long as target <= source: every word is
// loaded before it is stored, and a store never reaches a byte that a later load wants.
static inline void unmask(uint8_t *target, const uint8_t *source, size_t count, uint8_t key[4]) {
    uint32_t narrow;
    memcpy(&narrow, key, 4);
    uint64_t wide = (uint64_t)narrow << 32 | narrow;
    size_t at = 0;
    if (count >= sizeof(lanes)) {
        lanes mask = {wide, wide, wide, wide};
        for (; at + sizeof(lanes) <= count; at += sizeof(lanes)) {
            lanes words;
            memcpy(&words, source + at, sizeof words);
            words ^= mask;
            memcpy(target + at, &words, sizeof words);
        }
    }
    for (; at + 8 <= count; at += 8) {
        uint64_t word;
        memcpy(&word, source + at, 8);
        word ^= wide;
        memcpy(target + at, &word, 8);
    }
    for (size_t phase = 0; at < count; at++, phase++) target[at] = source[at] ^ key[phase & 3];
}

static inline size_t client_header_bytes(uint8_t second) {
    uint8_t length = second & 127;
    return length < 126 ? 6 : length == 126 ? 8 : 14;
}

// Reads a whole client header and writes the server's, which may lie over it. Returns the bytes written, 0 when no client sends such.
static inline size_t rewrite_header(struct connection *c, const uint8_t *header, uint8_t *target) {
    uint8_t first = header[0], second = header[1], length = second & 127;
    if ((second & 0x80) == 0) return 0; // §5.1: a server must close when a frame is not masked
    uint8_t opcode = first & 15;
    c->is_close = opcode == 8;
    if (opcode == 9) first ^= 9 ^ 10; // §5.5.3: a ping is answered by a pong
    if (length < 126) {
        memcpy(c->key, header + 2, 4);
        c->left = length;
        target[0] = first;
        target[1] = length;
        return 2;
    }
    if (length == 126) {
        uint16_t size;
        memcpy(&size, header + 2, 2);
        memcpy(c->key, header + 4, 4);
        c->left = __builtin_bswap16(size);
        target[0] = first;
        target[1] = length;
        memcpy(target + 2, &size, 2);
        return 4;
    }
    uint64_t size;
    memcpy(&size, header + 2, 8);
    memcpy(c->key, header + 10, 4);
    c->left = __builtin_bswap64(size);
    if (c->left >> 63) return 0; // §5.2: the most significant bit must be 0
    target[0] = first;
    target[1] = length;
    memcpy(target + 2, &size, 8);
    return 10;
}
