/* The core of forwarding in C; `fanout_python*.py` do the same, and one test suite holds for both. */
/* Python.h comes before this and asks for GNU's additions: struct mmsghdr. */

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { OPUS = 100, RED = 105, COPIES = 8 }; /* the router's payload types; see `redundancy.MOST` */
enum { RTP_HEADER = 12, SLOT = 2048, TRAILER = 20, FARTHEST = 0x7FFF, OK = 0 };

/* Where a listener's packets go, and under which keys (libsrtp's handle). */
struct path {
    void *keys;
    unsigned char destination[28];
    int destination_size;
};

/* One listener's numbering and counters; see `fanout.Leg`. `mid` is an extension element, `wanted` a set of ids. */
struct leg {
    struct path *path;
    uint32_t ssrc, wanted, shift; /* of timestamps */
    int is_marked;                /* the packet with which it begins */
    int takes_red;                /* gets copies of earlier frames (RFC 2198); others get the frame alone */
    unsigned char mid[32];
    int mid_size;
    int64_t offset, first, highest;
    uint64_t packets, octets;
};

/* What is the same for all listeners; see `packet.Packet`. The frame is at `primary` in the body, 0: it is all of it. */
struct packet {
    int first, second;
    int64_t index;
    uint32_t timestamp;
    const unsigned char *elements, *csrcs, *body;
    int elements_size, csrcs_size, body_size, padding, primary;
};

typedef int (*protect_function)(void *keys, void *packet, int *size);

/* The outgoing block: `used` of its slots hold a datagram each; `failures` counts what could not be protected. */
struct block {
    struct mmsghdr *headers;
    int slots, used, failures;
    protect_function protect;
};

static unsigned char *put16(unsigned char *to, unsigned value) {
    to[0] = value >> 8;
    to[1] = value;
    return to + 2;
}

static unsigned char *put32(unsigned char *to, uint32_t value) { return put16(put16(to, value >> 16), value & 0xFFFF); }

static unsigned char *put(unsigned char *to, const unsigned char *from, int size) {
    memcpy(to, from, size);
    return to + size;
}

/* The extension block (RFC 8285, 4.2), or nothing where the listener understands none of it. */
static unsigned char *put_extensions(unsigned char *to, const struct packet *packet, const struct leg *leg) {
    unsigned char *elements = to + 4, *end = put(elements, leg->mid, leg->mid_size);
    const unsigned char *from = packet->elements, *last = from + packet->elements_size;
    while (from < last) {
        int size = 2 + (*from & 0x0F);
        if (leg->wanted >> (*from >> 4) & 1) end = put(end, from, size);
        from += size;
    }
    if (end == elements) return to;
    while ((end - elements) & 3) *end++ = 0;
    put16(put16(to, 0xBEDE), (end - elements) >> 2);
    return end;
}

/* How much of the body this listener does not get. */
static int cut_from(const struct packet *packet, const struct leg *leg) {
    return packet->primary == 0 || leg->takes_red ? 0 : packet->primary;
}

/* The packet as this listener gets it, in the clear; its size. */
static int write_packet(unsigned char *slot, const struct packet *packet, const struct leg *leg) {
    int cut = cut_from(packet, leg), second = cut ? (packet->second & 0x80) | OPUS : packet->second;
    unsigned char *start = slot + RTP_HEADER + packet->csrcs_size, *end = put_extensions(start, packet, leg);
    slot[0] = packet->first | (end == start ? 0 : 0x10);
    slot[1] = second | (leg->is_marked && packet->index == leg->first ? 0x80 : 0);
    put32(put32(put16(slot + 2, (packet->index - leg->offset) & 0xFFFF), packet->timestamp + leg->shift), leg->ssrc);
    put(slot + RTP_HEADER, packet->csrcs, packet->csrcs_size);
    return put(end, packet->body + cut, packet->body_size - cut) - slot;
}

/* Number this packet and those after it. A stream starts below 2^15, or a listener that misses its first packets takes
   the wrap for a loss of sync. */
static void begin(struct leg *leg, int64_t index) {
    int64_t number = leg->highest >= 0 ? leg->highest + 1 : index & 0x7FFF;
    leg->first = index;
    leg->offset = index - number;
}

/* Whether the packet is in this slot, protected. Nothing may be sent from it otherwise. */
static int write_slot(struct mmsghdr *header, const struct packet *packet, struct leg *leg, protect_function protect) {
    struct path *path = leg->path;
    int64_t number = packet->index - leg->offset;
    int most = RTP_HEADER + packet->csrcs_size + 4 + leg->mid_size + packet->elements_size + 3 + packet->body_size;
    if (path->keys == NULL || most + TRAILER > SLOT) return 0;
    if (number > leg->highest) leg->highest = number;
    int size = write_packet(header->msg_hdr.msg_iov->iov_base, packet, leg);
    if (protect(path->keys, header->msg_hdr.msg_iov->iov_base, &size) != OK) return 0;
    header->msg_hdr.msg_iov->iov_len = size;
    memcpy(header->msg_hdr.msg_name, path->destination, path->destination_size);
    leg->packets++;
    leg->octets += packet->body_size - packet->padding - cut_from(packet, leg);
    return 1;
}

/* Write the packet for the legs from `at` on, into free slots, until either ends; how many legs are done. */
static int forward_packet(struct block *block, const struct packet *packet, struct leg **legs, int at, int count) {
    for (; at < count && block->used < block->slots; at++) {
        struct leg *leg = legs[at];
        /* What the next legs need is in the cache by the time of their turn: packets come a millisecond apart, and to wait
           for memory took longer than all that is done here. Not a function of its own, for GCC leaves out the call of one
           that does nothing else. */
        if (at + 3 < count) __builtin_prefetch(legs[at + 3], 1), __builtin_prefetch(&legs[at + 3]->first, 1);
        if (at + 2 < count) __builtin_prefetch(legs[at + 2]->path);
        if (at + 1 < count) __builtin_prefetch(legs[at + 1]->path->keys);
        if (leg->first < 0 || packet->index - leg->offset > leg->highest + FARTHEST)
            begin(leg, packet->index);
        else if (packet->index < leg->first) /* late, from before a pause: its number is another's */
            continue;
        if (write_slot(&block->headers[block->used], packet, leg, block->protect))
            block->used++;
        else
            block->failures++;
    }
    return at;
}

/* The same, for a packet that Python has read. */
int forward(struct block *block, struct leg **legs, int at, int count, int first, int second, int64_t index,
            uint32_t timestamp, const unsigned char *elements, int elements_size, const unsigned char *csrcs,
            int csrcs_size, const unsigned char *body, int body_size, int padding) {
    struct packet packet = {first, second, index, timestamp, elements, csrcs, body,
                            elements_size, csrcs_size, body_size, padding, 0};
    return forward_packet(block, &packet, legs, at, count);
}
