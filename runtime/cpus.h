// How many CPUs this process may use.
#ifndef HK_RUNTIME_CPUS_H
#define HK_RUNTIME_CPUS_H

// At least 1: the CPUs of the affinity mask, fewer if a control group limits CPU time.
unsigned cpus_available(void);

#endif
