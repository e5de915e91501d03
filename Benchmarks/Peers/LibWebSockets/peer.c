// peer.c: libwebsockets in the part of an echo server. Whole messages are gathered and sent back, one write a writeable callback, as its
// documentation wants it. Not a server to use: it waits for whoever does not read.
//
//     lws-peer ws PORT [deflate]    (0: a free one, which is printed)
#include <libwebsockets.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MESSAGE_BYTES = 1 << 20, RECEIVE_BYTES = 64 * 1024 };

// What is to be sent back, first come first, each with room for the frame's header before it.
struct message {
    struct message *next;
    size_t count;
    int is_binary;
    unsigned char bytes[];
};
struct connection {
    struct message *first, *last;
    struct message *compressing; // what the extension may still be reading from
    unsigned char *gathered;
    size_t gathered_count;
};

static volatile int ends;
static int deflates;

static void stop(int signal) {
    (void)signal;
    ends = 1;
}

static int receive(struct lws *wsi, struct connection *c, const unsigned char *bytes, size_t count) {
    const unsigned char *whole = bytes;
    size_t whole_count = count;
    if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) != 0 || c->gathered_count > 0) {
        if (c->gathered_count + count > MESSAGE_BYTES) return -1;
        unsigned char *more = realloc(c->gathered, c->gathered_count + count);
        if (more == NULL) return -1;
        memcpy(more + c->gathered_count, bytes, count);
        c->gathered = more;
        c->gathered_count += count;
        if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) != 0) return 0;
        whole = c->gathered;
        whole_count = c->gathered_count;
        c->gathered_count = 0;
    }
    struct message *message = malloc(sizeof *message + LWS_PRE + whole_count);
    if (message == NULL) return -1;
    message->next = NULL;
    message->count = whole_count;
    message->is_binary = lws_frame_is_binary(wsi);
    memcpy(message->bytes + LWS_PRE, whole, whole_count);
    if (c->last != NULL) c->last->next = message;
    else c->first = message;
    c->last = message;
    lws_callback_on_writable(wsi);
    return 0;
}

static int transmit(struct lws *wsi, struct connection *c) {
    // As many as the socket takes, and one at a time where they are compressed: this callback says that the last one is.
    do {
        free(c->compressing);
        c->compressing = c->first;
        if (c->first == NULL) return 0;
        struct message *message = c->first;
        c->first = message->next;
        if (c->first == NULL) c->last = NULL;
        enum lws_write_protocol kind = message->is_binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;
        if (lws_write(wsi, message->bytes + LWS_PRE, message->count, kind) < 0) return -1;
    } while (!deflates && !lws_send_pipe_choked(wsi));
    lws_callback_on_writable(wsi);
    return 0;
}

static int serve(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t count) {
    struct connection *c = user;
    switch (reason) {
    case LWS_CALLBACK_RECEIVE: return receive(wsi, c, in, count);
    case LWS_CALLBACK_SERVER_WRITEABLE: return transmit(wsi, c);
    case LWS_CALLBACK_CLOSED:
        while (c->first != NULL) {
            struct message *message = c->first;
            c->first = message->next;
            free(message);
        }
        free(c->compressing);
        free(c->gathered);
        return 0;
    default: return 0;
    }
}

int main(int count, char **arguments) {
    if (count < 3 || strcmp(arguments[1], "ws") != 0) {
        fprintf(stderr, "usage: lws-peer ws PORT [deflate]\n");
        return 2;
    }
    signal(SIGTERM, stop);
    deflates = count > 3;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    static const struct lws_protocols protocols[] = {
        {"http", serve, sizeof(struct connection), RECEIVE_BYTES, 0, NULL, 0}, {NULL, NULL, 0, 0, 0, NULL, 0}};
    static const struct lws_extension extensions[] = {
        {"permessage-deflate", lws_extension_callback_pm_deflate, "permessage-deflate; server_no_context_takeover"}, {NULL, NULL, NULL}};
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    lws_set_log_level(LLL_ERR, NULL);
    struct lws_context *context = lws_create_context(&info);
    if (context == NULL) return 1;
    info.port = atoi(arguments[2]);
    info.iface = "127.0.0.1";
    info.protocols = protocols;
    info.extensions = deflates ? extensions : NULL;
    struct lws_vhost *host = lws_create_vhost(context, &info);
    if (host == NULL) return 1;
    printf("listening 127.0.0.1:%d\n", lws_get_vhost_listen_port(host));
    fflush(stdout);
    while (!ends && lws_service(context, 0) >= 0) {}
    lws_context_destroy(context);
    return 0;
}
