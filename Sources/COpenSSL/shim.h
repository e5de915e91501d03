// The parts of OpenSSL that Crypto and the reactor's TLS give a Swift face to.
#ifndef SIGNALBOX_COPENSSL_H
#define SIGNALBOX_COPENSSL_H

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// Swift sees no macro that is more than a literal.
static inline int signalbox_public_key_selection(void) { return EVP_PKEY_PUBLIC_KEY; }

// A builder keeps the addresses of its parameters' names, so they must be C's literals and not Swift's copies.
static inline int signalbox_push_rsa(OSSL_PARAM_BLD *builder, const BIGNUM *n, const BIGNUM *e) {
    return OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e);
}

static inline int signalbox_push_p256(OSSL_PARAM_BLD *builder, const unsigned char *point, size_t count) {
    return OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1, 0) &&
           OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, count);
}

// TLS: what a server context is set to, one call a subject; 1 for success, as OpenSSL has it.
static inline int signalbox_set_protocols(SSL_CTX *context) {
    // No renegotiation: a peer could ask for it for ever. A missing close_notify is an end as any: HTTP and WebSocket know by themselves
    // whether something is missing. Kernel TLS where OpenSSL and the kernel both have it.
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_COMPRESSION | SSL_OP_ENABLE_KTLS);
    // Partial writes: one record, as the kernel takes it. A record that has to be offered again may lie elsewhere by then. An idle
    // session gives its buffers back: 34 KiB.
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    // A record's head and body in one read.
    SSL_CTX_set_read_ahead(context, 1);
    // Who comes back shows a ticket; nothing is kept here for it.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    // Elliptic curves only: the large finite groups let a peer buy a millisecond of ours with a handful of bytes.
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) && SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") &&
           SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
}

// RFC 7301: http/1.1 where it is offered, and no choice at all where it is not.
static inline int signalbox_choose_protocol(
    SSL *session, const unsigned char **chosen, unsigned char *length, const unsigned char *offered, unsigned int count, void *nothing) {
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *found = 0;
    (void)session, (void)nothing;
    if (SSL_select_next_proto(&found, length, ours, sizeof ours - 1, offered, count) != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_NOACK;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

// Nobody sits at the terminal: a key that wants a password is refused.
static inline int signalbox_refuse_password(char *text, int size, int writing, void *nothing) {
    (void)text, (void)size, (void)writing, (void)nothing;
    return -1;
}

static inline void signalbox_set_callbacks(SSL_CTX *context) {
    SSL_CTX_set_alpn_select_cb(context, signalbox_choose_protocol, 0);
    SSL_CTX_set_default_passwd_cb(context, signalbox_refuse_password);
}

// A peer may show a certificate of these authorities, and need not; one of others ends the handshake.
static inline int signalbox_ask_for_certificates(SSL_CTX *context, const char *file) {
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);
    if (!names) return 0;
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, 0);
    return SSL_CTX_load_verify_file(context, file);
}

// What a session may still read from its socket before it comes back to the loop: one call of OpenSSL's otherwise goes on for as long as
// the peer sends records without content.
static inline long signalbox_meter(
    BIO *bio, int operation, const char *bytes, size_t length, int number, long value, int result, size_t *count) {
    size_t *left = (size_t *)(void *)BIO_get_callback_arg(bio);
    (void)bytes, (void)length, (void)number, (void)value;
    if (operation == BIO_CB_READ && *left == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result > 0) *left = *count < *left ? *left - *count : 0;
    return result;
}

// Gives a new session its socket and its meter.
static inline int signalbox_start(SSL *session, int socket, size_t *left) {
    if (SSL_set_fd(session, socket) != 1) return 0;
    BIO *bio = SSL_get_rbio(session);
    BIO_set_callback_arg(bio, (char *)left);
    BIO_set_callback_ex(bio, signalbox_meter);
    return 1;
}

// What a client's context is set to: as a server's, but for what is a server's to choose; and no server is believed without a certificate.
static inline int signalbox_set_client(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_COMPRESSION | SSL_OP_ENABLE_KTLS);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(context, signalbox_refuse_password);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, 0);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) && SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
}

// Whose certificate is wanted: an address (RFC 9110 §4.3.5), or else a name, which the server is told (RFC 6066 §3: no address is).
static inline int signalbox_expect(SSL *session, const char *host) {
    X509_VERIFY_PARAM *wanted = SSL_get0_param(session);
    if (X509_VERIFY_PARAM_set1_ip_asc(wanted, host) == 1) return 1;
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(wanted, host, 0) == 1 && SSL_set_tlsext_host_name(session, host) == 1;
}

// Whether the kernel enciphers what this session sends.
static inline int signalbox_kernel_sends(SSL *session) { return BIO_get_ktls_send(SSL_get_wbio(session)) > 0; }

static inline int signalbox_error_reason(unsigned long code) { return ERR_GET_REASON(code); }

#endif
