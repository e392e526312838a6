// The tuning database: SQLite, one row for each evaluation, safe under many processes and after a
// kill.
//
//   problem  what was tuned: a kernel's code, sizes, target and machine
//   run      one search of a problem
//   eval     one Config that it tried; without outcome: started, and nothing more is known
//   best     what the last finals of a problem decided
//
// Rows are keyed by the run's random name and a number, so that databases merge without duplicates.
#include "runtime/store.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

enum { SCHEMA_VERSION = 2, BUSY_MS = 60000 };

static const char schema[] =
    "PRAGMA user_version = 2;"
    "CREATE TABLE IF NOT EXISTS problem(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kernel "
    "TEXT,"
    " code TEXT, sizes TEXT, target TEXT, machine TEXT);"
    "CREATE TABLE IF NOT EXISTS run(uid TEXT PRIMARY KEY, problem INTEGER NOT NULL REFERENCES "
    "problem,"
    " started REAL, seed INTEGER, search TEXT, budget REAL, version TEXT) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS eval(run TEXT NOT NULL REFERENCES run, seq INTEGER NOT NULL, "
    "config TEXT,"
    " origin TEXT, outcome TEXT, median REAL, error REAL, compile REAL, samples TEXT, reason TEXT,"
    " PRIMARY KEY(run, seq)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS best(problem INTEGER PRIMARY KEY REFERENCES problem, config TEXT,"
    " improved INTEGER, gain REAL, low REAL, high REAL, noise REAL, initial REAL, seconds REAL, "
    "run TEXT,"
    " at REAL);"
    "CREATE INDEX IF NOT EXISTS run_problem ON run(problem);";

// From the version before to this one.
static const char upgrade[] = "PRAGMA user_version = 2; ALTER TABLE eval ADD COLUMN reason TEXT;";
static const char *const steps[SCHEMA_VERSION + 1] = {schema, upgrade, ""}; // by version

// ---- problems

// The code's text without names of files and places, which comments and layout change.
static uint64_t hash_without_places(Str text)
{
    uint64_t h = 14695981039346656037u;
    size_t k = 0;
    while (k < text.length && text.data[k] != '\n') k++; // the first line names the file
    for (; k < text.length; k++) {
        if (text.data[k] == ' ' && k + 1 < text.length && text.data[k + 1] == '@') {
            while (k < text.length && text.data[k] != '\n' && text.data[k] != '{') {
                k++;
                if (k < text.length && text.data[k] == ' ') break;
            }
        }
        if (k < text.length) h = (h ^ (unsigned char)text.data[k]) * 1099511628211u;
    }
    return h;
}

// A device's number says nothing on another machine, or with another driver.
static Str opencl_text(Arena *arena, OpenclSystem *system, uint32_t device)
{
    enum { DEVICES_MAX = 16 };
    OpenclDevice *devices = arena_array(arena, OpenclDevice, DEVICES_MAX);
    char reason[256];
    uint32_t count = opencl_devices(system, devices, DEVICES_MAX, reason, sizeof reason);
    if (device >= count || device >= DEVICES_MAX)
        return str_format(arena, "opencl device %u", device);
    const OpenclDevice *d = &devices[device];
    return str_format(arena, "%s, %s %s, %u compute units", d->name, d->platform, d->driver,
                      d->compute_units);
}

static Str machine_text(Arena *arena, const hk_exec *exec)
{
    const hk_context *context = exec->kernel->module->context;
    if (exec->request.target == HK_TARGET_OPENCL)
        return opencl_text(arena, context->opencl, exec->request.device);
    const Machine *m = &context->machine;
    return str_format(arena, "%.*s, %u threads, vectors of %u bytes, L2 %lld KiB",
                      STR_ARG(llvm_host_cpu(arena)), exec->threads, m->vector_bytes,
                      (long long)(m->l2_bytes / 1024));
}

