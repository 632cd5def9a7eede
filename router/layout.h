#ifndef ROUTER_LAYOUT_H
#define ROUTER_LAYOUT_H

/*
 * What is where in the zone of the route table. All of it consists of 64-bit words,
 * which are loaded and stored atomically; an offset counts units of 32 bytes from the
 * start of the zone, and 0 is none. Sizes of the parts follow from the size of the
 * zone.
 *
 *     header | directory: one word per bucket | heap: sessions, in chunks
 */
enum {
    LAYOUT_MAGIC = 0x726f7531, /* with the version of this layout in its last digit */
    LAYOUT_UNIT = 32,
    LAYOUT_DIRECTORY = 4096, /* where it starts; the header is before */
    LAYOUT_BUCKETS_MIN = 1 << 10,
    LAYOUT_BUCKETS_MAX = 1 << 22,
    LAYOUT_BYTES_A_BUCKET = 1 << 14, /* of the zone: a million for 16 GiB */
    LAYOUT_CHAIN_MAX = 1024,         /* sessions in one bucket */
    LAYOUT_NODE_MAX = 1 << 16        /* bytes of a chunk */
};

/* Words of the header. */
enum {
    HEADER_MAGIC, /* written last */
    HEADER_KEY0,  /* of the hash */
    HEADER_KEY1,
    HEADER_EPOCH, /* of synchronisation with the workers */
    HEADER_SESSIONS,
    HEADER_USERS,
    HEADER_BYTES,
    HEADER_TOP, /* units; what lies behind was never used */
    HEADER_WORDS
};

/*
 * A bucket: the first session, and a number that grows with every change of the chain,
 * and of what can change in its sessions.
 */
#define BUCKET(count, head) ((uint64_t)(uint32_t)(count) << 32 | (uint32_t)(head))
#define BUCKET_COUNT(word)  ((uint32_t)((word) >> 32))
#define BUCKET_HEAD(word)   ((uint32_t)(word))

/*
 * Words of a session; then the bytes of bare JID, resource, remote address, presence.
 */
enum {
    NODE_HASH, /* of the bare JID */
    NODE_LINK, /* the only word that changes while others see the node, and STATE */
    NODE_LENS,
    NODE_CONN,
    NODE_STATE,
    NODE_SINCE,
    NODE_SERIAL,
    NODE_HEAD_WORDS
};

#define LINK(next, words, class) \
    ((uint64_t)(uint32_t)(next) | (uint64_t)(words) << 32 | (uint64_t)(class) << 48)
#define LINK_NEXT(word)  ((uint32_t)(word))
#define LINK_WORDS(word) ((uint32_t)((word) >> 32 & 0xffff))
#define LINK_CLASS(word) ((uint32_t)((word) >> 48 & 0xff))

#define LENS(bare, resource, remote, presence)                                  \
    ((uint64_t)(bare) | (uint64_t)(resource) << 16 | (uint64_t)(remote) << 32 | \
            (uint64_t)(presence) << 48)
#define LENS_BARE(word)     ((size_t)((word)&0xffff))
#define LENS_RESOURCE(word) ((size_t)((word) >> 16 & 0xffff))
#define LENS_REMOTE(word)   ((size_t)((word) >> 32 & 0xffff))
#define LENS_PRESENCE(word) ((size_t)((word) >> 48 & 0xffff))

#define STATE(priority, available, flags, epoch)                        \
    ((uint64_t)(uint8_t)(priority) | (uint64_t)(bool)(available) << 8 | \
            (uint64_t)(uint16_t)(flags) << 16 | (uint64_t)(uint32_t)(epoch) << 32)
#define STATE_PRIORITY(word)  ((int8_t)(uint8_t)(word))
#define STATE_AVAILABLE(word) (((word) >> 8 & 1) != 0)
#define STATE_FLAGS(word)     ((uint16_t)((word) >> 16))
#define STATE_EPOCH(word)     ((uint32_t)((word) >> 32))

#define SERIAL(serial, was) ((uint64_t)(uint32_t)(serial) | (uint64_t)(bool)(was) << 32)
#define SERIAL_NUMBER(word) ((uint32_t)(word))
#define SERIAL_WAS(word)    (((word) >> 32 & 1) != 0)

#endif
