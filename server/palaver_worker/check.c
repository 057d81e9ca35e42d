/* ICE checks that change nothing, answered without a word of Python: each of its clients sends one every few seconds, and
   waking Python costs twenty times what is then done. After `track.c`; `palaver_media/stun.py` does the same.

   SHA-1 is here because libsrtp keeps its own to itself. It signs what is nobody's secret (RFC 8489, section 14.5). */

enum {
    STUN_HEADER = 20, CHECK = 0x0001, ANSWER = 0x0101, USERNAME = 0x0006, INTEGRITY = 0x0008, MAPPED_ADDRESS = 0x0020,
    USE_CANDIDATE = 0x0025, FINGERPRINT = 0x8028, DIGEST = 20, BLOCK = 64, LONGEST_CHECK = 512, LONGEST_UFRAG = 64
};
#define COOKIE 0x2112A442u
#define FINGERPRINT_XOR 0x5354554Eu

/* What a client's checks name and are signed with, the key as SHA-1's states after it (RFC 2104); no ufrag: none. */
struct credentials {
    unsigned char ufrag[LONGEST_UFRAG];
    int ufrag_size;
    uint32_t inner[5], outer[5];
};

/* --- HMAC-SHA1 (RFC 3174, RFC 2104) -------------------------------------------------------------------------------- */

static uint32_t rotate(uint32_t value, int by) { return value << by | value >> (32 - by); }

