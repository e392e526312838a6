// The words of the text form; see text.h.
#include "ir/text.h"

static const char *const level[] = {"", "tile", "loop"};
static const char *const axis[] = {
    [AXIS_GRID] = "grid", [AXIS_LOOP] = "loop", [AXIS_WHOLE] = "whole"};
static const char *const mem[MEM_KINDS] = {[MEM_IN] = "in",           [MEM_OUT] = "out",
                                           [MEM_INOUT] = "inout",     [MEM_WORKSPACE] = "workspace",
                                           [MEM_PARTIAL] = "partial", [MEM_SCRATCH] = "scratch"};
static const char *const site[] = {
    [SITE_BOUNDS] = "bounds", [SITE_ASSERT] = "assert",   [SITE_DIVIDE] = "divide",
    [SITE_PRINT] = "print",   [SITE_REQUIRE] = "require", [SITE_LANE] = "lane"};
static const char *const loop[LOOP_COUNT] = {[LOOP_SERIAL] = "serial", [LOOP_GRID] = "grid"};
static const char *const combine[COMBINE_KINDS] = {
    [COMBINE_REDUCE] = "reduce", [COMBINE_SCAN] = "scan"};
static const char *const info[INFO_KINDS] = {
    [INFO_BEGIN] = "begin", [INFO_END] = "end",     [INFO_SIZE] = "size",
    [INFO_ID] = "id",       [INFO_BLOCK] = "block", [INFO_COUNT] = "count"};
static const char *const refine[REFINE_KINDS] = {[REFINE_RANGE] = "range",
                                                 [REFINE_PARTITION] = "partition",
                                                 [REFINE_PERMUTATION] = "permutation",
                                                 [REFINE_DISTINCT] = "distinct"};
static const char *const flag[] = {"",         "",          "stream",    "reverse",
                                   "implicit", "unordered", "exclusive", "while"};

#define WORDS(list)                                                                                \
    {                                                                                              \
        list, sizeof(list) / sizeof *(list)                                                        \
    }
const Words words_level = WORDS(level);
const Words words_axis = WORDS(axis);
const Words words_mem = WORDS(mem);
const Words words_site = WORDS(site);
const Words words_loop = WORDS(loop);
const Words words_combine = WORDS(combine);
const Words words_info = WORDS(info);
const Words words_refine = WORDS(refine);
const Words words_reduce = {reduce_name, REDUCE_COUNT};
const Words words_atomic = {atomic_name, ATOMIC_COUNT};
const Words words_flag = WORDS(flag);

bool words_find(const Words *words, Str word, uint32_t *index)
{
    for (uint32_t i = 0; i < words->count; i++) {
        if (!word.length || !words->words[i] || !str_is(word, words->words[i])) continue;
        *index = i;
        return true;
    }
    return false;
}
