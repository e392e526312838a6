// WordPiece: text is normalised (lower case, no accents), cut at blanks, punctuation and
// ideographs, and each word is taken apart, from its beginning, into the longest pieces that the
// vocabulary has; pieces within a word begin with "##".
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "minilm.h"

enum { WORD_BYTES = 400, WORD_CHARACTERS = 100 }; // longer words are unknown

struct Vocabulary {
    char *text;
    int64_t size, unknown, begin, end;
    struct hsearch_data table;
    bool has_table;
};

static int64_t id_of(const Vocabulary *v, const char *piece)
{
    ENTRY *found, wanted = {.key = (char *)piece};
    if (!hsearch_r(wanted, FIND, &found, (struct hsearch_data *)&v->table)) return -1;
    return (int64_t)(intptr_t)found->data;
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t capacity = 0;
    if (file && getdelim(&text, &capacity, 0, file) < 0 && text) *text = 0; // an empty file
    if (file) fclose(file);
    return text;
}

Vocabulary *vocabulary_open(const char *path)
{
    Vocabulary *v = calloc(1, sizeof *v);
    if (v) v->text = read_text(path);
    for (char *at = v && v->text ? v->text : ""; *at; at++)
        if (*at == '\n') v->size++;
    if (!v || !v->size || !(v->has_table = hcreate_r((size_t)v->size * 2, &v->table))) {
        fprintf(stderr, "minilm: %s: cannot be read as a vocabulary\n", path);
        vocabulary_close(v);
        return NULL;
    }
    char *at = v->text;
    for (int64_t id = 0; id < v->size; id++) {
        char *end = strchr(at, '\n');
        ENTRY *kept, entry = {.key = at, .data = (void *)(intptr_t)id};
        *end = 0;
        hsearch_r(entry, ENTER, &kept, &v->table);
        at = end + 1;
    }
    v->unknown = id_of(v, "[UNK]");
    v->begin = id_of(v, "[CLS]");
    v->end = id_of(v, "[SEP]");
    if (v->unknown >= 0 && v->begin >= 0 && v->end >= 0) return v;
    fprintf(stderr, "minilm: %s: it lacks [UNK], [CLS] or [SEP]\n", path);
    vocabulary_close(v);
    return NULL;
}

void vocabulary_close(Vocabulary *v)
{
    if (!v) return;
    if (v->has_table) hdestroy_r(&v->table);
    free(v->text);
    free(v);
}

// ---- one word to pieces

// Appends the pieces of a word, or [UNK] if it cannot be taken apart. Returns the new count.
static size_t add_word(const Vocabulary *v, const char *word, size_t bytes, int64_t *ids,
                       size_t count, size_t most)
{
    char piece[WORD_BYTES + 3];
    size_t first = count;
    bool known = bytes < WORD_BYTES && u8_mbsnlen((const uint8_t *)word, bytes) <= WORD_CHARACTERS;
    for (size_t at = 0; known && at < bytes;) {
        size_t end = bytes;
        int64_t id = -1;
        for (; end > at; end--) {
            bool within = end < bytes && ((unsigned char)word[end] & 0xc0) == 0x80;
            if (within) continue; // a character
            snprintf(piece, sizeof piece, "%s%.*s", at ? "##" : "", (int)(end - at), word + at);
            if ((id = id_of(v, piece)) >= 0) break;
        }
        known = id >= 0;
        if (known && count < most) ids[count++] = id;
        at = end;
    }
    if (known || first >= most) return known ? count : first;
    ids[first] = v->unknown;
    return first + 1;
}

// ---- a text to words

static bool is_ideograph(ucs4_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2ceaf) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0x2f800 && c <= 0x2fa1f);
}

static bool is_punctuation(ucs4_t c)
{
    bool ascii = (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
                 (c >= 123 && c <= 126);
    return ascii || uc_is_general_category(c, UC_PUNCTUATION);
}

static bool is_dropped(ucs4_t c)
{
    bool blank = c == '\t' || c == '\n' || c == '\r';
    return c == 0 || c == 0xfffd || uc_is_general_category(c, UC_NON_SPACING_MARK) ||
           (!blank && uc_is_general_category(c, UC_OTHER));
}

size_t tokens_of(const Vocabulary *v, const char *text, int64_t *ids, size_t most)
{
    size_t length = 0, count = 0, word = 0, bytes = 0;
    // Lower case, then taken apart so that accents are characters of their own, which are dropped.
    uint8_t *plain =
        u8_tolower((const uint8_t *)text, strlen(text), NULL, UNINORM_NFD, NULL, &length);
    char *kept = malloc(length + 1);
    if (!kept) length = 0;
    ids[count++] = v->begin;
    for (size_t at = 0; plain && at < length;) {
        ucs4_t c;
        int step = u8_mbtouc(&c, plain + at, length - at);
        bool alone = is_punctuation(c) || is_ideograph(c),
             ends = alone || uc_is_property_white_space(c);
        if (ends && bytes > word)
            count = add_word(v, kept + word, bytes - word, ids, count, most - 1);
        if (ends) word = bytes;
        if (alone)
            count = add_word(v, (const char *)plain + at, (size_t)step, ids, count, most - 1);
        if (!ends && !is_dropped(c)) {
            memcpy(kept + bytes, plain + at, (size_t)step);
            bytes += (size_t)step;
        }
        at += (size_t)step;
    }
    if (bytes > word) count = add_word(v, kept + word, bytes - word, ids, count, most - 1);
    ids[count++] = v->end;
    free(plain);
    free(kept);
    return count;
}
