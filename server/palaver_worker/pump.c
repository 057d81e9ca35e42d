/* A voice's way through the worker without a word of Python: from the socket to all who listen. After `client.c`.

   What this file does not know (first checks, handshakes, RTCP, video, strangers) it leaves in its slot for Python. */

#include <errno.h>
#include <poll.h>
#include <time.h>

enum { BATCH = 128, BUCKETS = 4096 };

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
    int64_t broken, forged, excess, refused;
    int refusal;                    /* the last errno of a send */
};

static double now_in_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

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

static struct door *door_at(struct pump *pump, const unsigned char *name) {
    struct door *door = *bucket_of(pump, name);
    while (door != NULL && memcmp(door->name, name, pump->name_size)) door = door->next;
    return door;
}

/* --- one packet --------------------------------------------------------------------------------------------------- */

/* See `speakers.Voice`. */
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

static void take(struct pump *pump, struct client *client, struct track *track, unsigned char *data, int size,
                 double now) {
    unsigned char elements[SLOT];
    struct packet packet;
    if (pump->unprotect(client->keys, data, &size) != OK) {
        pump->forged++;
        return;
    }
    if (!may_come(client, size, now)) { /* after unprotecting, or strangers could use his share up */
        pump->excess++;
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
    if (payload_type == RED) {
        packet.primary = find_primary(track, data + (packet.body - data), packet.body_size - packet.padding);
        if (packet.primary < 0) {
            pump->broken++;
            return;
        }
    }
    packet.second = (packet.second & 0x80) | payload_type;
    track->octets += packet.body_size - packet.padding;
    if (!keep(kept, &packet)) return;
    spread(pump, &packet, track->legs, track->count);
    if (track->told > 0 || track->is_paused) return;
    track->level = track->told;
    hear(pump, track, now);
}

/* Answer a check that changes nothing; whether it was one. To nominate another address is Python's affair. */
static int answer(struct pump *pump, struct door *door, const unsigned char *data, int size, double now) {
    struct client *client = door->client;
    struct block *block = pump->outgoing;
    int nominates;
    if (!read_check(&client->credentials, data, size, &nominates)) return 0;
    if (nominates && client->selected != door) return 0;
    int was_seen = client->seen != NULL && note_check(client, get32(data + 8)); /* sent again: no new word of his */
    double due = fmax(door->due[was_seen], now - 1);
    if (due > now) {
        pump->excess++;
        return 1;
    }
    door->due[was_seen] = due + (was_seen ? AGAIN : 1) * client->per_check;
    if (block->used == block->slots) flush(pump);
    struct msghdr *header = &block->headers[block->used++].msg_hdr;
    header->msg_iov->iov_len =
        write_answer(&client->credentials, data, door->name, pump->name_size, header->msg_iov->iov_base);
    memcpy(header->msg_name, door->name, pump->name_size);
    if (!was_seen) door->checked = now;
    return 1;
}

/* Send a packet again on these legs, if it is still kept; whether it is. */
int resend(struct pump *pump, struct track *track, int64_t index, struct leg **legs, int count) {
    struct kept *kept = find(track, index);
    if (kept == NULL) return 0;
    spread(pump, &kept->packet, legs, count);
    return 1;
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

/* Take what has arrived; how many datagrams, or minus an errno. */
int receive(struct pump *pump) {
    int received = recvmmsg(pump->udp, pump->incoming, BATCH, MSG_DONTWAIT, NULL);
    pump->received = received < 0 ? 0 : received;
    if (received > 0) pump->left = 0; /* their slots are taken */
    return received < 0 ? -errno : received;
}

/* Act on what was received; what is left is Python's. */
void process(struct pump *pump, double now) {
    int received = pump->received;
    pump->received = 0;
    for (int slot = 0; slot < received; slot++) {
        struct mmsghdr *header = &pump->incoming[slot];
        unsigned char *data = header->msg_hdr.msg_iov->iov_base;
        struct door *door = door_at(pump, header->msg_hdr.msg_name);
        struct track *track = NULL;
        int size = header->msg_len;
        int is_rtp = size >= RTP_HEADER && data[0] >> 6 == 2 && (data[1] < 192 || data[1] > 223);
        if (is_rtp && door != NULL && door->client->keys != NULL) track = track_of(door->client, get32(data + 8));
        if (track != NULL)
            take(pump, door->client, track, data, size, now);
        else if (is_rtp || door == NULL || !answer(pump, door, data, size, now))
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
