// Puts an object file into memory and makes its code runnable: the little that a linker does for
// code that calls few functions and has no data but constants. x86-64 ELF; for anything that it
// does not know the answer is no, and jit.c asks LLVM.
//
//   | sections, each aligned | a jump of 16 bytes for each function outside |   read and execute
#include "backends/llvm/object.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/llvm/llvm_backend.h"

enum { JUMP_BYTES = 16, SECTIONS_MOST = 256 };

typedef struct Linker {
    const char *file;
    size_t bytes;
    const Elf64_Shdr *sections;
    uint32_t section_count;
    uint64_t place[SECTIONS_MOST]; // of a section in memory; UINT64_MAX: not loaded
    const Elf64_Sym *symbols;
    uint64_t symbol_count;
    const char *names;
    uint64_t names_bytes;
    uint64_t jumps; // where they begin
    char *memory;
    size_t size;
    ObjectResolver *resolve;
} Linker;

static bool inside(const Linker *l, uint64_t offset, uint64_t bytes)
{
    return offset <= l->bytes && bytes <= l->bytes - offset;
}

static bool read_header(Linker *l)
{
    const Elf64_Ehdr *h = (const void *)l->file;
    if (l->bytes < sizeof *h || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0) return false;
    bool fits = h->e_ident[EI_CLASS] == ELFCLASS64 && h->e_ident[EI_DATA] == ELFDATA2LSB &&
                h->e_type == ET_REL && h->e_machine == EM_X86_64 &&
                h->e_shentsize == sizeof(Elf64_Shdr) && h->e_shnum <= SECTIONS_MOST &&
                h->e_shoff % _Alignof(Elf64_Shdr) == 0 &&
                inside(l, h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr));
    if (!fits) return false;
    l->sections = (const void *)(l->file + h->e_shoff);
    l->section_count = h->e_shnum;
    return true;
}

// Finds the symbols and lays out what is loaded.
static bool read_sections(Linker *l)
{
    uint64_t end = 0;
    for (uint32_t k = 0; k < l->section_count; k++) {
        const Elf64_Shdr *s = &l->sections[k];
        l->place[k] = UINT64_MAX;
        if (s->sh_type != SHT_NOBITS && !inside(l, s->sh_offset, s->sh_size)) return false;
        if (s->sh_type == SHT_SYMTAB) {
            if (l->symbols || s->sh_entsize != sizeof(Elf64_Sym) || s->sh_offset % 8 ||
                s->sh_link >= l->section_count)
                return false;
            l->symbols = (const void *)(l->file + s->sh_offset);
            l->symbol_count = s->sh_size / sizeof(Elf64_Sym);
            l->names = l->file + l->sections[s->sh_link].sh_offset;
            l->names_bytes = l->sections[s->sh_link].sh_size;
        }
        if (!(s->sh_flags & SHF_ALLOC)) continue;
        uint64_t align = s->sh_addralign ? s->sh_addralign : 1;
        bool plain = s->sh_type == SHT_PROGBITS && !(s->sh_flags & (SHF_WRITE | SHF_TLS)) &&
                     align <= 4096 && !(align & (align - 1));
        if (!plain) return false;
        end = (end + align - 1) / align * align;
        l->place[k] = end;
        end += s->sh_size;
    }
    if (!l->symbols || !l->names_bytes || l->names[l->names_bytes - 1]) return false;
    l->jumps = (end + JUMP_BYTES - 1) / JUMP_BYTES * JUMP_BYTES;
    l->size = l->jumps + l->symbol_count * JUMP_BYTES;
    return l->size < (size_t)1 << 30;
}

static const char *name_of(const Linker *l, const Elf64_Sym *symbol)
{
    return symbol->st_name < l->names_bytes ? l->names + symbol->st_name : "";
}

// jmp *(%rip): the address lies behind the instruction.
static bool make_jump(Linker *l, uint64_t symbol)
{
    const char *name = name_of(l, &l->symbols[symbol]);
    void *target = name[0] ? l->resolve(name) : NULL;
    if (!target) return false;
    static const unsigned char jump[6] = {0xff, 0x25, 0, 0, 0, 0};
    char *at = l->memory + l->jumps + symbol * JUMP_BYTES;
    memcpy(at, jump, sizeof jump);
    memcpy(at + sizeof jump, &target, sizeof target);
    return true;
}