Problem problem_of(Arena *arena, const hk_exec *exec)
{
    static const char *const targets[] = {"cpu", "opencl", "interp"};
    Buf text = {.arena = arena}, sizes = {.arena = arena};
    func_print(&text, exec->tile);
    buf_add(&sizes, "", 0);
    for (uint32_t d = 0; d < exec->tile->dims.count; d++)
        buf_printf(&sizes, "%s%s = %lld", d ? ", " : "", exec->dim_names[d],
                   (long long)exec->dims[d]);
    for (uint32_t m = 1; m < exec->tile->mems.count && exec->strides;
         m++) { // other strides: another problem
        const MemInfo *mem = mem_at(exec->tile, (Mem){m});
        for (uint32_t p = 0; p < mem->rank; p++)
            if (exec->strides[m * RANK_MAX + p] == INT64_MIN)
                buf_printf(&sizes, ", %.*s strided in %u", STR_ARG(mem->name), p);
    }
    Problem problem = {.kernel = str_of(exec->kernel->name),
                       .code = str_format(arena, "%016llx",
                                          (unsigned long long)hash_without_places(buf_view(&text))),
                       .sizes = buf_view(&sizes),
                       .target = str_of(targets[exec->request.target]),
                       .machine = machine_text(arena, exec)};
    problem.key = str_format(arena, "%.*s|%.*s|%.*s|%.*s|%.*s", STR_ARG(problem.kernel),
                             STR_ARG(problem.code), STR_ARG(problem.sizes), STR_ARG(problem.target),
                             STR_ARG(problem.machine));
    return problem;
}

typedef struct KeyJob {
    const hk_exec *exec;
    const Problem *problem;
} KeyJob;

static void keep_problem(void *self)
{
    KeyJob *job = self;
    Arena *arena = &((hk_exec *)job->exec)->arena;
    Problem made = problem_of(arena, job->exec);
    job->problem = arena_copy(arena, &made, sizeof made);
}

const Problem *exec_problem(const hk_exec *exec)
{
    hk_module *module = exec->kernel->module;
    hk_exec *own = (hk_exec *)exec; // what is kept is not part of its meaning
    pthread_mutex_lock(&module->lock);
    KeyJob job = {.exec = exec};
    if (!own->problem && guarded(&own->arena, keep_problem, &job)) own->problem = job.problem;
    own->arena.out_of_memory = NULL;
    pthread_mutex_unlock(&module->lock);
    return own->problem;
}

// ---- opening

hk_status store_complain(const hk_store *store, hk_error **error, const char *doing)
{
    return fail(&store->context->allocator, error, HK_ERROR_ENVIRONMENT, DIAG_STORE,
                "tuning database: %s: %s", doing, store_message(store));
}

const char *store_message(const hk_store *store)
{
    return store && store->db ? sqlite3_errmsg(store->db) : "out of memory";
}

static int64_t version_of(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    int64_t version = -1;
    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        version = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return version;
}

// SQLite's word on a file that is not too large to be read whole.
static bool is_whole(sqlite3 *db, const char *path, char *damage, size_t bytes)
{
    enum { LARGE = 64 << 20 };
    struct stat info;
    sqlite3_stmt *s = NULL;
    if (stat(path, &info) != 0 || info.st_size > LARGE) return true;
    if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &s, NULL) != SQLITE_OK) return true;
    const char *found = sqlite3_step(s) == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0)
                                                      : sqlite3_errmsg(db);
    snprintf(damage, bytes, "%s", found ? found : "?");
    damage[strcspn(damage, "\n")] = 0;
    sqlite3_finalize(s);
    return strcmp(damage, "ok") == 0;
}

// What is only read stays as it is, but looks like one of this version.
static hk_status show_version_1(hk_store *store, const char *path, hk_error **error)
{
    static const char view[] = "CREATE TEMP VIEW eval AS SELECT *, NULL AS reason FROM main.eval";
    bool made = sqlite3_exec(store->db, view, NULL, NULL, NULL) == SQLITE_OK;
    return made ? HK_OK : store_complain(store, error, path);
}

