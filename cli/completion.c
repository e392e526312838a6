// hako completion bash|zsh|fish|man: completions and the manual page, made from the tables of
// commands and options, so that they never say anything else than --help.
#include <string.h>

#include "cli/cli.h"

// "--shapes" with a "-s" before it where there is a letter.
static void print_names(const OptionText *o)
{
    if (o->letter) printf("-%c ", o->letter);
    printf("--%s ", o->name);
}

static bool seen_before(size_t index, const OptionText *o, unsigned command)
{
    OptionText other;
    for (size_t k = 0; k < index && option_at(k, &other); k++)
        if ((other.commands & command) && strcmp(other.name, o->name) == 0) return true;
    return false;
}

static void bash(void)
{
    OptionText o;
    printf("_hako() {\n    local words file=yes\n    case ${COMP_WORDS[1]} in\n");
    for (const CommandInfo *c = commands; c->name; c++) {
        printf("    %s) words=\"", c->name);
        for (size_t k = 0; option_at(k, &o); k++)
            if ((o.commands & c->bit) && !seen_before(k, &o, c->bit)) print_names(&o);
        printf("\" ;;\n");
    }
    printf("    *) words=\"");
    for (const CommandInfo *c = commands; c->name; c++) printf("%s ", c->name);
    printf(
        "\" file=no ;;\n    esac\n"
        "    [ \"$COMP_CWORD\" = 1 ] && file=no\n"
        "    COMPREPLY=()\n"
        "    [[ $2 == -* || $file == no ]] && mapfile -t COMPREPLY < <(compgen -W \"$words\" -- "
        "\"$2\")\n"
        "    [ $file = no ] || [[ $2 == -* ]] || mapfile -t COMPREPLY < <(compgen -f -- \"$2\")\n"
        "}\ncomplete -o filenames -F _hako hako\n");
}

// Within single quotes.
static void print_quoted(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            printf("'\\''");
        else if (*text == '[' || *text == ']' || *text == ':')
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

static void zsh(void)
{
    OptionText o;
    printf("#compdef hako\n_hako() {\n    local -a commands\n    commands=(\n");
    for (const CommandInfo *c = commands; c->name; c++)
        printf("        '%s:%s'\n", c->name, c->purpose);
    printf("    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n        "
           "return\n    fi\n"
           "    case $words[2] in\n");
    for (const CommandInfo *c = commands; c->name; c++) {
        printf("    %s) _arguments ", c->name);
        for (size_t k = 0; option_at(k, &o); k++) {
            if (!(o.commands & c->bit) || seen_before(k, &o, c->bit)) continue;
            printf("'--%s[", o.name);
            print_quoted(o.purpose);
            printf("]%s' ", o.value ? ":value:_files" : "");
        }
        printf("'*:file:_files' ;;\n");
    }
    printf("    esac\n}\n_hako \"$@\"\n");
}

static void print_fish(const char *text)
{
    for (; *text; text++) printf(*text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
}

static void fish(void)
{
    OptionText o;
    for (const CommandInfo *c = commands; c->name; c++) {
        printf("complete -c hako -n __fish_use_subcommand -a %s -d '", c->name);
        print_fish(c->purpose);
        printf("'\n");
        for (size_t k = 0; option_at(k, &o); k++) {
            if (!(o.commands & c->bit) || seen_before(k, &o, c->bit)) continue;
            printf("complete -c hako -n '__fish_seen_subcommand_from %s' ", c->name);
            if (o.letter) printf("-s %c ", o.letter);
            printf("-l %s%s -d '", o.name, o.value ? " -r" : "");
            print_fish(o.purpose);
            printf("'\n");
        }
    }
}

static void print_roff(const char *text)
{
    if (*text == '.' || *text == '\'') printf("\\&");
    for (; *text; text++) {
        if (*text == '\\')
            printf("\\e");
        else if (*text == '-')
            printf("\\-");
        else
            putchar(*text);
    }
}

static void man(void)
{
    OptionText o;
    printf(".TH HAKO 1 \"\" \"Hako %s\"\n.SH NAME\nhako \\- compile and run tiled kernels\n.SH "
           "SYNOPSIS\n"
           ".B hako\n.I COMMAND\n.RI [ OPTION ]...\n.SH COMMANDS\n",
           hk_version_text());
    for (const CommandInfo *c = commands; c->name; c++) {
        printf(".SS hako %s ", c->name);
        print_roff(c->usage);
        printf("\n");
        print_roff(c->purpose);
        printf(".\n");
        for (size_t k = 0; option_at(k, &o); k++) {
            if (!(o.commands & c->bit) || strcmp(o.name, "help") == 0) continue;
            printf(".TP\n.B ");
            if (o.letter) printf("\\-%c, ", o.letter);
            printf("\\-\\-");
            print_roff(o.name);
            if (o.value) printf(" ");
            print_roff(o.value ? o.value : "");
            printf("\n");
            print_roff(o.purpose);
            printf("\n");
        }
    }
    printf(".SH EXIT STATUS\n.TP\n0\nok\n.TP\n1\ndiagnostics, or a result that does not "
           "match\n.TP\n2\n"
           "usage\n.TP\n3\nenvironment or I/O\n.TP\n4\nthe kernel trapped: bounds, assert, "
           "division by zero\n"
           ".TP\n70\ninternal error\n.SH ENVIRONMENT\n.TP\nHAKO_DB\nthe tuning database; none: "
           "without\n"
           ".TP\nHAKO_CACHE_DIR\nthe folder of compiled code; off: without\n");
}

int command_completion(Options *options)
{
    const char *shell = options->file_count == 1 ? options->files[0] : "";
    if (strcmp(shell, "bash") == 0)
        bash();
    else if (strcmp(shell, "zsh") == 0)
        zsh();
    else if (strcmp(shell, "fish") == 0)
        fish();
    else if (strcmp(shell, "man") == 0)
        man();
    else
        return usage_error("hako completion wants one of bash, zsh, fish, man");
    return 0;
}
