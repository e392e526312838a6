// Static libraries as `ar` makes them: objects one after the other, before them an index that says
// which of them defines a name. Without times and users, so that the same objects give the same
// bytes.
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { HEADER = 60 };

typedef struct Index {
    const char **names;
    size_t *members, count;
} Index;

static void add_name(Index *index, const char *name, size_t member)
{
    index->names = must_grow(index->names, sizeof *index->names * (index->count + 1));
    index->members = must_grow(index->members, sizeof *index->members * (index->count + 1));
    index->names[index->count] = name;
    index->members[index->count++] = member;
}

// The names that an object defines for others. The object is one of ours.
static bool read_names(const Member *member, size_t number, Index *index)
{
    const char *file = member->data;
    const Elf64_Ehdr *h = (const void *)file;
    if (member->length < sizeof *h || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 ||
        h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB ||
        h->e_shoff > member->length ||
        h->e_shnum * sizeof(Elf64_Shdr) > member->length - h->e_shoff)
        return false;
    for (unsigned s = 0; s < h->e_shnum; s++) {
        Elf64_Shdr section, names;
        memcpy(&section, file + h->e_shoff + s * sizeof section, sizeof section);
        if (section.sh_type != SHT_SYMTAB || section.sh_link >= h->e_shnum) continue;
        memcpy(&names, file + h->e_shoff + section.sh_link * sizeof names, sizeof names);
        for (size_t k = section.sh_info; k < section.sh_size / sizeof(Elf64_Sym); k++) {
            Elf64_Sym symbol;
            memcpy(&symbol, file + section.sh_offset + k * sizeof symbol, sizeof symbol);
            if (symbol.st_shndx != SHN_UNDEF)
                add_name(index, file + names.sh_offset + symbol.st_name, number);
        }
    }
    return true;
}

static void put_header(char *at, const char *name, size_t length)
{
    char text[HEADER + 16];
    snprintf(text, sizeof text, "%-16s%-12s%-6s%-6s%-8s%-10zu`\n", name, "0", "0", "0", "644",
             length);
    memcpy(at, text, HEADER);
}

static void put_number(char *at, size_t x) // big-endian, whatever the machine
{
    for (int k = 0; k < 4; k++) at[k] = (char)(x >> (24 - 8 * k));
}

static size_t even(size_t x)
{
    return x + x % 2;
}

bool archive_make(const Member *members, size_t count, char **data, size_t *length)
{
    static const char magic[] = "!<arch>\n";
    Index index = {0};
    size_t names = 0, total = strlen(magic);
    for (size_t m = 0; m < count; m++)
        if (!read_names(&members[m], m, &index)) return false;
    for (size_t k = 0; k < index.count; k++) names += strlen(index.names[k]) + 1;
    size_t index_bytes = 4 + 4 * index.count + names;
    total += HEADER + even(index_bytes);
    size_t *offsets = must_alloc(sizeof *offsets * (count + 1));
    for (size_t m = 0; m < count; m++) {
        offsets[m] = total;
        total += HEADER + even(members[m].length);
    }
    char *out = must_alloc(total + 1), *at = out + strlen(magic);
    memset(out, '\n', total);
    memcpy(out, magic, strlen(magic));
    put_header(at, "/", even(index_bytes));
    at += HEADER;
    memset(at, 0, even(index_bytes));
    put_number(at, index.count);
    for (size_t k = 0; k < index.count; k++) put_number(at + 4 + 4 * k, offsets[index.members[k]]);
    char *text = at + 4 + 4 * index.count;
    for (size_t k = 0; k < index.count; k++) {
        strcpy(text, index.names[k]);
        text += strlen(text) + 1;
    }
    for (size_t m = 0; m < count; m++) {
        char name[17];
        snprintf(name, sizeof name, "%s/", members[m].name);
        put_header(out + offsets[m], name, members[m].length);
        memcpy(out + offsets[m] + HEADER, members[m].data, members[m].length);
    }
    free(offsets);
    free(index.names);
    free(index.members);
    *data = out;
    *length = total;
    return true;
}