// Offset of a symbol in memory.
static bool symbol_place(Linker *l, uint64_t symbol, uint64_t *place)
{
    if (symbol >= l->symbol_count) return false;
    const Elf64_Sym *s = &l->symbols[symbol];
    if (s->st_shndx == SHN_UNDEF) {
        *place = l->jumps + symbol * JUMP_BYTES;
        return make_jump(l, symbol);
    }
    if (s->st_shndx >= l->section_count || l->place[s->st_shndx] == UINT64_MAX) return false;
    *place = l->place[s->st_shndx] + s->st_value;
    return s->st_value <= l->sections[s->st_shndx].sh_size;
}

static bool relocate(Linker *l, const Elf64_Shdr *section)
{
    uint32_t target = section->sh_info;
    if (target >= l->section_count || l->place[target] == UINT64_MAX) return true; // not loaded
    if (section->sh_entsize != sizeof(Elf64_Rela) || section->sh_offset % 8) return false;
    const Elf64_Rela *all = (const void *)(l->file + section->sh_offset);
    for (uint64_t k = 0; k < section->sh_size / sizeof *all; k++) {
        uint64_t type = ELF64_R_TYPE(all[k].r_info), symbol;
        if (!symbol_place(l, ELF64_R_SYM(all[k].r_info), &symbol)) return false;
        bool relative = type == R_X86_64_PC32 || type == R_X86_64_PLT32;
        uint64_t width = relative ? 4 : 8, room = l->sections[target].sh_size;
        if ((!relative && type != R_X86_64_64) || room < width || all[k].r_offset > room - width)
            return false;
        uint64_t at = l->place[target] + all[k].r_offset;
        uint64_t base = relative ? 0 : (uint64_t)(uintptr_t)l->memory;
        int64_t value = (int64_t)(base + symbol) + all[k].r_addend - (relative ? (int64_t)at : 0);
        if (relative && value != (int32_t)value) return false;
        memcpy(l->memory + at, &value, width);
    }
    return true;
}

static bool find(Linker *l, const char *name, PhaseFn **out)
{
    for (uint64_t k = 1; k < l->symbol_count; k++) {
        uint64_t place;
        if (l->symbols[k].st_shndx == SHN_UNDEF || strcmp(name_of(l, &l->symbols[k]), name) != 0)
            continue;
        if (!symbol_place(l, k, &place) || place >= l->jumps) return false;
        *out = (PhaseFn *)(uintptr_t)(l->memory + place);
        return true;
    }
    return false;
}

static bool link_all(Linker *l, const char *const *names, PhaseFn **out, uint32_t count)
{
    for (uint32_t k = 0; k < l->section_count; k++) {
        const Elf64_Shdr *s = &l->sections[k];
        if (l->place[k] != UINT64_MAX)
            memcpy(l->memory + l->place[k], l->file + s->sh_offset, s->sh_size);
    }
    for (uint32_t k = 0; k < l->section_count; k++) {
        const Elf64_Shdr *s = &l->sections[k];
        if (s->sh_type == SHT_REL || (s->sh_type == SHT_RELA && !relocate(l, s))) return false;
    }
    for (uint32_t k = 0; k < count; k++)
        if (!find(l, names[k], &out[k])) return false;
    return mprotect(l->memory, l->size, PROT_READ | PROT_EXEC) == 0;
}

bool object_load(Object *object, const void *file, size_t bytes, ObjectResolver *resolve,
                 const char *const *names, PhaseFn **out, uint32_t count)
{
    *object = (Object){0};
#if defined(__x86_64__)
    Linker l = {.file = file, .bytes = bytes, .resolve = resolve};
    if ((uintptr_t)file % 8 || !read_header(&l) || !read_sections(&l)) return false;
    l.memory = mmap(NULL, l.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (l.memory == MAP_FAILED) return false;
    *object = (Object){l.memory, l.size};
    if (link_all(&l, names, out, count)) return true;
    object_unload(object);
#else
    (void)file, (void)bytes, (void)resolve, (void)names, (void)out, (void)count;
#endif
    return false;
}

void object_unload(Object *object)
{
    if (object->memory) munmap(object->memory, object->bytes);
    *object = (Object){0};
}