static hk_status prepare(hk_store *store, const char *path, bool writable, hk_error **error)
{
    const Allocator *allocator = &store->context->allocator;
    sqlite3_busy_timeout(store->db, BUSY_MS);
    int64_t version = version_of(store->db);
    if (version < 0) return store_complain(store, error, path);
    if (version > SCHEMA_VERSION) {
        return fail(
            allocator, error, HK_ERROR_ENVIRONMENT, DIAG_STORE,
            "tuning database: %s is of a newer Hako (its version is %lld, this one knows %d); "
            "use that Hako, or another file",
            path, (long long)version, SCHEMA_VERSION);
    }
    if (!writable) return version == 1 ? show_version_1(store, path, error) : HK_OK;
    char damage[128];
    if (!is_whole(store->db, path, damage, sizeof damage)) {
        return fail(allocator, error, HK_ERROR_ENVIRONMENT, DIAG_STORE,
                    "tuning database: %s is damaged (%s); `hako db export` may still read it: "
                    "import that into a new one",
                    path, damage);
    }
    // What a kill may lose is the last rows, never the file.
    sqlite3_exec(store->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", NULL, NULL,
                 NULL);
    if (version == SCHEMA_VERSION) return HK_OK;
    bool begun = sqlite3_exec(store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
    version = version_of(store->db); // others may have been faster
    bool made = begun && version >= 0 && version <= SCHEMA_VERSION &&
                sqlite3_exec(store->db, steps[version], NULL, NULL, NULL) == SQLITE_OK &&
                sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
    return made ? HK_OK : store_complain(store, error, path);
}

// Of a folder that this process cannot write, where SQLite has no place for its locks: as a file
// that nobody changes.
static bool open_unchanging(hk_store *store, const char *path)
{
    char uri[4096] = "file:";
    size_t n = strlen(uri);
    for (; *path && n + sizeof "%00?immutable=1" < sizeof uri; path++)
        n += (size_t)snprintf(uri + n, sizeof uri - n, strchr("%?#", *path) ? "%%%02x" : "%c",
                              *path);
    if (*path) return false;
    snprintf(uri + n, sizeof uri - n, "?immutable=1");
    sqlite3_close(store->db);
    return sqlite3_open_v2(uri, &store->db,
                           SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
                           NULL) == SQLITE_OK;
}

static bool open_file(hk_store *store, const char *path, bool writable)
{
    int flags = SQLITE_OPEN_FULLMUTEX |
                (writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK) return false;
    if (writable || version_of(store->db) >= 0) return true;
    int code = sqlite3_errcode(store->db);
    return code == SQLITE_READONLY || code == SQLITE_CANTOPEN ? open_unchanging(store, path) : true;
}

hk_status hk_store_open(hk_context *context, const char *path, bool writable, hk_store **store,
                        hk_error **error)
{
    if (error) *error = NULL;
    if (store) *store = NULL;
    if (!context || !path || !store) return fail_usage(error, "hk_store_open: an argument is NULL");
    const Allocator *allocator = &context->allocator;
    hk_store *made = allocator->resize(allocator->self, NULL, 0, sizeof *made);
    if (!made) return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    *made = (hk_store){.context = context};
    context_retain(context);
    pthread_mutex_init(&made->lock, NULL);
    hk_status status = open_file(made, path, writable) ? prepare(made, path, writable, error)
                                                       : store_complain(made, error, path);
    if (status == HK_OK)
        *store = made;
    else
        hk_store_free(made);
    return status;
}

void hk_store_free(hk_store *store)
{
    if (!store) return;
    hk_context *context = store->context;
    sqlite3_finalize(store->look_up);
    sqlite3_finalize(store->look_near);
    sqlite3_close(store->db);
    pthread_mutex_destroy(&store->lock);
    context->allocator.resize(context->allocator.self, store, sizeof *store, 0);
    context_release(context);
}

// ---- statements with their values: t text (Str *), s text, i int64_t, d double; capitals may be
// absent

static sqlite3_stmt *bound(hk_store *store, const char *sql, const char *kinds, va_list values)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(store->db, sql, -1, &s, NULL) != SQLITE_OK) return NULL;
    for (int k = 0; kinds[k]; k++) {
        if (kinds[k] == 't') {
            const Str *text = va_arg(values, const Str *);
            sqlite3_bind_text(s, k + 1, text->data, (int)text->length, SQLITE_TRANSIENT);
        } else if (kinds[k] == 's') {
            const char *text = va_arg(values, const char *);
            if (text) sqlite3_bind_text(s, k + 1, text, -1, SQLITE_TRANSIENT);
        } else if (kinds[k] == 'i') {
            sqlite3_bind_int64(s, k + 1, va_arg(values, int64_t));
        } else {
            double number = va_arg(values, double);
            if (isfinite(number)) sqlite3_bind_double(s, k + 1, number);
        }
    }
    return s;
}

