// hako db: what tuning measured, one database for all kernels of a user; and the look-up that run,
// bench and emit do in it.
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

// ---- where it is

static char *default_path(void)
{
    const char *path = getenv("HAKO_DB"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (path && *path) return must_format("%s", path);
    if (cache && *cache == '/') return must_format("%s/hako/tune.db", cache);
    return home && *home ? must_format("%s/.cache/hako/tune.db", home) : NULL;
}

static void make_folders(const char *path)
{
    char *copy = must_format("%s", path);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(copy, 0700);
        *slash = '/';
    }
    free(copy);
}

int db_open(const Options *o, hk_context *context, bool writable, hk_store **store)
{
    *store = NULL;
    char *path = o->db ? must_format("%s", o->db) : default_path();
    if (!path || strcmp(path, "none") == 0) {
        free(path);
        return 0;
    }
    struct stat info;
    bool absent = stat(path, &info) != 0 && errno == ENOENT;
    hk_error *error = NULL;
    hk_status status = HK_OK;
    if (writable && absent && !o->db) make_folders(path);
    if (writable || !absent) status = hk_store_open(context, path, writable, store, &error);
    // One that cannot be used costs speed, not the result: a warning, unless it was asked for.
    if (status != HK_OK && !o->db && strcmp(o->command, "db") != 0) {
        fprintf(stderr, "hako: warning: %s; going on without it\n", hk_error_message(error));
        hk_error_free(error);
        error = NULL;
        status = HK_OK;
    }
    if (!writable && absent && o->db) {
        free(path);
        return io_error("there is no tuning database %s", o->db);
    }
    free(path);
    return report(o, status, error);
}

int db_lookup(Session *s, hk_specialize_options options)
{
    const Options *o = s->options;
    bool wanted = strcmp(o->command, "run") == 0 || strcmp(o->command, "bench") == 0 ||
                  strcmp(o->command, "emit") == 0;
    if (!wanted || target_named(o->target) == HK_TARGET_INTERP) return 0;
    hk_store *store;
    int code = db_open(o, s->context, false, &store);
    if (code != 0 || !store) return o->db ? code : 0;
    options.stage = HK_STAGE_TILE;
    options.dump = options.stop_after = NULL;
    hk_exec *exec = NULL;
    hk_error *error = NULL;
    if (hk_kernel_specialize(s->kernel, &options, &exec, NULL) == HK_OK) {
        hk_status status = hk_store_lookup(store, exec, &s->tuned, &error);
        code = report(o, status, error);
    }
    hk_exec_free(exec);
    hk_store_free(store);
    return o->db ? code : 0;
}

// ---- the commands

typedef struct Db {
    const Options *options;
    hk_context *context;
    hk_store *store;
} Db;

static int rows_of(const Db *db, hk_store_rows rows, const char *kernel, hk_text **text)
{
    hk_error *error;
    hk_status status = hk_store_list(db->store, rows, kernel, text, &error);
    return report(db->options, status, error);
}

static double number_of(const json_t *row, const char *name)
{
    return json_number_value(json_object_get(row, name));
}

// Calls show for each line of JSON.
static void each_row(const hk_text *text, void (*show)(const json_t *row, void *self), void *self)
{
    for (const char *at = hk_text_data(text); *at;) {
        size_t length = strcspn(at, "\n");
        json_t *row = json_loadb(at, length, 0, NULL);
        if (row) show(row, self);
        json_decref(row);
        at += length + (at[length] == '\n');
    }
}

static void show_problem(const json_t *row, void *self)
{
    (void)self;
    printf("%s  %s  on %s\n  %s\n", text_of(row, "kernel"), text_of(row, "sizes"),
           text_of(row, "target"), text_of(row, "machine"));
    if (json_is_string(json_object_get(row, "config"))) {
        printf("  %.4g ms, %.3fx the default; config %s\n", number_of(row, "seconds") * 1e3,
               number_of(row, "gain"), text_of(row, "config"));
    } else {
        printf("  not decided yet\n");
    }
    printf("  %.0f evaluations", number_of(row, "evaluations"));
    if (number_of(row, "failed") > 0) printf(", %.0f failed", number_of(row, "failed"));
    if (*text_of(row, "reason")) printf(", most often %s", text_of(row, "reason"));
    putchar('\n');
}

