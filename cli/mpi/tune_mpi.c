// hako-tune-mpi: a sweep of `hako tune` over many machines.
//
//     mpirun -n 4 hako-tune-mpi FILE... --db DATABASE [--resume] [--patience S] [options of hako
//     tune]
//
// Rank 0 hands out one kernel with one row of sizes (a shard) after the other; the other ranks tune
// them, each shard in a process of `hako tune` with a database of its own, and send back what was
// measured. Rank 0 puts that into DATABASE and notes the shard in DATABASE.done, which --resume
// reads. A shard whose process dies is handed out again, TRIES times in all, and so is one whose
// rank is not heard of for --patience seconds; mpirun goes on without that rank if it is told to,
// with --enable-recovery.
//
// A rank's files are in a folder that is named for its machine and process: who begins or ends
// removes those of processes that are no more.
//
// Nothing is started by a process that has called MPI_Init, which does not bear forks everywhere: a
// launcher is forked before.
#include <dirent.h>
#include <errno.h>
#include <mpi.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 3, WORDS = 256, PATH_BYTES = 4096, REQUEST_BYTES = 65536, TICK_MS = 1000 };
enum { TAG_READY = 1, TAG_ALIVE, TAG_DONE, TAG_OUTPUT, TAG_ROWS, TAG_SHARD, TAG_STOP };

typedef struct Task {
    char hako[PATH_BYTES], folder[PATH_BYTES]; // the program; where this rank's files are
    const char *db;
    const char *words[WORDS]; // for `hako tune`
    int word_count, first_file;
    double patience;
    bool resume;
    char **shards; // a line for each
    int shard_count;
    int launcher; // socket
    int rank, ranks;
} Task;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "hako-tune-mpi: %s\n", what);
    exit(2);
}

// ---- the launcher

// A request is an output file and a command, as strings; the answer the wait status.
static int run_words(char *request, size_t length)
{
    char *words[WORDS + 1];
    int count = 0, status = 0;
    const char *output = request;
    for (char *at = request + strlen(request) + 1; at < request + length && count < WORDS;
         at += strlen(at) + 1)
        words[count++] = at;
    words[count] = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!freopen(output, "w", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0) _exit(3);
        execv(words[0], words);
        _exit(3);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return pid > 0 ? status : -1;
}

static int start_launcher(void)
{
    int ends[2];
    static char request[REQUEST_BYTES];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) die("no socket");
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) die("no process");
    if (pid > 0) {
        close(ends[1]);
        return ends[0];
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); // with the rank, and what it runs with it
    if (getppid() != parent) _exit(0);
    close(ends[0]);
    for (ssize_t n; (n = read(ends[1], request, sizeof request)) > 0;) {
        int status = run_words(request, (size_t)n);
        if (write(ends[1], &status, sizeof status) < 0) break;
    }
    _exit(0);
}

// 0 if the command went well. Calls tick once a second while it waits.
static int launch(const Task *t, const char *output, const char *const *words, void (*tick)(void))
{
    static char request[REQUEST_BYTES];
    size_t n = 0;
    int status = -1;
    for (int k = -1; k < 0 || words[k]; k++) {
        const char *word = k < 0 ? output : words[k];
        if (n + strlen(word) + 1 > sizeof request) die("the command line is too long");
        n += (size_t)sprintf(request + n, "%s", word) + 1;
    }
    if (write(t->launcher, request, n) < 0) return -1;
    for (struct pollfd ready = {.fd = t->launcher, .events = POLLIN};
         poll(&ready, 1, TICK_MS) == 0;)
        if (tick) tick();
    return read(t->launcher, &status, sizeof status) == sizeof status ? status : -1;
}

// ---- files

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t length = 0;
    FILE *into = open_memstream(&text, &length);
    for (int c; file && into && (c = fgetc(file)) != EOF;) fputc(c, into);
    if (file) fclose(file);
    if (into) fclose(into);
    return text;
}

static void path_in(const Task *t, const char *name, char path[PATH_BYTES])
{
    if (snprintf(path, PATH_BYTES, "%s/%s", t->folder, name) >= PATH_BYTES)
        die("a path is too long");
}

static void remove_files(const char *folder)
{
    static const char *const names[] = {"shard.db", "shard.db-wal", "shard.db-shm", "rows",
                                        "output"};
    char path[PATH_BYTES];
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (snprintf(path, PATH_BYTES, "%s/%s", folder, names[k]) < PATH_BYTES) unlink(path);
}

static void remove_folder(const char *folder)
{
    remove_files(folder);
    rmdir(folder);
}