static void compress(uint32_t state[5], const unsigned char *block) {
    static const uint32_t constants[4] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
    uint32_t words[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int at = 0; at < 16; at++) words[at] = get32(block + 4 * at);
    for (int at = 16; at < 80; at++)
        words[at] = rotate(words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16], 1);
    for (int at = 0; at < 80; at++) {
        uint32_t mixed = at < 20 ? (b & c) | (~b & d) : at >= 40 && at < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
        uint32_t next = rotate(a, 5) + mixed + e + constants[at / 20] + words[at];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* SHA-1 of a block that led to `start`, and of these bytes after it. */
static void hash_on(const uint32_t start[5], const unsigned char *data, int size, unsigned char digest[DIGEST]) {
    uint32_t state[5];
    unsigned char last[2 * BLOCK] = {0};
    int left = size % BLOCK, blocks = left < BLOCK - 8 ? 1 : 2;
    memcpy(state, start, sizeof state);
    for (int at = 0; at + BLOCK <= size; at += BLOCK) compress(state, data + at);
    memcpy(last, data + size - left, left);
    last[left] = 0x80;
    put32(last + blocks * BLOCK - 4, 8 * (BLOCK + size));
    for (int at = 0; at < blocks; at++) compress(state, last + at * BLOCK);
    for (int at = 0; at < 5; at++) put32(digest + 4 * at, state[at]);
}

static void sign(const struct credentials *credentials, const unsigned char *data, int size, unsigned char *digest) {
    unsigned char inner[DIGEST];
    hash_on(credentials->inner, data, size, inner);
    hash_on(credentials->outer, inner, DIGEST, digest);
}

static void start_key(uint32_t state[5], const unsigned char *key, int size, unsigned char pad) {
    static const uint32_t initial[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    unsigned char block[BLOCK];
    for (int at = 0; at < BLOCK; at++) block[at] = pad ^ (at < size ? key[at] : 0);
    memcpy(state, initial, sizeof initial);
    compress(state, block);
}

/* Know a client's checks by these; 0 where they are too long. */
int set_credentials(struct credentials *credentials, const unsigned char *ufrag, int ufrag_size, const unsigned char *key,
                    int key_size) {
    credentials->ufrag_size = 0;
    if (ufrag_size > LONGEST_UFRAG || key_size > BLOCK) return 0;
    memcpy(credentials->ufrag, ufrag, ufrag_size);
    start_key(credentials->inner, key, key_size, 0x36);
    start_key(credentials->outer, key, key_size, 0x5C);
    credentials->ufrag_size = ufrag_size;
    return 1;
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static uint32_t fingerprint(const unsigned char *data, int size) {
    uint32_t crc = ~0u;
    for (int at = 0; at < size; at++) {
        crc ^= data[at];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc ^ FINGERPRINT_XOR;
}

static int is_for(const struct credentials *credentials, const unsigned char *username, int size) {
    int known = credentials->ufrag_size;
    return size > known && username[known] == ':' && memcmp(username, credentials->ufrag, known) == 0;
}

/* Whether it is signed here, with all before it, as if nothing followed. */
static int is_signed(const struct credentials *credentials, const unsigned char *data, int at) {
    unsigned char signed_part[LONGEST_CHECK], digest[DIGEST];
    int difference = 0;
    memcpy(signed_part, data, at);
    put16(signed_part + 2, at - STUN_HEADER + 4 + DIGEST);
    sign(credentials, signed_part, at, digest);
    for (int byte = 0; byte < DIGEST; byte++) difference |= digest[byte] ^ data[at + 4 + byte];
    return difference == 0;
}

/* Whether it is a check with these credentials, and if so whether it nominates; all else is Python's to look at. */
static int read_check(const struct credentials *credentials, const unsigned char *data, int size, int *nominates) {
    int at = STUN_HEADER, signature = 0, has_name = 0;
    *nominates = 0;
    if (credentials->ufrag_size == 0 || size < STUN_HEADER || size > LONGEST_CHECK || size & 3) return 0;
    if (get16(data) != CHECK || get32(data + 4) != COOKIE || (int)get16(data + 2) != size - STUN_HEADER) return 0;
    while (at < size) { /* at least 4 bytes: both are multiples of 4 */
        const unsigned char *value = data + at + 4;
        int kind = get16(data + at), length = get16(data + at + 2);
        if (length > size - at - 4) return 0;
        if (kind == FINGERPRINT) {
            if (length != 4 || at + 8 != size || get32(value) != fingerprint(data, at)) return 0;
        } else if (signature == 0) { /* what follows it is nobody's word */
            if (kind == USERNAME && !has_name) {
                if (!is_for(credentials, value, length)) return 0;
                has_name = 1;
            } else if (kind == USE_CANDIDATE) {
                *nominates = 1;
            } else if (kind == INTEGRITY) {
                if (length != DIGEST) return 0;
                signature = at;
            }
        }
        at += 4 + (length + 3) / 4 * 4;
    }
    return has_name && signature && is_signed(credentials, data, signature);
}

/* The answer to a check from this address (`sockaddr_in` or `sockaddr_in6`); its size. */
static int write_answer(const struct credentials *credentials, const unsigned char *check, const unsigned char *name,
                        int name_size, unsigned char *to) {
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF}; /* IPv4 over IPv6 (RFC 4291, 2.5.5.2) */
    int is_long = name_size == 28 && memcmp(name + 8, mapped, sizeof mapped) != 0, size = is_long ? 16 : 4;
    const unsigned char *address = name_size == 28 ? name + (is_long ? 8 : 20) : name + 4;
    unsigned char *at = to + STUN_HEADER, *length = to + 2;
    put16(to, ANSWER);
    put(to + 4, check + 4, STUN_HEADER - 4);
    at = put16(put16(at, MAPPED_ADDRESS), 4 + size);
    at = put16(put16(at, is_long ? 2 : 1), get16(name + 2) ^ COOKIE >> 16);
    for (int byte = 0; byte < size; byte++) *at++ = address[byte] ^ check[4 + byte];
    put16(length, at - to - STUN_HEADER + 4 + DIGEST);
    sign(credentials, to, at - to, at + 4);
    at = put16(put16(at, INTEGRITY), DIGEST) + DIGEST;
    put16(length, at - to - STUN_HEADER + 8);
    uint32_t mark = fingerprint(to, at - to);
    at = put32(put16(put16(at, FINGERPRINT), 4), mark);
    return at - to;
}
