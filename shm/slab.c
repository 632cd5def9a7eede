/*
 * slab.c -- chunks of a slot segment
 *
 * Classes go up in powers of two, with a step in between (32, 48, 64, 96, 128 …), to a
 * whole page; larger requests take a run of pages: the first has class RUN, the others
 * RUN_MORE. A page of a class has a bitmap of its free chunks on the heap. A page that
 * becomes empty is given back to the system, unless it is its class's only one with
 * room.
 */
#include "shm/slab.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#include "base/list.h"
#include "base/mem.h"

enum {
    CLASSES = 23, /* sizes 32 … 65536 */
    CHUNK_MIN_LOG = 5,
    CLASS_NONE = 0,
    CLASS_RUN = 254,
    CLASS_RUN_MORE = 255,
    WORDS = SLAB_PAGE / SLAB_CHUNK_MIN / 64
};

struct page {
    struct list node; /* of its class's pages with room */
    uint32_t index, n_free, n_chunks;
    uint64_t *free; /* bitmap */
};

struct slab {
    char *base;
    uint32_t n_pages, top; /* pages from top on were never used */
    uint8_t *page_class;
    struct page **page; /* [top_size], NULL for pages that are free or of a run */
    uint32_t page_size;
    uint32_t low;                       /* no page below is free */
    struct list with_room[CLASSES + 1]; /* from 1 */
    uint64_t bytes_used;
    uint32_t pages_used;
};

/* Class 1 is 32, 2 is 48, 3 is 64, 4 is 96 … */
static size_t
class_size(unsigned class)
{
    return (size_t)((class - 1) % 2 ? SLAB_CHUNK_MIN * 3 / 2 : SLAB_CHUNK_MIN)
           << (class - 1) / 2;
}

static unsigned
class_of(size_t size)
{
    unsigned log;

    if (size <= SLAB_CHUNK_MIN)
        return 1;
    log = 63 - (unsigned)__builtin_clzll(size - 1); /* size is above 2^log */
    return 2 * (log - CHUNK_MIN_LOG) + (size <= (size_t)3 << (log - 1) ? 2 : 3);
}

static void
page_room(struct slab *slab, uint32_t index)
{
    if (index < slab->page_size)
        return;
    uint32_t size = slab->page_size ? slab->page_size * 2 : 64;

    while (size <= index)
        size *= 2;
    slab->page = mem_realloc(slab->page, size * sizeof *slab->page);
    memset(slab->page + slab->page_size, 0,
            (size - slab->page_size) * sizeof *slab->page);
    slab->page_size = size;
}

static struct page *
page_new(struct slab *slab, uint32_t index, unsigned class, bool all_free)
{
    struct page *page = mem_zalloc(sizeof *page);
    uint32_t n = (uint32_t)(SLAB_PAGE / class_size(class));
    size_t words = (n + 63) / 64;

    page->index = index;
    page->n_chunks = n;
    page->n_free = n;
    page->free = mem_alloc(words * sizeof *page->free);
    memset(page->free, 0xff, words * sizeof *page->free);
    if (n % 64)
        page->free[words - 1] = ((uint64_t)1 << n % 64) - 1;
    list_init(&page->node);
    page_room(slab, index);
    slab->page[index] = page;
    slab->pages_used++;
    if (all_free)
        list_push(&slab->with_room[class], &page->node);
    return page;
}

static void
page_free(struct slab *slab, struct page *page)
{
    slab->page[page->index] = NULL;
    list_del(&page->node);
    mem_free_p(page->free);
    mem_free_p(page);
    slab->pages_used--;
}

