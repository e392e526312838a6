// Folders: the .hk files in them, and the removal of scratch ones.
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/test_driver.h"

enum { DEPTH_MAX = 32 };

static bool is_source(const char *name)
{
    size_t length = strlen(name);
    return length > 3 && strcmp(name + length - 3, ".hk") == 0;
}

static void add_path(Paths *paths, char *path)
{
    paths->data = must_grow(paths->data, sizeof(char *) * (paths->count + 1));
    paths->data[paths->count++] = path;
}

// Files before folders, each by name; hidden ones are left out.
static int collect(const char *folder, int depth, Paths *paths)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort), code = 0;
    if (count < 0) return io_error("cannot read %s: %s", folder, strerror(errno));
    for (int folders = 0; folders < 2; folders++) {
        for (int i = 0; i < count; i++) {
            const char *name = entries[i]->d_name;
            struct stat info;
            if (*name == '.') continue;
            char *path =
                must_format("%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", name);
            bool found = stat(path, &info) == 0;
            bool is_folder = found && S_ISDIR(info.st_mode);
            if (found && !folders && !is_folder && is_source(name)) {
                add_path(paths, path);
                continue;
            }
            if (folders && is_folder && depth < DEPTH_MAX && code == 0)
                code = collect(path, depth + 1, paths);
            free(path);
        }
    }
    for (int i = 0; i < count; i++) free(entries[i]);
    free(entries);
    return code;
}

int paths_collect(const char *path, Paths *paths)
{
    struct stat info;
    if (stat(path, &info) != 0) return io_error("cannot read %s: %s", path, strerror(errno));
    if (!S_ISDIR(info.st_mode)) {
        add_path(paths, must_format("%s", path));
        return 0;
    }
    size_t before = paths->count;
    int code = collect(path, 0, paths);
    if (code == 0 && paths->count == before) return io_error("there is no .hk file in %s", path);
    return code;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

void folder_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
