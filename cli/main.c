// hako: the program. Dispatches to a command; each has a file of its own.
#include <signal.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/test.h"
#include "cli/tune.h"

const CommandInfo commands[] = {
    {"check", "FILE...", "check programs: syntax, names, shapes, bounds, races", CHECK,
     command_check},
    {"run", "FILE[:KERNEL] -i NAME=SPEC... [-o NAME=@out.npy|-]", "run a kernel on arrays", RUN,
     command_run},
    {"bench", "FILE[:KERNEL] [-i NAME=SPEC...] [--shapes N=V,...]", "measure a kernel", BENCH,
     command_bench},
    {"tune", "FILE[:KERNEL] [-i NAME=SPEC...|--shapes N=V,...] [--budget 10s]",
     "search a faster Config", TUNE, command_tune},
    {"db", "ls|show|export|import|merge|prune|why ...", "look into the tuning database", DB,
     command_db},
    {"test", "[PATH...]", "try test blocks and NumPy oracles of files and folders (samples)", TEST,
     command_test},
    {"emit", "FILE[:KERNEL] --as=ast|tile|loop|llvm|asm|obj|opencl|opencl-host|config",
     "print a form of a kernel",
     EMIT, command_emit},
    {"build", "FILE[:KERNEL]... -o FOLDER [--emit=lib,header]",
     "compile kernels into a library for C that needs neither hako nor LLVM", BUILD, command_build},
    {"opt", "FILE.tile [--passes=a,b]", "read IR, run passes, print IR", OPT, command_opt},
    {"devices", "[--json]", "list the OpenCL devices", DEVICES, command_devices},
    {"explain", "HKnnnn", "explain a diagnostic", EXPLAIN, command_explain},
    {"machine", "[--json]", "measure this machine: multiply-adds, memory, launches", MACHINE,
     command_machine},
    {"completion", "bash|zsh|fish|man", "print completions for a shell, or the manual page",
     COMPLETION, command_completion},
    {"version", "[--json]", "versions and what this machine has", VERSION, command_version},
    {NULL, NULL, NULL, 0, NULL},
};

static const CommandInfo workers[] = {
    // processes that commands start
    {"tune-worker", "", "", TUNE, command_tune_worker},
    {"test-worker", "", "", TEST, command_test_worker},
};

static const CommandInfo *find_command(const char *name)
{
    for (const CommandInfo *c = commands; c->name; c++) {
        if (strcmp(c->name, name) == 0) return c;
    }
    return NULL;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        options_help(NULL);
        return EXIT_USAGE;
    }
    if (is_help(argv[1])) {
        const CommandInfo *about = argc > 2 ? find_command(argv[2]) : NULL;
        options_help(about);
        return 0;
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    const CommandInfo *command = find_command(name);
    for (size_t i = 0; !command && i < sizeof workers / sizeof workers[0]; i++) {
        if (strcmp(name, workers[i].name) == 0) command = &workers[i];
    }
    if (!command) return usage_error("there is no command '%s'; `hako --help` lists them", argv[1]);
    Options options;
    int code = options_parse(command, argc - 2, argv + 2, &options);
    if (code != 0) return code;
    if (options.help) {
        options_help(command);
        return 0;
    }
    signal(SIGXFSZ, SIG_IGN); // a file over the limit is an error of writing like others
    code = command->run(&options);
    if (fflush(stdout) != 0 || ferror(stdout)) return code ? code : EXIT_ENVIRONMENT;
    return code;
}
