/* What a voice's packets say: read without a word of Python, counted, and kept for resends. After `fanout.c`. */

#include <math.h>
#include <stdlib.h>

enum { KEPT = 64, MID = 1, SEND_TIME = 4, AUDIO_LEVEL = 10 };

/* A packet kept for resends; `bytes` are its elements, CSRCs and body. A place where none was ever kept has no bytes; an
   empty packet has a byte, too, for it is a packet. */
struct kept {
    struct packet packet;
    unsigned char *bytes;
    int room;
};

/* A producer whose packets need no look inside; see `audio_producer.AudioProducer` and `rtcp.Reception`. */
struct track {
    uint32_t ssrc;
    int number;                         /* by which Python knows it */
    unsigned char payload_types[128];   /* the sender's to the router's; 255: not negotiated */
    unsigned char extensions[256];      /* ids likewise; 0: cut out */
    struct leg **legs;
    int count;
    double clock_rate;
    int64_t first, highest, received, octets;
    double jitter, transit;
    int told, level;                    /* dBov that this packet tells, and the last that did; 1: none */
    int is_paused;                      /* muted: nobody is to be heard on it */
    int run, is_speaking;               /* loud packets in a row; whether a conversation knows of it */
    double loudness, heard;
    struct kept ring[KEPT];
};

static unsigned get16(const unsigned char *from) { return from[0] << 8 | from[1]; }

static uint32_t get32(const unsigned char *from) { return (uint32_t)get16(from) << 16 | get16(from + 2); }

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* An element under the router's id; the mid is each listener's own. */
static unsigned char *map_element(struct track *track, unsigned char *to, int id, const unsigned char *value, int size,
                                  double now) {
    int mapped = track->extensions[id];
    unsigned char send_time[3];
    if (mapped == 0 || mapped == MID || size < 1 || size > 16) return to;
    if (mapped == SEND_TIME && size != 3) return to; /* so nothing becomes longer than it was */
    if (mapped == SEND_TIME) { /* this hop's: the listener's estimate is about the path from here */
        uint32_t fixed = (uint32_t)((int64_t)(now * (1 << 18)) & 0xFFFFFF);
        send_time[0] = fixed >> 16, send_time[1] = fixed >> 8, send_time[2] = fixed;
        value = send_time;
    }
    if (mapped == AUDIO_LEVEL) track->told = -(value[0] & 0x7F);
    *to++ = mapped << 4 | (size - 1);
    return put(to, value, size);
}

/* The elements of a block, mapped; NULL where one reaches beyond it. */
static unsigned char *map_block(struct track *track, unsigned char *to, unsigned profile, const unsigned char *at,
                                const unsigned char *end, double now) {
    int is_short = profile == 0xBEDE, is_long = (profile & 0xFFF0) == 0x1000;
    if (!is_short && !is_long) return to;
    while (at < end) {
        if (*at == 0) { /* padding between elements */
            at++;
            continue;
        }
        if (is_short && *at >= 0xF0) break; /* RFC 8285, 4.2 */
        if (is_long && end - at < 2) return NULL;
        int id = is_short ? *at >> 4 : *at, size = is_short ? (*at & 0x0F) + 1 : at[1];
        at += is_short ? 1 : 2;
        if (size > end - at) return NULL;
        to = map_element(track, to, id, at, size, now);
        at += size;
    }
    return to;
}

/* Read a packet in the clear; its sequence number, or -1 where it is broken. */
static int read_packet(struct track *track, const unsigned char *data, int size, double now, unsigned char *elements,
                       struct packet *packet) {
    const unsigned char *at = data + RTP_HEADER, *end = data + size;
    packet->first = data[0] & ~0x10;
    packet->second = data[1];
    packet->timestamp = get32(data + 4);
    packet->csrcs = at;
    packet->csrcs_size = 4 * (data[0] & 0x0F);
    packet->elements = elements;
    packet->elements_size = packet->padding = packet->primary = 0;
    at += packet->csrcs_size;
    track->told = 1;
    if (data[0] & 0x10) {
        if (end - at < 4 || end - at < 4 + 4 * (int)get16(at + 2)) return -1;
        const unsigned char *block = at + 4, *after = block + 4 * get16(at + 2);
        unsigned char *last = map_block(track, elements, get16(at), block, after, now);
        if (last == NULL) return -1;
        packet->elements_size = last - elements;
        at = after;
    }
    if (at > end) return -1;
    packet->body = at;
    packet->body_size = end - at;
    if (data[0] & 0x20) {
        packet->padding = packet->body_size ? end[-1] : 0;
        if (packet->padding == 0 || packet->padding > packet->body_size) return -1;
    }
    return get16(data + 2);
}

