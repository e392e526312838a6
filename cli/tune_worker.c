// hako tune-worker: compiles and runs the candidates of `hako tune`, which starts it.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/tune.h"

int tune_prepare(Session *s)
{
    bool made_up = s->options->shapes.count || !s->options->inputs.count;
    int code = session_arguments(s);
    if (code == 0 && made_up) code = session_shapes(s);
    if (code == 0 && made_up && s->options->space) // which only sizes decide
        return session_specialize(s, HK_STAGE_LOOP, false);
    if (code == 0 && made_up) code = session_specialize(s, HK_STAGE_TILE, false);
    if (code == 0 && made_up) code = session_allocate(s, true);
    if (code == 0) code = session_specialize(s, HK_STAGE_LOOP, true);
    if (code == 0) code = session_allocate(s, false);
    return code;
}

static int serve(Session *s)
{
    int code = tune_prepare(s);
    if (code != 0) return code;
    hk_specialize_options options = session_options(s, HK_STAGE_RUN);
    hk_trial *trial;
    hk_error *error;
    hk_status status = hk_trial_create(s->kernel, &options, &trial, &error);
    if (status == HK_OK) status = hk_trial_serve(trial, STDIN_FILENO, STDOUT_FILENO, &error);
    hk_trial_free(trial);
    return report(s->options, status, error);
}

int command_tune_worker(Options *options)
{
    Session session;
    prctl(PR_SET_PDEATHSIG, SIGKILL); // a candidate that hangs must not outlive the driver
    int code = session_open(&session, options);
    if (code == 0) code = serve(&session);
    session_close(&session);
    return code;
}