// Runs a statement that gives no rows.
static bool run_sql(hk_store *store, const char *sql, const char *kinds, ...)
{
    va_list values;
    va_start(values, kinds);
    sqlite3_stmt *s = bound(store, sql, kinds, values);
    va_end(values);
    if (!s) return false;
    int code = sqlite3_step(s);
    bool ok = code == SQLITE_DONE || code == SQLITE_ROW;
    return sqlite3_finalize(s) == SQLITE_OK && ok;
}

// The first column of the first row; `otherwise` without one.
static int64_t number_of(hk_store *store, int64_t otherwise, const char *sql, const char *kinds,
                         ...)
{
    va_list values;
    va_start(values, kinds);
    sqlite3_stmt *s = bound(store, sql, kinds, values);
    va_end(values);
    if (s && sqlite3_step(s) == SQLITE_ROW) otherwise = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return otherwise;
}

// ---- recording

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int64_t problem_id(hk_store *store, const Problem *p)
{
    if (!run_sql(store,
                 "INSERT OR IGNORE INTO problem(key, kernel, code, sizes, target, machine)"
                 " VALUES(?, ?, ?, ?, ?, ?)",
                 "tttttt", &p->key, &p->kernel, &p->code, &p->sizes, &p->target, &p->machine))
        return -1;
    return number_of(store, -1, "SELECT id FROM problem WHERE key = ?", "t", &p->key);
}

bool store_begin(StoreRun *run, const Problem *problem, const hk_tune_options *options,
                 const char *search)
{
    if (!run->store) return true;
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return false;
    for (size_t k = 0; k < sizeof bytes; k++) snprintf(&run->uid[2 * k], 3, "%02x", bytes[k]);
    run->problem = problem_id(run->store, problem);
    return run->problem >= 0 &&
           run_sql(run->store, "INSERT INTO run VALUES(?, ?, ?, ?, ?, ?, ?)", "sidisds", run->uid,
                   run->problem, now(), (int64_t)options->seed, search, options->budget_seconds,
                   hk_version_text());
}

bool store_started(StoreRun *run, const char *config, const char *origin)
{
    run->sequence++;
    if (!run->store) return true;
    return run_sql(run->store, "INSERT INTO eval(run, seq, config, origin) VALUES(?, ?, ?, ?)",
                   "siss", run->uid, run->sequence, config, origin);
}

bool store_measured(StoreRun *run, int64_t number, const hk_evaluation *e)
{
    if (!run->store) return true;
    char samples[HK_SAMPLES_MAX * 24 + 3] = "[";
    size_t n = 1;
    for (size_t k = 0; k < e->count; k++)
        n += (size_t)snprintf(samples + n, sizeof samples - n, "%s%.9g", k ? "," : "",
                              e->seconds[k]);
    snprintf(samples + n, sizeof samples - n, "]");
    return run_sql(
        run->store,
        "UPDATE eval SET outcome = ?, median = ?, error = ?, compile = ?, samples = ?, reason = ?"
        " WHERE run = ? AND seq = ?",
        "sdddsssi", hk_outcome_text(e->outcome), e->median, e->error_ratio, e->compile_seconds,
        samples, *e->reason ? e->reason : NULL, run->uid, number);
}

bool store_finish(StoreRun *run, const hk_tune_result *r)
{
    if (!run->store) return true;
    return run_sql(run->store,
                   "INSERT OR REPLACE INTO best(problem, config, improved, gain, low, high, noise,"
                   " initial, seconds, run, at) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "isiddddddsd", run->problem, hk_text_data(r->config), (int64_t)r->improved,
                   r->gain, r->gain_low, r->gain_high, r->noise, r->default_seconds,
                   r->best_seconds, run->uid, now());
}