/* Where the frame itself is in a body with copies of earlier ones, whose payload types become the router's; -1 where it is
   broken. See `redundancy.primary_at`. */
static int find_primary(const struct track *track, unsigned char *body, int size) {
    int at = 0, copied = 0;
    for (; at < size && body[at] & 0x80; at += 4) {
        if (at == 4 * COPIES || size - at < 4 || track->payload_types[body[at] & 0x7F] != OPUS) return -1;
        body[at] = 0x80 | OPUS;
        copied += get16(body + at + 2) & 0x3FF;
    }
    if (at >= size || track->payload_types[body[at]] != OPUS) return -1;
    body[at] = OPUS;
    return at + 1 + copied < size ? at + 1 + copied : -1;
}

/* RFC 3550, A.1 and A.8; the extended sequence number. */
static int64_t count(struct track *track, int sequence, uint32_t timestamp, double now) {
    if (track->highest < 0) track->first = track->highest = sequence;
    int ahead = ((sequence - (int)(track->highest & 0xFFFF) + 0x8000) & 0xFFFF) - 0x8000;
    int64_t index = track->highest + ahead;
    if (index > track->highest) track->highest = index;
    if (index < track->first) track->first = index;
    double transit = now * track->clock_rate - timestamp;
    if (track->received++) {
        double change = transit - track->transit + 2147483648.0;
        change -= floor(change / 4294967296.0) * 4294967296.0;
        track->jitter += (fabs(change - 2147483648.0) - track->jitter) / 16;
    }
    track->transit = transit;
    return index;
}

/* --- keeping ---------------------------------------------------------------------------------------------------- */

/* Keep it for resends; 0 where memory is short. */
static int keep(struct kept *kept, const struct packet *packet) {
    int size = packet->elements_size + packet->csrcs_size + packet->body_size;
    if (size >= kept->room) {
        unsigned char *bytes = realloc(kept->bytes, size + 1);
        if (bytes == NULL) return 0;
        kept->bytes = bytes;
        kept->room = size + 1;
    }
    unsigned char *elements = kept->bytes, *csrcs = put(elements, packet->elements, packet->elements_size);
    unsigned char *body = put(csrcs, packet->csrcs, packet->csrcs_size);
    put(body, packet->body, packet->body_size);
    kept->packet = *packet;
    kept->packet.elements = elements, kept->packet.csrcs = csrcs, kept->packet.body = body;
    return 1;
}

/* A packet that is still kept. What is farther behind stays in its place after a leap, but SRTP may count its number to
   another cycle by then. */
static struct kept *find(struct track *track, int64_t index) {
    struct kept *kept = &track->ring[index & (KEPT - 1)];
    return kept->bytes == NULL || kept->packet.index != index || index <= track->highest - KEPT ? NULL : kept;
}

/* Of a packet, if it is still kept; else -1. */
int64_t timestamp_of(struct track *track, int64_t index) {
    struct kept *kept = find(track, index);
    return kept == NULL ? -1 : (int64_t)kept->packet.timestamp;
}

void forget(struct track *track) {
    for (int at = 0; at < KEPT; at++) free(track->ring[at].bytes);
    free(track);
}

struct track *new_track(void) {
    struct track *track = calloc(1, sizeof(struct track));
    if (track != NULL) {
        track->first = track->highest = -1;
        track->level = 1;
    }
    return track;
}
