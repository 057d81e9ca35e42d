/* Who may be heard, at which addresses, and how much of him. After `check.c`. */

enum { SEEN = 1024, AGAIN = 10 }; /* see `fanout.SEEN` and `AGAIN` */

struct door;

/* A client who may be heard: his keys, and the tracks that he sends; and how he is known, and where he is sent to. */
struct client {
    void *keys;
    struct credentials credentials;
    struct door *selected;
    double per_check;     /* s that one takes of an address' budget of checks */
    uint32_t *seen;       /* transactions of the last checks, as far as they tell them apart; NULL before there was one */
    int next_seen;
    struct track **tracks; /* sorted by SSRC */
    int count;
    double per_packet, per_byte; /* s that they take of his budget; see `fanout.Client.limit` */
    double due;                  /* when the next packet would come, were they as many as may come */
};

/* An address that passed a client's check. */
struct door {
    unsigned char name[28];
    struct client *client;
    double checked, due[2]; /* when a new check from there was answered here, and when the next would come, or come again, s */
    struct door *next; /* in its bucket */
};

static struct track *track_of(struct client *client, uint32_t ssrc) {
    int from = 0, to = client->count;
    while (from < to) {
        int middle = (from + to) / 2;
        if (client->tracks[middle]->ssrc < ssrc)
            from = middle + 1;
        else
            to = middle;
    }
    return from < client->count && client->tracks[from]->ssrc == ssrc ? client->tracks[from] : NULL;
}

/* Whether a packet of this size may come; then it counts. */
static int may_come(struct client *client, int size, double now) {
    double due = fmax(client->due, now - 1);
    if (due > now) return 0;
    client->due = due + client->per_packet + size * client->per_byte;
    return 1;
}

/* Note a check's transaction; whether it was noted before. */
int note_check(struct client *client, uint32_t transaction) {
    for (int at = 0; at < SEEN; at++)
        if (client->seen[at] == transaction) return 1;
    client->seen[client->next_seen] = transaction;
    client->next_seen = (client->next_seen + 1) % SEEN;
    return 0;
}
