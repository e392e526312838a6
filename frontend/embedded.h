// Files that travel inside the program; embed.sh makes the arrays. Each ends in a zero byte.
#ifndef HK_FRONTEND_EMBEDDED_H
#define HK_FRONTEND_EMBEDDED_H

#include <stdint.h>

typedef struct EmbeddedPage {
    uint32_t number;
    const unsigned char *text;
} EmbeddedPage;

extern const unsigned char embedded_std[], embedded_prelude[];
extern const EmbeddedPage embedded_pages[]; // of docs/explain, sorted; number 0 ends it

#endif
