// Files that travel inside the program; the Makefile makes the arrays. Each ends in a zero byte.
#ifndef HK_FRONTEND_EMBEDDED_H
#define HK_FRONTEND_EMBEDDED_H

extern const unsigned char embedded_std[], embedded_prelude[];

#endif
