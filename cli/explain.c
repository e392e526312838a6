// hako explain HKnnnn
#include <ctype.h>
#include <stdlib.h>

#include "cli/cli.h"

int command_explain(Options *options)
{
    if (options->file_count == 0) {
        for (size_t i = 0; hk_explain_number(i); i++) {
            const char *text = hk_explain(hk_explain_number(i));
            while (text && (*text == '#' || *text == ' ')) text++;
            int length = 0;
            while (text && text[length] && text[length] != '\n') length++;
            printf("HK%04u  %.*s\n", hk_explain_number(i), length, text ? text : "");
        }
        return 0;
    }
    for (size_t i = 0; i < options->file_count; i++) {
        const char *word = options->files[i], *digits = word;
        if (tolower((unsigned char)digits[0]) == 'h' && tolower((unsigned char)digits[1]) == 'k')
            digits += 2;
        char *end;
        unsigned long number = strtoul(digits, &end, 10);
        const char *text =
            end != digits && !*end && number < 10000 ? hk_explain((uint32_t)number) : NULL;
        if (!text)
            return usage_error("there is no diagnostic '%s'; `hako explain` lists all", word);
        fputs(text, stdout);
    }
    return 0;
}
