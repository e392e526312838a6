// A folder with one file for each compiled kernel. Only a folder and files that belong to this
// user, and that nobody else can write, are used, since what they hold will be run.
//
//   file:  Head, key, value     named by a hash of the key, which is compared whole
//
// Files appear by renaming, so that none is seen half written; what is damaged all the same fails
// its checksum and counts as absent. Nothing here is an error: without a cache code is compiled.
#include "runtime/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/base/vec.h"

enum { PATH_BYTES = 4096, TRIM_EVERY = 64 };
static const uint64_t FILE_MOST = 64u << 20, FOLDER_MOST = 256u << 20;

typedef struct Head {
    char magic[8];
    uint64_t key_bytes, value_bytes, checksum;
} Head;
static const char MAGIC[8] = "hako c1";

// FNV-1a over words of 8 bytes, mixed; `seed` makes independent ones.
static uint64_t hash_bytes(const char *data, size_t bytes, uint64_t seed)
{
    uint64_t h = 0xcbf29ce484222325u ^ seed, word;
    for (size_t i = 0; i < bytes; i += sizeof word) {
        word = 0;
        memcpy(&word, data + i, bytes - i < sizeof word ? bytes - i : sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    h = (h ^ bytes) * 0xbf58476d1ce4e5b9u;
    return h ^ h >> 32;
}

// ---- the folder

static bool is_safe(const struct stat *about)
{
    return about->st_uid == geteuid() && !(about->st_mode & (S_IWGRP | S_IWOTH));
}

// With all folders above it, if `make`. A file descriptor, or -1.
static int open_folder(const char *name, bool make)
{
    char path[PATH_BYTES];
    if (strlen(name) >= sizeof path) return -1;
    memcpy(path, name, strlen(name) + 1);
    for (char *at = path + 1; make && *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        (void)mkdir(path, 0700); // it may be there; opening will tell
        *at = '/';
    }
    if (make) (void)mkdir(path, 0700);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat about;
    if (folder >= 0 && (fstat(folder, &about) != 0 || !is_safe(&about))) {
        close(folder);
        return -1;
    }
    return folder;
}

static void file_name(char *name, size_t bytes, Str key)
{
    snprintf(name, bytes, "%016llx%016llx", (unsigned long long)hash_bytes(key.data, key.length, 0),
             (unsigned long long)hash_bytes(key.data, key.length, 0x5851f42d4c957f2du));
}

// ---- reading

static bool read_all(int file, char *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(file, data + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

static Str read_value(Arena *arena, int file, Str key)
{
    struct stat about;
    Head head;
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode) || !is_safe(&about)) return (Str){0};
    if (!read_all(file, (char *)&head, sizeof head)) return (Str){0};
    bool fits = memcmp(head.magic, MAGIC, sizeof MAGIC) == 0 && head.key_bytes == key.length &&
                head.value_bytes <= FILE_MOST &&
                (uint64_t)about.st_size == sizeof head + head.key_bytes + head.value_bytes;
    if (!fits) return (Str){0};
    size_t bytes = (size_t)(head.key_bytes + head.value_bytes);
    char *data = arena_alloc(arena, bytes + 1);
    bool sound = read_all(file, data, bytes) && memcmp(data, key.data, key.length) == 0 &&
                 hash_bytes(data, bytes, 1) == head.checksum;
    return sound ? (Str){data + key.length, (size_t)head.value_bytes} : (Str){0};
}

typedef struct GetJob {
    Arena *arena;
    int file;
    Str key, value;
} GetJob;

static void get(void *self)
{
    GetJob *job = self;
    job->value = read_value(job->arena, job->file, job->key);
    if (job->value.length) (void)futimens(job->file, NULL); // the oldest are dropped first
}

static void end_get(void *self)
{
    close(((GetJob *)self)->file);
}

Str cache_get_file(Arena *arena, const char *where, Str key)
{
    int folder = open_folder(where, false);
    if (folder < 0) return (Str){0};
    char name[64];
    file_name(name, sizeof name, key);
    GetJob job = {.arena = arena, .key = key};
    job.file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    close(folder);
    if (job.file < 0) return (Str){0};
    arena_finally(arena, get, end_get, &job);
    return job.value;
}

// ---- writing

static bool write_all(int file, const void *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(file, (const char *)data + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

typedef struct Entry {
    char name[64];
    struct timespec used;
    uint64_t bytes;
} Entry;

static int by_age(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec) return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

static bool is_ours(const char *name)
{
    size_t length = strlen(name);
    bool unfinished = strncmp(name, "new-", 4) == 0 && length < sizeof(((Entry *)0)->name);
    return unfinished || (length == 32 && strspn(name, "0123456789abcdef") == length);
}

typedef struct PutJob {
    Arena *arena;
    int folder;
    DIR *list; // of its files, while it is trimmed
    Str key, value;
} PutJob;

// Drops the oldest files of a folder that has grown too large.
static void trim(PutJob *job)
{
    Arena *arena = job->arena;
    int folder = job->folder;
    job->list = fdopendir(dup(folder));
    VEC(Entry) entries = {0};
    uint64_t total = 0;
    for (const struct dirent *d; job->list && (d = readdir(job->list)) != NULL;) {
        struct stat about;
        if (fstatat(folder, d->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (!S_ISREG(about.st_mode) || !is_ours(d->d_name)) continue;
        Entry entry = {.used = about.st_mtim, .bytes = (uint64_t)about.st_size};
        memcpy(entry.name, d->d_name, strlen(d->d_name));
        total += entry.bytes;
        vec_push(arena, &entries, entry);
    }
    if (total <= FOLDER_MOST) return;
    qsort(entries.data, entries.count, sizeof(Entry), by_age);
    for (uint32_t k = 0; k < entries.count && total > FOLDER_MOST / 4 * 3; k++) {
        (void)unlinkat(folder, entries.data[k].name, 0);
        total -= entries.data[k].bytes;
    }
}

static void put(void *self)
{
    static atomic_uint counter; // so that two threads write two files
    PutJob *job = self;
    int folder = job->folder;
    char name[64], unfinished[64];
    file_name(name, sizeof name, job->key);
    unsigned number = atomic_fetch_add(&counter, 1);
    snprintf(unfinished, sizeof unfinished, "new-%ld-%u", (long)getpid(), number);
    Buf all = {.arena = job->arena};
    buf_add(&all, job->key.data, job->key.length);
    buf_add(&all, job->value.data, job->value.length);
    Head head = {.key_bytes = job->key.length,
                 .value_bytes = job->value.length,
                 .checksum = hash_bytes(all.data, all.length, 1)};
    memcpy(head.magic, MAGIC, sizeof MAGIC);
    int file = openat(folder, unfinished, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0) {
        bool ok = write_all(file, &head, sizeof head) && write_all(file, all.data, all.length);
        ok = close(file) == 0 && ok;
        if (!ok || renameat(folder, unfinished, folder, name) != 0)
            (void)unlinkat(folder, unfinished, 0);
    }
    if (number % TRIM_EVERY == 0) trim(job);
}

static void end_put(void *self)
{
    PutJob *job = self;
    if (job->list) closedir(job->list);
    close(job->folder);
}

void cache_put_file(Arena *arena, const char *where, Str key, Str value)
{
    PutJob job = {.arena = arena, .key = key, .value = value};
    job.folder = value.length ? open_folder(where, true) : -1;
    if (job.folder >= 0) arena_finally(arena, put, end_put, &job);
}