bool store_past(const StoreRun *run, const Problem *problem,
                void (*tell)(void *self, const char *config, int outcome, double median),
                void *self)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(
            run->store->db,
            "SELECT config, max(outcome), min(median) FROM eval JOIN run ON run.uid = eval.run"
            " JOIN problem ON problem.id = run.problem WHERE problem.key = ?1 AND run.uid != ?2"
            " AND origin != 'final' GROUP BY config HAVING max(outcome) IS NOT NULL OR count(*) > 1"
            " ORDER BY min(started), min(seq)",
            -1, &s, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_text(s, 1, problem->key.data, (int)problem->key.length, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, run->uid, -1, SQLITE_STATIC);
    int code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        const char *word = (const char *)sqlite3_column_text(s, 1);
        int outcome = -1;
        for (int k = 0; word && k < HK_OUTCOME_COUNT; k++)
            if (strcmp(word, hk_outcome_text((hk_outcome)k)) == 0) outcome = k;
        bool timed = sqlite3_column_type(s, 2) == SQLITE_FLOAT;
        tell(self, (const char *)sqlite3_column_text(s, 0), outcome,
             timed ? sqlite3_column_double(s, 2) : INFINITY);
    }
    sqlite3_finalize(s);
    return code == SQLITE_DONE;
}

// ---- telling and moving what is in it

typedef struct ProblemJob {
    Arena arena;
    const hk_exec *exec;
    Buf out;
} ProblemJob;

static void print_problem(void *self)
{
    ProblemJob *job = self;
    const Problem p = problem_of(&job->arena, job->exec);
    const struct {
        const char *name;
        Str text;
    } fields[] = {{"kernel", p.kernel},
                  {"code", p.code},
                  {"sizes", p.sizes},
                  {"target", p.target},
                  {"machine", p.machine}};
    job->out.arena = &job->arena;
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
        buf_printf(&job->out, "%s\"%s\": ", k ? ", " : "{", fields[k].name);
        json_text(&job->out, str_copy(&job->arena, fields[k].text).data);
    }
    buf_char(&job->out, '}');
}

