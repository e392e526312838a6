// Look-ups in the tuning database. Two rules, the first that finds something holds:
//
//   exact  kernel, code, sizes, target and machine are those of a tuning
//   near   all but the sizes are; the nearest sizes, none beyond a factor of two, had a winner; and
//          it is legal here. Where the default won nearby, the default is for here too.
//
// What is further away is left to the model, which knows this size.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/store.h"

typedef struct Found {
    const char *rule, *reason;
    Str config, sizes;
    bool any;
} Found;

typedef struct LookupJob {
    Arena arena;
    hk_store *store;
    const hk_exec *exec;
    const Problem *problem;
    Found found;
    Buf json;
    bool failed;
} LookupJob;

static Str column(Arena *arena, sqlite3_stmt *s, int k)
{
    const char *text = (const char *)sqlite3_column_text(s, k);
    return str_copy(arena, str_of(text ? text : ""));
}

static sqlite3_stmt *kept(hk_store *store, sqlite3_stmt **statement, const char *sql)
{
    if (!*statement) sqlite3_prepare_v2(store->db, sql, -1, statement, NULL);
    return *statement;
}

static void bind(sqlite3_stmt *s, int k, Str text)
{
    sqlite3_bind_text(s, k, text.data, (int)text.length, SQLITE_STATIC);
}

// ---- exact

static void find_exact(LookupJob *job)
{
    hk_store *store = job->store;
    sqlite3_stmt *s = kept(store, &store->look_up,
                           "SELECT config FROM best JOIN problem ON problem.id = best.problem"
                           " WHERE key = ?");
    job->failed = !s;
    if (!s) return;
    bind(s, 1, job->problem->key);
    int code = sqlite3_step(s);
    job->failed = code != SQLITE_ROW && code != SQLITE_DONE;
    if (code == SQLITE_ROW) {
        job->found = (Found){.rule = "exact",
                             .reason = "tuned at these sizes",
                             .config = column(&job->arena, s, 0),
                             .sizes = job->problem->sizes,
                             .any = true};
    }
    sqlite3_reset(s);
}

// ---- near

// Of "M = 512, N = 64, x strided in 1" the next part; its number, if it has one, in *value.
static bool next_part(const char **at, Str *name, double *value)
{
    while (**at == ',' || **at == ' ') (*at)++;
    size_t length = strcspn(*at, ",");
    *name = (Str){*at, length};
    *value = NAN;
    const char *equals = memchr(*at, '=', length);
    if (equals) {
        name->length = (size_t)(equals - *at);
        *value = strtod(equals + 1, NULL);
    }
    *at += length;
    return length > 0;
}

// How often 2 divides it: what leaves no tail here may do so there.
static int evenness(double x)
{
    enum { MOST = 4 };
    int n = 0;
    while (n < MOST && x > 0 && fmod(x, 2) == 0) {
        x /= 2;
        n++;
    }
    return n;
}

// Sum of the binary logarithms of the sizes' ratios; INFINITY if they cannot be compared, or one is
// over a factor of two.
static double distance(const char *a, const char *b)
{
    static const double UNEVEN = 0.25;
    double sum = 0, x, y;
    Str one, other;
    for (;;) {
        bool more = next_part(&a, &one, &x);
        if (more != next_part(&b, &other, &y)) return INFINITY;
        if (!more) return sum;
        if (!str_equal(one, other) || isnan(x) != isnan(y)) return INFINITY;
        if (isnan(x) || x == y) continue;
        double ratio = x > 0 && y > 0 ? fabs(log2(x / y)) : INFINITY;
        if (ratio > 1) return INFINITY;
        sum += ratio + UNEVEN * abs(evenness(x) - evenness(y));
    }
}

static bool is_legal(const LookupJob *job, Str config)
{
    Request request = job->exec->request;
    request.stage = HK_STAGE_LOOP;
    request.tuned = config;
    request.dump = request.stop_after = (Str){0};
    hk_exec *exec = NULL;
    hk_status status = exec_obtain(job->exec->kernel, &request, &exec, NULL);
    hk_exec_free(exec);
    return status == HK_OK;
}