static const char *temporary(void)
{
    const char *base = getenv("TMPDIR");
    return base && *base ? base : "/tmp";
}

// "hako-tune-", the machine, and "_", which no machine's name has; the process and something drawn
// follow.
static void folder_prefix(char prefix[PATH_BYTES])
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    snprintf(prefix, PATH_BYTES, "hako-tune-%s_", host);
}

static void make_folder(Task *t)
{
    char prefix[PATH_BYTES];
    folder_prefix(prefix);
    if (snprintf(t->folder, PATH_BYTES, "%s/%s%d-XXXXXX", temporary(), prefix, (int)getpid()) >=
            PATH_BYTES ||
        !mkdtemp(t->folder))
        die("there is no folder for temporary files");
}

// Of ranks of this machine that were killed.
static void remove_stale(void)
{
    char prefix[PATH_BYTES], path[PATH_BYTES];
    struct stat info;
    folder_prefix(prefix);
    DIR *all = opendir(temporary());
    for (struct dirent *entry; all && (entry = readdir(all));) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0) continue;
        long pid = strtol(entry->d_name + strlen(prefix), NULL, 10);
        bool gone = pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
        bool fits = snprintf(path, PATH_BYTES, "%s/%s", temporary(), entry->d_name) < PATH_BYTES;
        if (gone && fits && lstat(path, &info) == 0 && S_ISDIR(info.st_mode) &&
            info.st_uid == geteuid())
            remove_folder(path);
    }
    if (all) closedir(all);
}

static int split_lines(char *text, char ***lines)
{
    int count = 0;
    *lines = NULL;
    for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n")) {
        *lines = realloc(*lines, sizeof **lines * (size_t)(count + 1));
        (*lines)[count++] = at;
    }
    return count;
}

// ---- who tunes

static void say_alive(void)
{
    int nothing = 0;
    MPI_Send(&nothing, 1, MPI_INT, 0, TAG_ALIVE, MPI_COMM_WORLD);
}

static void send_text(const char *text, int tag)
{
    size_t length = strlen(text);
    if (length > INT32_MAX) length = 0;
    MPI_Send(text, (int)length, MPI_CHAR, 0, tag, MPI_COMM_WORLD);
}

static int tune_shard(const Task *t, int shard)
{
    char own[PATH_BYTES], rows[PATH_BYTES], output[PATH_BYTES], part[64];
    const char *words[WORDS + 8],
        *export[] = {t->hako, "db", "export", "-o", rows, "--db", own, NULL};
    int n = 0;
    remove_files(t->folder);
    path_in(t, "shard.db", own);
    path_in(t, "rows", rows);
    path_in(t, "output", output);
    snprintf(part, sizeof part, "%d/%d", shard + 1, t->shard_count);
    words[n++] = t->hako;
    words[n++] = "tune";
    for (int k = 0; k < t->word_count; k++) words[n++] = t->words[k];
    words[n++] = "--shard";
    words[n++] = part;
    words[n++] = "--db";
    words[n++] = own;
    words[n] = NULL;
    int status = launch(t, output, words, say_alive);
    char *said = read_file(output);
    if (status == 0) status = launch(t, output, export, say_alive);
    char *all = status == 0 ? read_file(rows) : NULL;
    int answer[2] = {shard, status};
    MPI_Send(answer, 2, MPI_INT, 0, TAG_DONE, MPI_COMM_WORLD);
    send_text(said ? said : "", TAG_OUTPUT);
    send_text(all ? all : "", TAG_ROWS);
    free(said);
    free(all);
    remove_files(t->folder);
    return status;
}

// Sleeps until there is a message: a waiting MPI call would keep a core busy that others measure
// on.
static void wait_for_message(MPI_Status *status)
{
    int there = 0;
    while (!there) {
        MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &there, status);
        if (!there) usleep(20000);
    }
}

