#ifndef SHM_ZONE_H
#define SHM_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A zone is a piece of shared memory without a name, held by its descriptors. The
 * master makes them; others map what they are given. A zone is sparse: it is made at
 * its largest size once, and a page costs memory when it is first touched.
 */
struct zone {
    void *base;
    size_t size;
};

/*
 * Makes a zone of size bytes (rounded up to pages): *ret_rw for the writer, *ret_ro for
 * everyone else; the latter cannot be reopened for writing by an unprivileged user,
 * because the object belongs to the maker with mode 0600 and has no name any more.
 * 0 or -errno.
 */
int zone_create(size_t size, int *ret_rw, int *ret_ro);

/*
 * Maps a zone; base 0: anywhere, else exactly there (-EEXIST when something is there
 * already). The descriptor may be closed afterwards. 0 or -errno.
 */
int zone_map(struct zone *z, int fd, size_t size, uint64_t base, bool writable);
void zone_unmap(struct zone *z);

/*
 * Asks the system for the memory behind these bytes now, where it can be asked, so that
 * writing there cannot fail any more: 0 or -ENOMEM. Their content stays.
 */
int zone_touch(volatile void *p, size_t n);

/*
 * Gives the memory of the whole pages among these bytes back to the system, where it can
 * be asked; they then read as zeros. The rest keeps its content.
 */
void zone_discard(void *p, size_t n);

/*
 * A random address at which `span` bytes are free in this process, and very probably in
 * any other. 0 when none was found.
 */
uint64_t zone_pick_base(uint64_t span);

#endif
