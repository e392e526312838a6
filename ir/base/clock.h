// A clock that only goes forward, for budgets and for timing steps.
#ifndef HK_IR_BASE_CLOCK_H
#define HK_IR_BASE_CLOCK_H

double clock_seconds(void);
double clock_ms(void); // the same in milliseconds

#endif
