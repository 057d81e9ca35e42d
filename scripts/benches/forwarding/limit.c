/* The least that forwarding can cost: no ICE, no DTLS, no RTCP, no tables but one, and never back to Python.
 *
 * recvmmsg; srtp_unprotect once; for each listener a copy with his SSRC, srtp_protect with his keys; one sendmmsg.
 * libsrtp comes as function pointers, so that it is the very library the worker uses.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 128, OUT = 1024, SIZE = 1600 };

typedef int (*transform)(void *session, void *packet, int *length);

struct listener {
    void *session;
    uint32_t ssrc;
    uint16_t port;
};

struct talker {
    void *session;
    struct listener *listeners;
    uint32_t count;
    uint16_t port;
};

static unsigned char in[BATCH][SIZE], out[OUT][SIZE];
static struct iovec in_vector[BATCH], out_vector[OUT];
static struct mmsghdr in_message[BATCH], out_message[OUT];
static struct sockaddr_in from[BATCH], to[OUT];
static struct talker *by_port[65536];
static unsigned waiting;

static void flush(int udp)
{
    unsigned sent = 0;
    while (sent < waiting) {
        int count = sendmmsg(udp, out_message + sent, waiting - sent, 0);
        sent += count > 0 ? (unsigned)count : 1; /* what the kernel refuses is lost */
    }
    waiting = 0;
}

static void prepare(void)
{
    for (unsigned i = 0; i < BATCH; i++) {
        in_vector[i] = (struct iovec){in[i], SIZE};
        in_message[i].msg_hdr = (struct msghdr){&from[i], sizeof from[i], &in_vector[i], 1, 0, 0, 0};
    }
    for (unsigned i = 0; i < OUT; i++) {
        out_vector[i].iov_base = out[i];
        out_message[i].msg_hdr = (struct msghdr){&to[i], sizeof to[i], &out_vector[i], 1, 0, 0, 0};
        to[i].sin_family = AF_INET;
        to[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
}

static void forward(int udp, const struct talker *talker, const unsigned char *packet, int length, transform protect)
{
    for (uint32_t i = 0; i < talker->count; i++) {
        const struct listener *listener = &talker->listeners[i];
        unsigned char *copy = out[waiting];
        int size = length;
        uint32_t ssrc = htonl(listener->ssrc);
        memcpy(copy, packet, (size_t)length);
        memcpy(copy + 8, &ssrc, sizeof ssrc);
        if (protect(listener->session, copy, &size) != 0)
            continue;
        out_vector[waiting].iov_len = (size_t)size;
        to[waiting].sin_port = htons(listener->port);
        if (++waiting == OUT)
            flush(udp);
    }
}

/* Forward until the socket fails; it has to block. */
int run(int udp, transform unprotect, transform protect, struct talker *talkers, unsigned count)
{
    prepare();
    for (unsigned i = 0; i < count; i++)
        by_port[talkers[i].port] = &talkers[i];
    for (;;) {
        int received = recvmmsg(udp, in_message, BATCH, MSG_WAITFORONE, 0);
        if (received < 0)
            return -1;
        for (int i = 0; i < received; i++) {
            const struct talker *talker = by_port[ntohs(from[i].sin_port)];
            int length = (int)in_message[i].msg_len;
            if (talker && length >= 12 && in[i][0] >> 6 == 2 && unprotect(talker->session, in[i], &length) == 0)
                forward(udp, talker, in[i], length, protect);
        }
        flush(udp);
    }
}
