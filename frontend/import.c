// From a main file to all files it needs: imports, depth first, each once; the prelude last.
//
// A path is resolved against the folder of the file that imports it; two spellings of one path
// ("a.hk", "./b/../a.hk") are one file.
#include "frontend/embedded.h"
#include "frontend/frontend.h"

enum { IMPORT_DEPTH_MAX = 64 };

typedef struct Loading Loading;
struct Loading {
    const Loading *outer;
    Str path;
};

typedef struct Importer {
    Module *module;
    DiagList *diags;
    ReadFile *read;
    void *self;
    VEC(Str) done; // normal paths, built-in ones as "<std>"
} Importer;

// Drops "." and "x/.." and doubled slashes.
static Str normal_path(Arena *arena, Str path)
{
    char *out = arena_alloc(arena, path.length + 1);
    size_t length = 0;
    bool absolute = path.length && path.data[0] == '/';
    for (size_t k = 0; k < path.length;) {
        size_t end = k;
        while (end < path.length && path.data[end] != '/') end++;
        Str part = {path.data + k, end - k};
        k = end + 1;
        if (part.length == 0 || str_is(part, ".")) continue;
        size_t last = length; // where the last part of `out` begins
        while (last && out[last - 1] != '/') last--;
        bool up = str_is(part, "..");
        if (up && length && !str_is((Str){out + last, length - last}, "..")) {
            length = last ? last - 1 : 0;
            continue;
        }
        if (up && absolute && !length) continue;
        if (length) out[length++] = '/';
        memcpy(out + length, part.data, part.length);
        length += part.length;
    }
    return absolute ? str_format(arena, "/%.*s", (int)length, out) : (Str){out, length};
}

static Str resolve(Arena *arena, Str importer, Str path)
{
    size_t folder = importer.length;
    while (folder && importer.data[folder - 1] != '/') folder--;
    if (path.length && path.data[0] == '/') folder = 0;
    return normal_path(arena, str_format(arena, "%.*s%.*s", (int)folder,
                                         importer.data ? importer.data : "", STR_ARG(path)));
}

static bool was_done(const Importer *importer, Str path)
{
    for (uint32_t k = 0; k < importer->done.count; k++)
        if (str_equal(importer->done.data[k], path)) return true;
    return false;
}

static void import_all(Importer *importer, const Node *file, const Loading *loading);

static Node *add_file(Importer *importer, Str name, Str text)
{
    Module *module = importer->module;
    uint32_t source = source_add(module->sources, name, text);
    Node *file = parse_source(module->arena, module->sources, source, importer->diags);
    if (file) vec_push(module->arena, &module->files, file);
    return file;
}

static void import_builtin(Importer *importer, const Node *import)
{
    if (str_is(import->text, "std")) {
        if (was_done(importer, STR("<std>"))) return;
        vec_push(importer->module->arena, &importer->done, STR("<std>"));
        add_file(importer, STR("<std>"), str_of((const char *)embedded_std));
        return;
    }
    Diag *diag = diag_add(importer->diags, DIAG_IMPORT_NOT_FOUND, import->text_span,
                          "there is no built-in module '%.*s'", STR_ARG(import->text));
    diag_hint(importer->diags, diag,
              "built in is std; a file is imported by its path in quotes: "
              "import \"%.*s.hk\";",
              STR_ARG(import->text));
}

static bool is_cycle(Importer *importer, const Node *import, Str path, const Loading *loading)
{
    for (const Loading *l = loading; l; l = l->outer) {
        if (!str_equal(l->path, path)) continue;
        Diag *diag = diag_add(importer->diags, DIAG_IMPORT_CYCLE, import->text_span,
                              "'%.*s' imports itself%s", STR_ARG(path),
                              l == loading ? "" : " through other files");
        for (const Loading *m = loading; m != l; m = m->outer)
            diag_note(importer->diags, diag, (Span){0}, "it is imported by '%.*s'",
                      STR_ARG(m->path));
        diag_hint(importer->diags, diag, "move what both need to a file of its own");
        return true;
    }
    return false;
}

static void import_file(Importer *importer, const Node *import, const Loading *loading)
{
    Arena *arena = importer->module->arena;
    Str path = resolve(arena, loading->path, import->text);
    if (is_cycle(importer, import, path, loading) || was_done(importer, path)) return;
    uint32_t depth = 0;
    for (const Loading *l = loading; l; l = l->outer) depth++;
    if (depth > IMPORT_DEPTH_MAX) {
        diag_add(importer->diags, DIAG_TOO_DEEP, import->text_span,
                 "imports go more than %d files deep", IMPORT_DEPTH_MAX);
        return;
    }
    vec_push(arena, &importer->done, path);
    Str text = importer->read ? importer->read(importer->self, arena, path) : (Str){0};
    if (!text.data) {
        Diag *diag = diag_add(importer->diags, DIAG_IMPORT_NOT_FOUND, import->text_span,
                              "cannot read '%.*s'", STR_ARG(path));
        diag_hint(importer->diags, diag, "paths count from the folder of the importing file");
        return;
    }
    const Node *file = add_file(importer, path, text);
    if (file) import_all(importer, file, &(Loading){loading, path});
}

static void import_all(Importer *importer, const Node *file, const Loading *loading)
{
    for (uint32_t k = 0; k < file->kid_count; k++) {
        const Node *item = file->kids[k];
        if (item->kind != NODE_IMPORT) continue;
        if (item->flags & NODE_FLAG_QUOTED)
            import_file(importer, item, loading);
        else
            import_builtin(importer, item);
    }
}

Module *module_parse(Arena *arena, SourceSet *sources, Str name, Str text, ReadFile *read,
                     void *self, DiagList *diags)
{
    Module *module = arena_new(arena, Module);
    *module = (Module){.arena = arena, .sources = sources};
    Importer importer = {.module = module, .diags = diags, .read = read, .self = self};
    const Node *file = add_file(&importer, name, text);
    if (!file) return NULL;
    Str path = normal_path(arena, name);
    vec_push(arena, &importer.done, path);
    import_all(&importer, file, &(Loading){NULL, path});
    add_file(&importer, STR("<prelude>"), str_of((const char *)embedded_prelude));
    return module;
}
