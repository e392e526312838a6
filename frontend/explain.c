// Looks up the pages of docs/explain; see explain.h.
#include "frontend/explain.h"

#include <stddef.h>

#include "frontend/embedded.h"

const char *explain_text(uint32_t number)
{
    for (const EmbeddedPage *page = embedded_pages; page->number; page++)
        if (page->number == number) return (const char *)page->text;
    return NULL;
}

uint32_t explain_number(uint32_t index)
{
    for (const EmbeddedPage *page = embedded_pages; page->number; page++)
        if (index-- == 0) return page->number;
    return 0;
}
