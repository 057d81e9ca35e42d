/* A voice's way through the worker without a word of Python: from the socket to all who listen.

   What this file does not know (checks, handshakes, RTCP, video, strangers) it leaves in its slot for Python. */

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH = 128, BUCKETS = 4096, KEPT = 64, MID = 1, SEND_TIME = 4, AUDIO_LEVEL = 10 };

/* A packet kept for resends; `bytes` are its elements, CSRCs and body. */
struct kept {
    struct packet packet;
    unsigned char *bytes;
    int room;
};

/* A producer whose packets need no look inside; see `producer.Producer` and `rtcp.Reception`. */
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
    int run, is_speaking;               /* loud packets in a row; whether a conversation knows of it */
    double loudness, heard;
    struct kept ring[KEPT];
};

/* A client who may be heard: his keys, and the tracks that he sends. */
struct client {
    void *keys;
    struct track **tracks;
    int count;
};

/* An address that passed a client's check. */
struct door {
    unsigned char name[28];
    struct client *client;
    struct door *next; /* in its bucket */
};

typedef int (*unprotect_function)(void *keys, void *packet, int *size);

struct pump {
    int udp, others;                /* our socket, and the epoll that all other sources of events are in */
    int name_size;
    uint32_t seed;                  /* of the hash, so that nobody can aim at one bucket */
    struct mmsghdr *incoming;
    struct block *outgoing;
    unprotect_function unprotect;
    struct door *buckets[BUCKETS];
    int received;                   /* datagrams in the incoming block that were not looked at yet */
    int leftovers[BATCH], left;     /* slots that are Python's */
    int onsets[BATCH], begun;       /* numbers of tracks with which somebody began to speak */
    int loud, onset;                /* see `speakers.LOUD` and `ONSET` */
    double smoothing;
    int64_t broken, forged, refused;
    int refusal;                    /* the last errno of a send */
};

static double now_in_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static unsigned get16(const unsigned char *from) { return from[0] << 8 | from[1]; }

static uint32_t get32(const unsigned char *from) { return (uint32_t)get16(from) << 16 | get16(from + 2); }

/* --- who may be heard ------------------------------------------------------------------------------------------- */

static struct door **bucket_of(struct pump *pump, const unsigned char *name) {
    uint32_t hash = pump->seed;
    for (int at = 0; at < pump->name_size; at++) hash = (hash ^ name[at]) * 16777619u;
    return &pump->buckets[(hash ^ hash >> 16) % BUCKETS];
}

void admit(struct pump *pump, struct door *door) {
    struct door **bucket = bucket_of(pump, door->name);
    door->next = *bucket;
    *bucket = door;
}

void dismiss(struct pump *pump, struct door *door) {
    struct door **at = bucket_of(pump, door->name);
    while (*at != NULL && *at != door) at = &(*at)->next;
    if (*at != NULL) *at = door->next;
}

static struct client *client_at(struct pump *pump, const unsigned char *name) {
    struct door *door = *bucket_of(pump, name);
    while (door != NULL && memcmp(door->name, name, pump->name_size)) door = door->next;
    return door == NULL ? NULL : door->client;
}