hk_status hk_exec_problem(const hk_exec *exec, hk_text **json, hk_error **error)
{
    if (error) *error = NULL;
    if (json) *json = NULL;
    if (!exec || !json) return fail_usage(error, "hk_exec_problem: an argument is NULL");
    const Allocator *allocator = &exec->kernel->module->context->allocator;
    ProblemJob job = {.exec = exec};
    arena_init(&job.arena, allocator);
    hk_status status = guarded(&job.arena, print_problem, &job)
                           ? text_new(allocator, buf_view(&job.out), json, error)
                           : fail(NULL, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    arena_free(&job.arena);
    return status;
}

static const char list_problems[] =
    "SELECT json_object('kernel', kernel, 'sizes', sizes, 'target', target, 'machine', machine, "
    "'code', code,"
    " 'config', config, 'improved', improved, 'gain', gain, 'gain_low', low, 'gain_high', high, "
    "'noise', noise,"
    " 'default_seconds', initial, 'seconds', seconds, 'evaluations', (SELECT count(*) FROM run "
    "JOIN eval"
    " ON eval.run = run.uid WHERE run.problem = problem.id), 'failed', (SELECT count(*) FROM run "
    "JOIN "
    "eval ON eval.run = run.uid WHERE run.problem = problem.id AND outcome NOT IN ('ok', 'slow')), "
    "'reason', (SELECT outcome || ': ' || reason FROM run JOIN eval ON eval.run = run.uid WHERE "
    "run.problem = problem.id AND reason IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT 1)) "
    "FROM problem LEFT JOIN best ON "
    "best.problem ="
    " problem.id WHERE ?1 IS NULL OR kernel = ?1 ORDER BY kernel, sizes, target, machine";

static const char list_evaluations[] =
    "SELECT json_object('type', 'evaluation', 'key', key, 'kernel', kernel, 'code', code, 'sizes', "
    "sizes,"
    " 'target', target, 'machine', machine, 'run', run.uid, 'started', started, 'seed', seed, "
    "'search', search,"
    " 'budget', budget, 'version', version, 'seq', seq, 'config', config, 'origin', origin, "
    "'outcome', outcome,"
    " 'median', median, 'error', error, 'compile', compile, 'samples', samples, "
    "'reason', reason) FROM eval JOIN run ON run.uid ="
    " eval.run JOIN problem ON problem.id = run.problem WHERE ?1 IS NULL OR kernel = ?1"
    " ORDER BY started, run.uid, seq";

static const char list_best[] = "SELECT json_object('type', 'best', 'key', key, 'kernel', kernel, "
                                "'code', code, 'sizes', sizes, 'target',"
                                " target, 'machine', machine, 'config', config, 'improved', "
                                "improved, 'gain', gain, 'low', low, 'high', high,"
                                " 'noise', noise, 'initial', initial, 'seconds', seconds, 'run', "
                                "run, 'at', at) FROM best JOIN problem ON"
                                " problem.id = best.problem WHERE ?1 IS NULL OR kernel = ?1 ORDER "
                                "BY kernel, sizes, target, machine";

typedef struct ListJob {
    Arena arena;
    hk_store *store;
    const char *sql, *kernel;
    sqlite3_stmt *statement;
    Buf out;
    bool failed;
} ListJob;

static void list(void *self)
{
    ListJob *job = self;
    job->out.arena = &job->arena;
    buf_add(&job->out, "", 0);
    int code = sqlite3_prepare_v2(job->store->db, job->sql, -1, &job->statement, NULL);
    sqlite3_stmt *s = job->statement;
    job->failed = code != SQLITE_OK;
    if (job->failed) return;
    if (job->kernel) sqlite3_bind_text(s, 1, job->kernel, -1, SQLITE_STATIC);
    while ((code = sqlite3_step(s)) == SQLITE_ROW)
        buf_printf(&job->out, "%s\n", (const char *)sqlite3_column_text(s, 0));
    job->failed = code != SQLITE_DONE;
}

hk_status hk_store_list(hk_store *store, hk_store_rows rows, const char *kernel, hk_text **json,
                        hk_error **error)
{
    if (error) *error = NULL;
    if (json) *json = NULL;
    if (!store || !json) return fail_usage(error, "hk_store_list: an argument is NULL");
    ListJob job = {.store = store, .kernel = kernel};
    job.sql = rows == HK_STORE_EVALUATIONS ? list_evaluations
              : rows == HK_STORE_BEST      ? list_best
                                           : list_problems;
    arena_init(&job.arena, &store->context->allocator);
    hk_status status;
    bool enough = guarded(&job.arena, list, &job);
    sqlite3_finalize(job.statement);
    if (!enough)
        status = fail(NULL, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    else if (job.failed)
        status = store_complain(store, error, "reading");
    else
        status = text_new(&store->context->allocator, buf_view(&job.out), json, error);
    arena_free(&job.arena);
    return status;
}

// clang-format off
#define J(name) "json_extract(?1, '$." name "')"
static const char import_problem[] =
    "INSERT OR IGNORE INTO problem(key, kernel, code, sizes, target, machine) SELECT "
    J("key") ", " J("kernel") ", " J("code") ", " J("sizes") ", " J("target") ", " J("machine");
static const char import_run[] =
    "INSERT OR IGNORE INTO run SELECT " J("run") ", id, " J("started") ", " J("seed") ", "
    J("search") ", " J("budget") ", " J("version")
    " FROM problem WHERE key = " J("key") " AND " J("type") " = 'evaluation'";
static const char import_eval[] =
    "INSERT OR IGNORE INTO eval SELECT " J("run") ", " J("seq") ", " J("config") ", "
    J("origin") ", " J("outcome") ", " J("median") ", " J("error") ", " J("compile") ", "
    J("samples") ", " J("reason") " WHERE " J("type") " = 'evaluation'";
static const char import_best[] =
    "INSERT INTO best SELECT id, " J("config") ", " J("improved") ", " J("gain") ", "
    J("low") ", " J("high") ", " J("noise") ", " J("initial") ", " J("seconds") ", "
    J("run") ", " J("at")
    " FROM problem WHERE key = " J("key") " AND " J("type") " = 'best'"
    " ON CONFLICT(problem) DO UPDATE SET config = excluded.config,"
    " improved = excluded.improved, gain = excluded.gain, low = excluded.low,"
    " high = excluded.high, noise = excluded.noise, initial = excluded.initial,"
    " seconds = excluded.seconds, run = excluded.run, at = excluded.at"
    " WHERE excluded.at > best.at";
#undef J
// clang-format on

// One line of hk_store_list, of evaluations or of the best. A best of later date wins.
static bool import_line(hk_store *store, const Str *line)
{
    return run_sql(store, import_problem, "t", line) && run_sql(store, import_run, "t", line) &&
           run_sql(store, import_eval, "t", line) && run_sql(store, import_best, "t", line);
}

hk_status hk_store_import(hk_store *store, const char *lines, size_t length, uint64_t *added,
                          hk_error **error)
{
    static const char counting[] =
        "SELECT (SELECT count(*) FROM eval) + (SELECT count(*) FROM best)";
    if (error) *error = NULL;
    if (added) *added = 0;
    if (!store || !lines) return fail_usage(error, "hk_store_import: an argument is NULL");
    if (length == HK_TERMINATED) length = strlen(lines);
    if (!run_sql(store, "BEGIN IMMEDIATE", "")) return store_complain(store, error, "importing");
    int64_t before = number_of(store, 0, counting, "");
    for (size_t at = 0, number = 1; at < length; number++) {
        const char *end = memchr(lines + at, '\n', length - at);
        Str line = {lines + at, end ? (size_t)(end - lines) - at : length - at};
        at += line.length + 1;
        if (line.length == 0 || import_line(store, &line)) continue;
        hk_status status = fail(&store->context->allocator, error, HK_ERROR_ENVIRONMENT, DIAG_STORE,
                                "tuning database: line %zu is not one of an export: %s", number,
                                store_message(store));
        run_sql(store, "ROLLBACK", "");
        return status;
    }
    if (added) *added = (uint64_t)(number_of(store, 0, counting, "") - before);
    return run_sql(store, "COMMIT", "") ? HK_OK : store_complain(store, error, "importing");
}

hk_status hk_store_prune(hk_store *store, const char *kernel, double older_seconds,
                         uint64_t *removed, hk_error **error)
{
    if (error) *error = NULL;
    if (removed) *removed = 0;
    if (!store) return fail_usage(error, "hk_store_prune: the store is NULL");
    double before = now() - older_seconds;
    bool ok = run_sql(store, "BEGIN IMMEDIATE", "");
    int64_t count = number_of(store, 0, "SELECT count(*) FROM eval", "");
    ok = ok &&
         run_sql(store,
                 "DELETE FROM eval WHERE run IN (SELECT uid FROM run JOIN problem ON problem.id ="
                 " run.problem WHERE started <= ? AND (?2 IS NULL OR kernel = ?2))",
                 "ds", before, kernel) &&
         run_sql(store, "DELETE FROM run WHERE uid NOT IN (SELECT run FROM eval)", "") &&
         run_sql(store,
                 "DELETE FROM best WHERE at <= ? AND problem IN (SELECT id FROM problem WHERE ?2 IS"
                 " NULL OR kernel = ?2)",
                 "ds", before, kernel) &&
         run_sql(store,
                 "DELETE FROM problem WHERE id NOT IN (SELECT problem FROM run) AND id NOT IN"
                 " (SELECT problem FROM best)",
                 "");
    if (removed)
        *removed = (uint64_t)(count - number_of(store, 0, "SELECT count(*) FROM eval", ""));
    if (ok && run_sql(store, "COMMIT", "")) return HK_OK;
    hk_status status = store_complain(store, error, "pruning");
    run_sql(store, "ROLLBACK", "");
    return status;
}
