// The long story of each diagnostic: docs/explain/HKnnnn.md, inside the program.
#ifndef HK_FRONTEND_EXPLAIN_H
#define HK_FRONTEND_EXPLAIN_H

#include <stdint.h>

const char *explain_text(uint32_t number); // Markdown; NULL if there is no page
uint32_t explain_number(uint32_t index);   // of the page at index, ascending; 0 behind the last

#endif