static void find_near(LookupJob *job)
{
    hk_store *store = job->store;
    const Problem *p = job->problem;
    double least = INFINITY;
    bool improved = false;
    sqlite3_stmt *s = kept(store, &store->look_near,
                           "SELECT sizes, config, improved FROM best JOIN problem ON problem.id ="
                           " best.problem WHERE kernel = ? AND code = ? AND target = ? AND machine"
                           " = ? ORDER BY at DESC");
    job->found = (Found){.rule = "none", .reason = "nothing near was tuned"};
    job->failed = !s;
    if (!s) return;
    bind(s, 1, p->kernel);
    bind(s, 2, p->code);
    bind(s, 3, p->target);
    bind(s, 4, p->machine);
    int code;
    const char *asked = str_copy(&job->arena, p->sizes).data;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        Str sizes = column(&job->arena, s, 0);
        double far = distance(asked, sizes.data);
        if (far >= least) continue;
        least = far;
        improved = sqlite3_column_int(s, 2);
        job->found.sizes = sizes;
        job->found.config = column(&job->arena, s, 1);
    }
    job->failed = code != SQLITE_DONE;
    sqlite3_reset(s);
    if (isinf(least)) return;
    job->found.reason = "the nearest sizes keep their default";
    if (!improved) return;
    job->found.any = is_legal(job, job->found.config);
    job->found.reason = job->found.any ? "tuned at the nearest sizes, none over a factor of two"
                                       : "the Config of the nearest sizes is not legal here";
    if (job->found.any) job->found.rule = "near";
}

// ---- the calls

static void look_up(void *self)
{
    LookupJob *job = self;
    find_exact(job);
    if (!job->failed && !job->found.any) find_near(job);
}

static void look_up_explained(void *self)
{
    LookupJob *job = self;
    look_up(job);
    const Found *found = &job->found;
    job->json.arena = &job->arena;
    if (job->failed) return;
    const struct {
        const char *name;
        Str text;
    } fields[] = {{"rule", str_of(found->rule)},
                  {"config", found->any ? found->config : STR("")},
                  {"sizes", found->sizes.data ? found->sizes : STR("")},
                  {"reason", str_of(found->reason)}};
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
        buf_printf(&job->json, "%s\"%s\": ", k ? ", " : "{", fields[k].name);
        json_text(&job->json, str_copy(&job->arena, fields[k].text).data);
    }
    buf_char(&job->json, '}');
}

static hk_status run_look_up(LookupJob *job, void (*work)(void *), hk_error **error)
{
    job->problem = exec_problem(job->exec);
    arena_init(&job->arena, &job->store->context->allocator);
    pthread_mutex_lock(&job->store->lock);
    bool enough = job->problem && guarded(&job->arena, work, job);
    pthread_mutex_unlock(&job->store->lock);
    if (!enough) return fail(NULL, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    return job->failed ? store_complain(job->store, error, "looking up") : HK_OK;
}

hk_status hk_store_lookup(hk_store *store, const hk_exec *exec, hk_text **config, hk_error **error)
{
    if (error) *error = NULL;
    if (config) *config = NULL;
    if (!store || !exec || !config)
        return fail_usage(error, "hk_store_lookup: an argument is NULL");
    LookupJob job = {.store = store, .exec = exec};
    hk_status status = run_look_up(&job, look_up, error);
    if (status == HK_OK && job.found.any)
        status = text_new(&store->context->allocator, job.found.config, config, error);
    arena_free(&job.arena);
    return status;
}

hk_status hk_store_explain(hk_store *store, const hk_exec *exec, hk_text **json, hk_error **error)
{
    if (error) *error = NULL;
    if (json) *json = NULL;
    if (!store || !exec || !json)
        return fail_usage(error, "hk_store_explain: an argument is NULL");
    LookupJob job = {.store = store, .exec = exec};
    hk_status status = run_look_up(&job, look_up_explained, error);
    if (status == HK_OK)
        status = text_new(&store->context->allocator, buf_view(&job.json), json, error);
    arena_free(&job.arena);
    return status;
}