// True if all went well until the end.
static bool work(const Task *t)
{
    for (int shard = 0;;) {
        MPI_Status status;
        MPI_Send(&shard, 1, MPI_INT, 0, TAG_READY, MPI_COMM_WORLD);
        wait_for_message(&status);
        MPI_Recv(&shard, 1, MPI_INT, 0, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
        if (status.MPI_TAG == TAG_STOP) return shard == 0; // whether no rank was lost
        tune_shard(t, shard);
    }
}

// ---- who hands out

typedef struct Shard {
    int rank, tries; // 0: with nobody
    bool done;
} Shard;

typedef struct Manager {
    const Task *task;
    Shard *shards;
    double *heard; // by rank, 0: nothing yet
    bool *lost, *waits, *stopped;
    int done, failed, lost_count;
    double begin;
} Manager;

static int next_shard(const Manager *m)
{
    for (int k = 0; k < m->task->shard_count; k++)
        if (!m->shards[k].done && !m->shards[k].rank && m->shards[k].tries < TRIES) return k;
    return -1;
}

static bool all_over(const Manager *m)
{
    for (int k = 0; k < m->task->shard_count; k++)
        if (!m->shards[k].done && (m->shards[k].rank || m->shards[k].tries < TRIES)) return false;
    return true;
}

static void hand_out(Manager *m)
{
    for (int r = 1; r < m->task->ranks; r++) {
        int k = m->waits[r] && !m->lost[r] ? next_shard(m) : -1;
        if (k < 0) continue;
        m->shards[k].rank = r;
        m->shards[k].tries++;
        m->waits[r] = false;
        MPI_Send(&k, 1, MPI_INT, r, TAG_SHARD, MPI_COMM_WORLD);
    }
}

static char *receive_text(int from, int tag)
{
    MPI_Status status;
    int length;
    MPI_Probe(from, tag, MPI_COMM_WORLD, &status);
    MPI_Get_count(&status, MPI_CHAR, &length);
    char *text = calloc(1, (size_t)length + 1);
    MPI_Recv(text, length, MPI_CHAR, from, tag, MPI_COMM_WORLD, &status);
    return text;
}

static bool keep_rows(const Manager *m, const char *rows)
{
    char path[PATH_BYTES], output[PATH_BYTES];
    const char *words[] = {m->task->hako, "db", "import", path, "--db", m->task->db, NULL};
    path_in(m->task, "rows", path);
    path_in(m->task, "output", output);
    FILE *file = fopen(path, "w");
    bool ok = file && fputs(rows, file) != EOF;
    if (file) ok = fclose(file) == 0 && ok;
    return ok && launch(m->task, output, words, NULL) == 0;
}

static void note_done(const Manager *m, int k)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s.done", m->task->db);
    FILE *file = fopen(path, "a");
    if (!file) return;
    fprintf(file, "%s\n", m->task->shards[k]);
    fclose(file);
}

static void take_result(Manager *m, int from)
{
    int answer[2];
    MPI_Recv(answer, 2, MPI_INT, from, TAG_DONE, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    char *said = receive_text(from, TAG_OUTPUT), *rows = receive_text(from, TAG_ROWS);
    int k = answer[0];
    Shard *shard = &m->shards[k];
    bool again = shard->done, kept = answer[1] == 0 && keep_rows(m, rows);
    shard->rank = 0;
    if (kept && !again) {
        shard->done = true;
        m->done++;
        note_done(m, k);
    }
    printf("%7.1f s  %d of %d done  rank %d: %s: %s\n", now() - m->begin, m->done,
           m->task->shard_count, from, m->task->shards[k],
           kept             ? "ok"
           : answer[1] != 0 ? "failed"
                            : "its rows could not be kept");
    if (!kept) printf("%s", said);
    if (!kept && shard->tries >= TRIES) m->failed++;
    fflush(stdout);
    free(said);
    free(rows);
}

// Who has not been heard of for long is lost, and what it had goes to others.
static void miss_ranks(Manager *m)
{
    for (int r = 1; r < m->task->ranks; r++) {
        bool busy = false;
        for (int k = 0; k < m->task->shard_count; k++) busy |= m->shards[k].rank == r;
        if (m->lost[r] || !busy || now() - m->heard[r] < m->task->patience) continue;
        m->lost[r] = true;
        m->lost_count++;
        printf("%7.1f s  rank %d is lost\n", now() - m->begin, r);
        for (int k = 0; k < m->task->shard_count; k++) {
            if (m->shards[k].rank != r) continue;
            m->shards[k].rank = 0;
            m->shards[k].tries--; // not the shard's fault
        }
    }
}

static void take_message(Manager *m)
{
    MPI_Status status;
    int there, nothing;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &there, &status);
    if (!there) {
        usleep(20000);
        return;
    }
    int from = status.MPI_SOURCE;
    m->heard[from] = now();
    if (status.MPI_TAG == TAG_DONE) {
        take_result(m, from);
        return;
    }
    MPI_Recv(&nothing, 1, MPI_INT, from, status.MPI_TAG, MPI_COMM_WORLD, &status);
    if (status.MPI_TAG == TAG_READY) m->waits[from] = true;
}

