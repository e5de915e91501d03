// transport.c: recv and send, and what OpenSSL makes of them. The TLS side is what a plain C program does: one SSL a connection on its
// own socket, read ahead so that a record costs one recv, one SSL_write a readiness. No tickets are looked at, no kernel TLS is asked for.
//
// Cost of a TLS message of 64 bytes: the recv and the send, and some 2 µs of OpenSSL's for one record in and one out.
#define _GNU_SOURCE
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "connection.h"
#include "transport.h"

static SSL_CTX *context;
static SSL **sessions; // by descriptor

bool secure(const char *certificate, const char *key) {
    context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        return false;
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    sessions = mmap(NULL, connection_limit * sizeof *sessions, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return sessions != MAP_FAILED;
}

void begin_transport(int fd) {
    if (context == NULL) return;
    sessions[fd] = SSL_new(context);
    if (sessions[fd] == NULL) exit(1);
    SSL_set_fd(sessions[fd], fd);
    SSL_set_accept_state(sessions[fd]);
}

void end_transport(int fd) {
    if (context == NULL) return;
    SSL_free(sessions[fd]);
    sessions[fd] = NULL;
}

// What a call that gave nothing means, as recv and send would have it.
static ssize_t failure(int fd, int result) {
    int kind = SSL_get_error(sessions[fd], result);
    ERR_clear_error();
    if (kind == SSL_ERROR_ZERO_RETURN) return 0;
    // A handshake's flight fits the empty buffer of a new socket, so that no write of it has to be waited for.
    errno = kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

ssize_t take(int fd, uint8_t *bytes, size_t count) {
    if (context == NULL) return recv(fd, bytes, count, 0);
    size_t taken = 0;
    do {
        int got = SSL_read(sessions[fd], bytes + taken, (int)(count - taken));
        if (got <= 0) return taken > 0 ? (ssize_t)taken : failure(fd, got);
        taken += (size_t)got;
        // What was read ahead raises no readiness.
    } while (taken < count && SSL_has_pending(sessions[fd]));
    return (ssize_t)taken;
}

ssize_t give(int fd, const uint8_t *bytes, size_t count) {
    if (context == NULL) return send(fd, bytes, count, MSG_NOSIGNAL);
    size_t given = 0;
    while (given < count) {
        int put = SSL_write(sessions[fd], bytes + given, (int)(count - given));
        if (put <= 0) return given > 0 ? (ssize_t)given : failure(fd, put);
        given += (size_t)put; // a record, 16 KiB at most
    }
    return (ssize_t)given;
}
