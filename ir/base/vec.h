// A growing array in an arena: VEC(Inst) insts; vec_push(arena, &insts, inst). Old storage stays in
// the arena until it is freed, so never keep a pointer to an element across a push.
#ifndef HK_IR_BASE_VEC_H
#define HK_IR_BASE_VEC_H

#include <assert.h>
#include <string.h>

#include "ir/base/arena.h"

#define VEC(T)                     \
    struct {                       \
        T *data;                   \
        uint32_t count, capacity;  \
    }

#define vec_reserve(arena, v, n)                                                              \
    do {                                                                                      \
        uint32_t vec_want = (uint32_t)(n);                                                    \
        if (vec_want > (v)->capacity) {                                                       \
            uint32_t vec_cap = (v)->capacity ? (v)->capacity * 2 : 8;                         \
            if (vec_cap < vec_want) vec_cap = vec_want;                                       \
            void *vec_data = arena_alloc((arena), sizeof(*(v)->data) * vec_cap);              \
            if ((v)->count) memcpy(vec_data, (v)->data, sizeof(*(v)->data) * (v)->count);     \
            (v)->data = vec_data;                                                             \
            (v)->capacity = vec_cap;                                                          \
        }                                                                                     \
    } while (0)

#define vec_push(arena, v, ...)                          \
    do {                                                 \
        vec_reserve((arena), (v), (v)->count + 1);       \
        (v)->data[(v)->count++] = (__VA_ARGS__);         \
    } while (0)

#define vec_last(v) ((v)->data[(v)->count - 1])

#endif