static void skip_known(Manager *m)
{
    char path[PATH_BYTES], **lines;
    snprintf(path, sizeof path, "%s.done", m->task->db);
    if (!m->task->resume) {
        unlink(path);
        return;
    }
    char *text = read_file(path);
    int count = text ? split_lines(text, &lines) : 0;
    for (int k = 0; k < m->task->shard_count; k++)
        for (int n = 0; n < count && !m->shards[k].done; n++)
            m->shards[k].done = strcmp(lines[n], m->task->shards[k]) == 0;
    for (int k = 0; k < m->task->shard_count; k++) m->done += m->shards[k].done;
    if (m->done) printf("%d of %d done before\n", m->done, m->task->shard_count);
}

static int ranks_left(const Manager *m)
{
    int left = 0;
    for (int r = 1; r < m->task->ranks; r++) left += !m->lost[r] && !m->stopped[r];
    return left;
}

// Everyone who is left has asked for more by now, or will.
static void stop_ranks(Manager *m)
{
    double end = now() + m->task->patience;
    while (ranks_left(m) && now() < end) {
        for (int r = 1; r < m->task->ranks; r++) {
            if (!m->waits[r] || m->stopped[r]) continue;
            MPI_Send(&m->lost_count, 1, MPI_INT, r, TAG_STOP, MPI_COMM_WORLD);
            m->stopped[r] = true;
        }
        take_message(m);
    }
}

static bool manage(const Task *t, bool *whole)
{
    size_t ranks = (size_t)t->ranks;
    Manager m = {.task = t,
                 .shards = calloc((size_t)t->shard_count + 1, sizeof(Shard)),
                 .heard = calloc(ranks, sizeof(double)),
                 .lost = calloc(ranks, sizeof(bool)),
                 .waits = calloc(ranks, sizeof(bool)),
                 .stopped = calloc(ranks, sizeof(bool)),
                 .begin = now()};
    skip_known(&m);
    while (!all_over(&m) && m.lost_count < t->ranks - 1) {
        hand_out(&m);
        take_message(&m);
        miss_ranks(&m);
    }
    stop_ranks(&m);
    printf("%d of %d shards done, %d failed, %d ranks lost, %.1f s\n", m.done, t->shard_count,
           t->shard_count - m.done, m.lost_count, now() - m.begin);
    fflush(stdout);
    *whole = m.lost_count == 0 && ranks_left(&m) == 0;
    return m.done == t->shard_count;
}

// ---- the program

static void read_words(Task *t, int argc, char **argv)
{
    for (int k = 1; k < argc; k++) {
        bool more = k + 1 < argc;
        if (strcmp(argv[k], "--db") == 0 && more)
            t->db = argv[++k];
        else if (strcmp(argv[k], "--patience") == 0 && more)
            t->patience = atof(argv[++k]);
        else if (strcmp(argv[k], "--resume") == 0)
            t->resume = true;
        else if (t->word_count < WORDS - 16)
            t->words[t->word_count++] = argv[k];
    }
    if (!t->db || t->word_count == 0)
        die("usage: mpirun -n N hako-tune-mpi FILE... --db DATABASE [--resume] [--patience S] "
            "[options of hako tune]");
}

static void prepare(Task *t)
{
    ssize_t n = readlink("/proc/self/exe", t->hako, sizeof t->hako - 1);
    char *slash = n > 0 ? strrchr(t->hako, '/') : NULL;
    if (!slash) die("where is the program?");
    strcpy(slash + 1, "hako"); // beside this one
    remove_stale();
    make_folder(t);
    t->launcher = start_launcher();
    char output[PATH_BYTES];
    const char *words[WORDS + 8];
    int count = 0;
    words[count++] = t->hako;
    words[count++] = "tune";
    words[count++] = "--list";
    for (int k = 0; k < t->word_count; k++) words[count++] = t->words[k];
    words[count] = NULL;
    path_in(t, "output", output);
    int status = launch(t, output, words, NULL);
    char *text = read_file(output);
    if (status != 0 || !text) {
        fprintf(stderr, "%s", text ? text : "");
        remove_folder(t->folder);
        exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 3);
    }
    t->shard_count = split_lines(text, &t->shards);
}

int main(int argc, char **argv)
{
    static Task t = {.patience = 30};
    read_words(&t, argc, argv);
    prepare(&t);
    MPI_Init(&argc, &argv);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &t.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &t.ranks);
    bool whole = true, done = true;
    if (t.ranks < 2)
        fprintf(stderr, "hako-tune-mpi: rank 0 only hands out: start two or more\n");
    else if (t.rank == 0)
        done = manage(&t, &whole);
    else
        whole = work(&t);
    remove_folder(t.folder);
    remove_stale();
    int code = t.ranks < 2 ? 2 : !done;
    if (!whole) _exit(code); // MPI_Finalize would wait for who is lost
    MPI_Finalize();
    return code;
}
