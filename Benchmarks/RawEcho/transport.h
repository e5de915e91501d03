// transport.h: how bytes come and go: by the socket as they are, or through OpenSSL. Nothing of what they say.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Makes all connections speak TLS, with a certificate and its key in PEM files; false when these will not do.
bool secure(const char *certificate, const char *key);
// A connection was accepted, or is about to be closed.
void begin_transport(int fd);
void end_transport(int fd);
// As recv and send: what could be had or given at once, -1 with errno EAGAIN for nothing yet.
ssize_t take(int fd, uint8_t *bytes, size_t count);
ssize_t give(int fd, const uint8_t *bytes, size_t count);