struct slab *
slab_new(void *base, uint32_t n_pages, uint8_t *page_class, bool fresh)
{
    struct slab *slab = mem_zalloc(sizeof *slab);

    assert(((uintptr_t)base & (SLAB_PAGE - 1)) == 0);
    assert(class_size(CLASSES) == SLAB_PAGE && SLAB_CHUNK_MIN == 1 << CHUNK_MIN_LOG);
    slab->base = base;
    slab->n_pages = n_pages;
    slab->page_class = page_class;
    for (unsigned c = 0; c <= CLASSES; c++)
        list_init(&slab->with_room[c]);
    for (uint32_t i = 0; i < n_pages && page_class[i] != CLASS_NONE; i++)
        slab->top = i + 1;
    /* Pages are handed out from the bottom, but given back anywhere: look on a bit. */
    for (uint32_t i = slab->top, gap = 0; i < n_pages && gap < 4096; i++, gap++) {
        if (page_class[i] != CLASS_NONE) {
            slab->top = i + 1;
            gap = 0;
        }
    }
    if (fresh) {
        memset(page_class, CLASS_NONE, slab->top);
        slab->top = 0;
        return slab;
    }
    for (uint32_t i = 0; i < slab->top; i++) {
        if (page_class[i] != CLASS_NONE && page_class[i] <= CLASSES)
            page_new(slab, i, page_class[i], false);
    }
    return slab;
}

void
slab_free_all(struct slab **pslab)
{
    struct slab *slab = *pslab;

    if (!slab)
        return;
    for (uint32_t i = 0; i < slab->page_size; i++) {
        if (slab->page[i])
            page_free(slab, slab->page[i]);
    }
    mem_free_p(slab->page);
    mem_free(pslab);
}

/* Gives the page's memory back to the system; it reads as zeros when used again. */
static void
page_return(struct slab *slab, uint32_t index)
{
    slab->page_class[index] = CLASS_NONE;
#ifdef MADV_REMOVE
    madvise(slab->base + (size_t)index * SLAB_PAGE, SLAB_PAGE, MADV_REMOVE);
#endif
    if (index < slab->low)
        slab->low = index;
}

/* The first of n free pages in a row; n_pages when there are none. */
static uint32_t
pages_find(struct slab *slab, uint32_t n)
{
    uint32_t at = slab->low, run = 0;

    while (slab->low < slab->top && slab->page_class[slab->low] != CLASS_NONE)
        at = ++slab->low;
    for (; at < slab->top && run < n; at++)
        run = slab->page_class[at] == CLASS_NONE ? run + 1 : 0;
    at -= run;
    if (n > slab->n_pages - at)
        return slab->n_pages;
    if (at + n > slab->top)
        slab->top = at + n;
    return at;
}

static void *
run_alloc(struct slab *slab, size_t size)
{
    uint32_t n = (uint32_t)((size + SLAB_PAGE - 1) / SLAB_PAGE), at;

    if (size > SLAB_RUN_MAX)
        return NULL;
    at = pages_find(slab, n);
    if (at == slab->n_pages)
        return NULL;
    /* The rest first: a death in between leaves pages that no run begins. */
    for (uint32_t i = 1; i < n; i++)
        slab->page_class[at + i] = CLASS_RUN_MORE;
    slab->page_class[at] = CLASS_RUN;
    slab->pages_used += n;
    slab->bytes_used += (size_t)n * SLAB_PAGE;
    return slab->base + (size_t)at * SLAB_PAGE;
}

static uint32_t
run_length(const struct slab *slab, uint32_t at)
{
    uint32_t n = 1;

    while (at + n < slab->top && slab->page_class[at + n] == CLASS_RUN_MORE)
        n++;
    return n;
}

static void
run_free(struct slab *slab, uint32_t at)
{
    uint32_t n = run_length(slab, at);

    slab->pages_used -= n;
    slab->bytes_used -= (size_t)n * SLAB_PAGE;
    for (uint32_t i = n; i-- > 0;)
        page_return(slab, at + i);
}

static struct page *
page_with_room(struct slab *slab, unsigned class)
{
    uint32_t index;

    if (!list_empty(&slab->with_room[class]))
        return list_entry(slab->with_room[class].next, struct page, node);
    index = pages_find(slab, 1);
    if (index == slab->n_pages)
        return NULL;
    slab->page_class[index] = (uint8_t) class;
    return page_new(slab, index, class, true);
}