static struct track *track_of(struct client *client, uint32_t ssrc) {
    for (int at = 0; at < client->count; at++)
        if (client->tracks[at]->ssrc == ssrc) return client->tracks[at];
    return NULL;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* An element under the router's id; the mid is each listener's own. */
static unsigned char *map_element(struct track *track, unsigned char *to, int id, const unsigned char *value, int size,
                                  double now) {
    int mapped = track->extensions[id];
    unsigned char send_time[3];
    if (mapped == 0 || mapped == MID || size < 1 || size > 16) return to;
    if (mapped == SEND_TIME) { /* this hop's: the listener's estimate is about the path from here */
        uint32_t fixed = (uint32_t)((int64_t)(now * (1 << 18)) & 0xFFFFFF);
        send_time[0] = fixed >> 16, send_time[1] = fixed >> 8, send_time[2] = fixed;
        value = send_time, size = 3;
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
    packet->elements_size = packet->padding = 0;
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

/* --- one packet --------------------------------------------------------------------------------------------------- */

/* Keep it for resends; 0 where memory is short. */
static int keep(struct kept *kept, const struct packet *packet) {
    int size = packet->elements_size + packet->csrcs_size + packet->body_size;
    if (size > kept->room) {
        unsigned char *bytes = realloc(kept->bytes, size);
        if (bytes == NULL) return 0;
        kept->bytes = bytes;
        kept->room = size;
    }
    unsigned char *elements = kept->bytes, *csrcs = put(elements, packet->elements, packet->elements_size);
    unsigned char *body = put(csrcs, packet->csrcs, packet->csrcs_size);
    put(body, packet->body, packet->body_size);
    kept->packet = *packet;
    kept->packet.elements = elements, kept->packet.csrcs = csrcs, kept->packet.body = body;
    return 1;
}

/* See `speakers.Voice.hear`. */
static void hear(struct pump *pump, struct track *track, double now) {
    if (track->level < pump->loud) {
        track->run = 0;
        return;
    }
    if (track->run == 0 && !track->is_speaking) track->loudness = track->level;
    track->run++;
    track->loudness += (track->level - track->loudness) * pump->smoothing;
    track->heard = now;
    if (!track->is_speaking && track->run >= pump->onset && pump->begun < BATCH) {
        track->is_speaking = 1;
        pump->onsets[pump->begun++] = track->number;
    }
}

/* Send all that is in the outgoing block; what the kernel refuses is lost, as UDP may be. */
void flush(struct pump *pump) {
    struct block *block = pump->outgoing;
    int at = 0;
    while (at < block->used) {
        int sent = sendmmsg(pump->udp, block->headers + at, block->used - at, 0);
        if (sent < 0) {
            pump->refused++;
            pump->refusal = errno;
            sent = 1;
        }
        at += sent;
    }
    block->used = 0;
}

static void spread(struct pump *pump, const struct packet *packet, struct leg **legs, int count) {
    int at = 0;
    while ((at = forward_packet(pump->outgoing, packet, legs, at, count)) < count) flush(pump);
    if (pump->outgoing->used == pump->outgoing->slots) flush(pump);
}

static void take(struct pump *pump, void *keys, struct track *track, unsigned char *data, int size, double now) {
    unsigned char elements[SLOT];
    struct packet packet;
    if (pump->unprotect(keys, data, &size) != OK) {
        pump->forged++;
        return;
    }
    int sequence = read_packet(track, data, size, now, elements, &packet);
    if (sequence < 0) {
        pump->broken++;
        return;
    }
    packet.index = count(track, sequence, packet.timestamp, now);
    int payload_type = track->payload_types[packet.second & 0x7F];
    struct kept *kept = &track->ring[packet.index & (KEPT - 1)];
    int was_here = kept->bytes != NULL && kept->packet.index >= packet.index;
    if (payload_type == 255 || was_here || packet.index <= track->highest - KEPT) {
        pump->broken++; /* not negotiated, too late, or here before: SRTP may count its cycles otherwise */
        return;
    }
    packet.second = (packet.second & 0x80) | payload_type;
    track->octets += packet.body_size - packet.padding;
    if (!keep(kept, &packet)) return;
    spread(pump, &packet, track->legs, track->count);
    if (track->told > 0) return;
    track->level = track->told;
    hear(pump, track, now);
}

/* Send a packet again on these legs, if it is still kept; whether it is. */
int resend(struct pump *pump, struct track *track, int64_t index, struct leg **legs, int count) {
    struct kept *kept = &track->ring[index & (KEPT - 1)];
    if (kept->bytes == NULL || kept->packet.index != index) return 0;
    spread(pump, &kept->packet, legs, count);
    return 1;
}

/* Of a packet, if it is still kept; else -1. */
int64_t timestamp_of(struct track *track, int64_t index) {
    struct kept *kept = &track->ring[index & (KEPT - 1)];
    return kept->bytes == NULL || kept->packet.index != index ? -1 : (int64_t)kept->packet.timestamp;
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

/* --- batches ------------------------------------------------------------------------------------------------------ */

/* Take what has arrived; how many datagrams, or minus an errno. */
int receive(struct pump *pump) {
    int received = recvmmsg(pump->udp, pump->incoming, BATCH, MSG_DONTWAIT, NULL);
    pump->received = received < 0 ? 0 : received;
    return received < 0 ? -errno : received;
}

/* Act on what was received; what is left is Python's. */
void process(struct pump *pump, double now) {
    int received = pump->received;
    pump->received = 0;
    for (int slot = 0; slot < received; slot++) {
        struct mmsghdr *header = &pump->incoming[slot];
        unsigned char *data = header->msg_hdr.msg_iov->iov_base;
        struct client *client = NULL;
        struct track *track = NULL;
        int is_rtp = header->msg_len >= RTP_HEADER && data[0] >> 6 == 2 && (data[1] < 192 || data[1] > 223);
        if (is_rtp && (client = client_at(pump, header->msg_hdr.msg_name)) != NULL && client->keys != NULL)
            track = track_of(client, get32(data + 8));
        if (track != NULL)
            take(pump, client->keys, track, data, header->msg_len, now);
        else
            pump->leftovers[pump->left++] = slot;
    }
}

/* In ms, as poll takes it. */
static int patience(double deadline, double now) {
    if (deadline < 0) return -1;
    return deadline <= now ? 0 : (int)ceil((deadline - now) * 1000);
}

/* Forward until the deadline (s, CLOCK_MONOTONIC; negative: none), or until there is something for Python: what is left of a
   batch, somebody who began to speak, or another source of events; whether it is that. Commands go before the datagrams
   that came with them: poll looks at our socket first, so what was sent before a datagram that it saw there, it saw too.
   Where there are several datagrams, the others are newer, and one looks again. */
int wait_and_forward(struct pump *pump, double deadline) {
    struct pollfd sources[2] = {{pump->udp, POLLIN, 0}, {pump->others, POLLIN, 0}};
    double now = deadline < 0 ? 0 : now_in_s();
    do {
        if (poll(sources, 2, patience(deadline, now)) <= 0) return 0; /* the deadline, or a signal */
        if (sources[0].revents) {
            int received = receive(pump);
            if (received < 0 || sources[1].revents || (received > 1 && poll(sources + 1, 1, 0) > 0)) return 1;
            process(pump, now = now_in_s());
            flush(pump);
        }
        if (sources[1].revents) return 1;
    } while (!pump->left && !pump->begun && (deadline < 0 || now < deadline));
    return 0;
}
