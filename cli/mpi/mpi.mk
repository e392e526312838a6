# ---- hako-tune-mpi, where there is MPI
mpi: $(BUILD)/hako-tune-mpi ## the tuner over many machines, build/hako-tune-mpi (Open MPI)

$(BUILD)/deps.mpi: scripts/install-deps
	@mkdir -p $(@D)
	@scripts/install-deps mpi
	@touch $@

$(BUILD)/hako-tune-mpi: cli/mpi/tune_mpi.c $(BUILD)/hako | $(BUILD)/deps.mpi
	$(call show,MPICC)
	$(Q)OMPI_CC="$(CC)" mpicc -std=c17 -D_GNU_SOURCE -g $(OPT) -Wall -Wextra -Wshadow -o $@ $<

check-mpi: $(BUILD)/hako-tune-mpi ## a sweep by four ranks, of which one is killed
	tests/cli/mpi.sh $(BUILD)

.PHONY: mpi check-mpi