static int list(const Db *db, const char *kernel)
{
    hk_text *text = NULL;
    int code = rows_of(db, HK_STORE_PROBLEMS, kernel, &text);
    if (code == 0 && db->options->json)
        fputs(hk_text_data(text), stdout);
    else if (code == 0)
        each_row(text, show_problem, NULL);
    hk_text_free(text);
    return code;
}

static void show_evaluation(const json_t *row, void *self)
{
    char **last = self;
    const char *run = text_of(row, "run");
    if (!*last || strcmp(*last, run) != 0) {
        printf("%s  %s  on %s: %s search, seed %.0f\n", text_of(row, "kernel"),
               text_of(row, "sizes"), text_of(row, "target"), text_of(row, "search"),
               number_of(row, "seed"));
        free(*last);
        *last = must_format("%s", run);
    }
    const char *outcome = text_of(row, "outcome");
    printf("  %-8s %10.4g ms  %-11s %s\n", *outcome ? outcome : "started",
           number_of(row, "median") * 1e3, text_of(row, "origin"), text_of(row, "config"));
    if (*text_of(row, "reason")) printf("           %s\n", text_of(row, "reason"));
}

static int show(const Db *db, const char *kernel)
{
    hk_text *text = NULL;
    char *last = NULL;
    int code = rows_of(db, HK_STORE_EVALUATIONS, kernel, &text);
    if (code == 0 && db->options->json)
        fputs(hk_text_data(text), stdout);
    else if (code == 0)
        each_row(text, show_evaluation, &last);
    free(last);
    hk_text_free(text);
    return code;
}

static int export(const Db *db, const char *kernel)
{
    hk_text *evaluations = NULL, *best = NULL;
    int code = rows_of(db, HK_STORE_EVALUATIONS, kernel, &evaluations);
    if (code == 0) code = rows_of(db, HK_STORE_BEST, kernel, &best);
    if (code == 0) {
        char *all = must_format("%s%s", hk_text_data(evaluations), hk_text_data(best));
        code = write_whole(db->options->output ? db->options->output : "-", all, strlen(all));
        free(all);
    }
    hk_text_free(evaluations);
    hk_text_free(best);
    return code;
}

static int add_lines(const Db *db, const char *lines, size_t length, const char *from)
{
    uint64_t added;
    hk_error *error;
    hk_status status = hk_store_import(db->store, lines, length, &added, &error);
    int code = report(db->options, status, error);
    if (code == 0) printf("%llu rows added from %s\n", (unsigned long long)added, from);
    return code;
}

static int import(const Db *db, const char *path)
{
    if (!path) return usage_error("hako db import wants FILE, an export");
    size_t length;
    char *lines = read_whole(path, &length);
    if (!lines) return EXIT_ENVIRONMENT;
    int code = add_lines(db, lines, length, path);
    free(lines);
    return code;
}

static int merge(const Db *db, const char *path)
{
    if (!path) return usage_error("hako db merge wants FILE, another database");
    hk_store *other;
    hk_error *error;
    hk_status status = hk_store_open(db->context, path, false, &other, &error);
    int code = report(db->options, status, error);
    if (code != 0) return code;
    Db from = {db->options, db->context, other};
    hk_text *evaluations = NULL, *best = NULL;
    code = rows_of(&from, HK_STORE_EVALUATIONS, NULL, &evaluations);
    if (code == 0) code = rows_of(&from, HK_STORE_BEST, NULL, &best);
    char *all =
        code == 0 ? must_format("%s%s", hk_text_data(evaluations), hk_text_data(best)) : NULL;
    if (code == 0) code = add_lines(db, all, strlen(all), path);
    free(all);
    hk_text_free(evaluations);
    hk_text_free(best);
    hk_store_free(other);
    return code;
}

static int prune(const Db *db, const char *kernel)
{
    uint64_t removed;
    hk_error *error;
    hk_status status = hk_store_prune(db->store, kernel, db->options->older, &removed, &error);
    int code = report(db->options, status, error);
    if (code == 0) printf("%llu evaluations removed\n", (unsigned long long)removed);
    return code;
}

// ---- why a look-up finds nothing

typedef struct Nearest {
    const json_t *asked;
    json_t *row;
    int agree;
} Nearest;

static const char *const fields[] = {"kernel", "target", "sizes", "machine", "code"};
enum { FIELDS = sizeof fields / sizeof *fields };

