#ifndef TESTS_UNIT_RIG_TLS_ALONE_H
#define TESTS_UNIT_RIG_TLS_ALONE_H

#include "worker/conn.h"
#include "worker/tls_inside.h"

/*
 * One connection of one worker without its processes: as much as worker/tls_own.c
 * needs.
 */
enum {
    ALONE_PAGES = 1024
};

struct alone {
    struct worker w;
    struct proc proc;
    struct conf conf;
    struct conn conn;
    struct tls_state client; /* rd is what the server writes */
    uint8_t page_class[ALONE_PAGES];
    void *pages;
};
extern struct alone alone;

void alone_begin(enum record_cipher cipher);
void alone_end(void);
/* The transaction ends well, or, as after a kill, never was. */
void alone_commit(void);
void alone_undo(void);
/* What the client has sent, and the server not read yet. */
void alone_receive(const void *bytes, size_t n);
/* One record of the client's: padding zeros behind its content. */
size_t alone_seal(uint8_t type, const void *content, size_t n, void *ret_record);
/* The next record that waits for the client: its content, its type. */
int alone_read(void *ret_plain, uint8_t *ret_type);

#endif
