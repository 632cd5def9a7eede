/*
 * symbols.c -- which function an address belongs to, from the program's own file
 *
 * The dynamic symbols know no static function, and most of ours are; so we read the
 * full table of the file, when somebody has died and not before.
 */
#include "master/symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#if UINTPTR_MAX > UINT32_MAX
typedef Elf64_Ehdr elf_header;
typedef Elf64_Phdr elf_segment;
typedef Elf64_Shdr elf_section;
typedef Elf64_Sym elf_symbol;
#define SYMBOL_TYPE(info) ELF64_ST_TYPE(info)
#else
typedef Elf32_Ehdr elf_header;
typedef Elf32_Phdr elf_segment;
typedef Elf32_Shdr elf_section;
typedef Elf32_Sym elf_symbol;
#define SYMBOL_TYPE(info) ELF32_ST_TYPE(info)
#endif

struct image {
    const char *p;
    size_t size;
};

/* n things of that size at an offset of the file; NULL when it is not that large. */
static const void *
part(const struct image *im, uint64_t at, uint64_t n, size_t size)
{
    if (n > im->size / size || at > im->size || n * size > im->size - at)
        return NULL;
    return im->p + at;
}

static void
find_in(const struct image *im, uint64_t offset, struct buf *out)
{
    const elf_header *eh = part(im, 0, 1, sizeof *eh);
    const elf_segment *seg;
    const elf_section *sec;
    uint64_t base = 0;

    if (!eh || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0)
        return;
    seg = part(im, eh->e_phoff, eh->e_phnum, sizeof *seg);
    sec = part(im, eh->e_shoff, eh->e_shnum, sizeof *sec);
    for (unsigned i = 0; seg && i < eh->e_phnum; i++) {
        if (seg[i].p_type == PT_LOAD) {
            base = seg[i].p_vaddr; /* the first one is the lowest */
            break;
        }
    }
    for (unsigned i = 0; sec && i < eh->e_shnum; i++) {
        const elf_section *names;
        const elf_symbol *sym;
        uint64_t n = sec[i].sh_size / sizeof *sym;

        if (sec[i].sh_type != SHT_SYMTAB || sec[i].sh_link >= eh->e_shnum)
            continue;
        names = &sec[sec[i].sh_link];
        sym = part(im, sec[i].sh_offset, n, sizeof *sym);
        if (!sym || !part(im, names->sh_offset, names->sh_size, 1))
            continue;
        for (uint64_t j = 0; j < n; j++) {
            uint64_t at = sym[j].st_value - base;

            if (SYMBOL_TYPE(sym[j].st_info) != STT_FUNC || offset < at ||
                    offset - at >= sym[j].st_size || sym[j].st_name >= names->sh_size)
                continue;
            buf_addf(out, "%.*s+%#llx", (int)(names->sh_size - sym[j].st_name),
                    im->p + names->sh_offset + sym[j].st_name,
                    (unsigned long long)(offset - at));
            return;
        }
    }
}

void
symbols_find(const char *exe, uint64_t offset, struct buf *out)
{
    int fd = open(exe, O_RDONLY | O_CLOEXEC);
    struct image im = { 0 };
    struct stat st;
    void *p;

    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p != MAP_FAILED) {
            im = (struct image){ p, (size_t)st.st_size };
            find_in(&im, offset, out);
            munmap(p, im.size);
        }
    }
    close_fd(&fd);
}