static void find_nearest(const json_t *row, void *self)
{
    Nearest *n = self;
    int agree = 0;
    for (int k = 0; k < FIELDS; k++)
        agree += strcmp(text_of(row, fields[k]), text_of(n->asked, fields[k])) == 0;
    if (strcmp(text_of(row, "kernel"), text_of(n->asked, "kernel")) != 0 || agree <= n->agree)
        return;
    json_decref(n->row);
    n->row = json_deep_copy(row);
    n->agree = agree;
}

static void explain(const Nearest *n, const json_t *found)
{
    const char *rule = text_of(found, "rule");
    if (strcmp(rule, "none") != 0) {
        printf("found, %s: %s\n  %s\n  config %s\n", rule, text_of(found, "reason"),
               text_of(found, "sizes"), text_of(found, "config"));
        return;
    }
    if (!n->row) {
        printf("nothing is known of kernel %s\n", text_of(n->asked, "kernel"));
        return;
    }
    if (n->agree == FIELDS) {
        printf("tuning of it was never finished: `hako tune --resume` does that\n");
        return;
    }
    printf("not found: %s; the nearest differs in\n", text_of(found, "reason"));
    for (int k = 0; k < FIELDS; k++) {
        const char *asked = text_of(n->asked, fields[k]), *known = text_of(n->row, fields[k]);
        if (strcmp(asked, known) != 0)
            printf("  %-8s asked %s\n           known %s\n", fields[k], asked, known);
    }
}

static int why(const Db *db, const Options *o)
{
    if (o->file_count != 2) return usage_error("hako db why wants FILE[:KERNEL] and --shapes");
    Options asked = *o;
    asked.files = o->files + 1;
    asked.file_count = 1;
    Session s;
    int code = session_open(&s, &asked);
    if (code == 0) code = session_shapes(&s);
    if (code == 0) code = session_specialize(&s, HK_STAGE_TILE, false);
    if (code == 0) code = session_allocate(&s, true);
    if (code == 0) code = session_specialize(&s, HK_STAGE_LOOP, true);
    hk_text *problem = NULL, *rows = NULL, *found = NULL;
    hk_error *error;
    hk_status status = HK_OK;
    if (code == 0) {
        status = hk_exec_problem(s.exec, &problem, &error);
        if (status == HK_OK) status = hk_store_explain(db->store, s.exec, &found, &error);
        code = report(o, status, error);
    }
    if (code == 0) code = rows_of(db, HK_STORE_PROBLEMS, hk_exec_kernel_name(s.exec), &rows);
    if (code == 0) {
        json_t *row = json_loads(hk_text_data(problem), 0, NULL);
        json_t *answer = json_loads(hk_text_data(found), 0, NULL);
        Nearest nearest = {.asked = row};
        each_row(rows, find_nearest, &nearest);
        explain(&nearest, answer);
        json_decref(nearest.row);
        json_decref(answer);
        json_decref(row);
    }
    hk_text_free(found);
    hk_text_free(problem);
    hk_text_free(rows);
    session_close(&s);
    return code;
}

static int run_command(const Db *db, const char *name, const char *operand)
{
    if (strcmp(name, "ls") == 0) return list(db, operand);
    if (strcmp(name, "show") == 0) return show(db, operand);
    if (strcmp(name, "export") == 0) return export(db, operand);
    if (strcmp(name, "import") == 0) return import(db, operand);
    if (strcmp(name, "merge") == 0) return merge(db, operand);
    if (strcmp(name, "prune") == 0) return prune(db, operand);
    if (strcmp(name, "why") == 0) return why(db, db->options);
    return usage_error(
        "hako db has no command '%s': it has ls, show, export, import, merge, prune, why", name);
}

int command_db(Options *options)
{
    if (options->file_count < 1 || options->file_count > 2)
        return usage_error("hako db wants one of ls, show, export, import, merge, prune, why");
    const char *name = options->files[0],
               *operand = options->file_count > 1 ? options->files[1] : NULL;
    bool writes =
        strcmp(name, "import") == 0 || strcmp(name, "merge") == 0 || strcmp(name, "prune") == 0;
    hk_context_options context = {.struct_size = sizeof context};
    Db db = {.options = options};
    hk_error *error;
    hk_status status = hk_context_create(&context, &db.context, &error);
    int code = report(options, status, error);
    if (code == 0) code = db_open(options, db.context, writes, &db.store);
    if (code == 0 && !db.store) {
        printf("there is no tuning database yet: `hako tune` makes one\n");
    } else if (code == 0) {
        code = run_command(&db, name, operand);
    }
    hk_store_free(db.store);
    hk_context_free(db.context);
    return code;
}