void *
slab_alloc(struct slab *slab, size_t size)
{
    unsigned class;
    struct page *page;
    uint32_t word = 0, bit;

    if (size > SLAB_PAGE)
        return run_alloc(slab, size);
    class = class_of(size);
    page = page_with_room(slab, class);
    if (!page)
        return NULL;
    while (page->free[word] == 0)
        word++;
    bit = (uint32_t)__builtin_ctzll(page->free[word]);
    page->free[word] &= page->free[word] - 1;
    if (--page->n_free == 0)
        list_del(&page->node);
    slab->bytes_used += class_size(class);
    return slab->base + (size_t)page->index * SLAB_PAGE +
           (word * 64 + bit) * class_size(class);
}

static uint32_t
page_index(const struct slab *slab, const void *p)
{
    size_t offset = (size_t)((const char *)p - slab->base);

    assert((const char *)p >= slab->base && offset / SLAB_PAGE < slab->top);
    return (uint32_t)(offset / SLAB_PAGE);
}

static uint32_t
chunk_number(const struct slab *slab, const void *p, unsigned class)
{
    uint32_t offset = (uint32_t)((size_t)((const char *)p - slab->base) % SLAB_PAGE),
             size = (uint32_t)class_size(class);

    assert(offset % size == 0);
    return offset / size;
}

void
slab_free(struct slab *slab, void *p)
{
    uint32_t index, chunk;
    unsigned class;
    struct page *page;

    if (!p)
        return;
    index = page_index(slab, p);
    class = slab->page_class[index];
    if (class == CLASS_RUN) {
        run_free(slab, index);
        return;
    }
    page = slab->page[index];
    chunk = chunk_number(slab, p, class);
    assert(page && !(page->free[chunk / 64] >> chunk % 64 & 1));
    page->free[chunk / 64] |= (uint64_t)1 << chunk % 64;
    if (page->n_free++ == 0)
        list_push(&slab->with_room[class], &page->node);
    slab->bytes_used -= class_size(class);
    if (page->n_free == page->n_chunks &&
            slab->with_room[class].next != slab->with_room[class].prev) {
        page_free(slab, page);
        page_return(slab, index);
    }
}

size_t
slab_size(const struct slab *slab, const void *p)
{
    uint32_t index = page_index(slab, p);
    unsigned class = slab->page_class[index];

    return class == CLASS_RUN ? (size_t)run_length(slab, index) * SLAB_PAGE
                              : class_size(class);
}

void
slab_mark(struct slab *slab, const void *p)
{
    uint32_t index, chunk;
    unsigned class;
    struct page *page;

    if (!p)
        return;
    index = page_index(slab, p);
    class = slab->page_class[index];
    if (class == CLASS_RUN) {
        /* Marked runs are noted by a page record without bitmap. */
        page_room(slab, index);
        if (!slab->page[index]) {
            slab->page[index] = mem_zalloc(sizeof *slab->page[index]);
            slab->page[index]->index = index;
            list_init(&slab->page[index]->node);
        }
        return;
    }
    page = slab->page[index];
    chunk = chunk_number(slab, p, class);
    assert(page);
    if (page->free[chunk / 64] >> chunk % 64 & 1) {
        page->free[chunk / 64] &= ~((uint64_t)1 << chunk % 64);
        page->n_free--;
        slab->bytes_used += class_size(class);
    }
}

void
slab_sweep(struct slab *slab)
{
    bool in_run = false;

    for (uint32_t i = 0; i < slab->top; i++) {
        uint8_t class = slab->page_class[i];
        struct page *page = i < slab->page_size ? slab->page[i] : NULL;

        if (class == CLASS_RUN) {
            in_run = page != NULL;
            if (page) {
                slab->page[i] = NULL;
                mem_free_p(page);
            }
        }
        if (class == CLASS_RUN || class == CLASS_RUN_MORE) {
            if (in_run) {
                slab->pages_used++;
                slab->bytes_used += SLAB_PAGE;
            } else {
                page_return(slab, i);
            }
            continue;
        }
        in_run = false;
        if (class == CLASS_NONE)
            continue;
        assert(page);
        if (page->n_free == page->n_chunks) {
            page_free(slab, page);
            page_return(slab, i);
        } else if (page->n_free > 0) {
            list_push(&slab->with_room[class], &page->node);
        }
    }
}

void
slab_get_stats(const struct slab *slab, struct slab_stats *ret_stats)
{
    *ret_stats = (struct slab_stats){ slab->bytes_used, slab->pages_used };
}
