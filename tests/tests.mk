# ---- to test
# What tests compile is kept beside it, not in the user's folder.
export HAKO_CACHE_DIR ?= $(abspath $(BUILD))/cache

check: check-unit check-api check-install check-python check-files check-cli check-aot check-run check-opencl check-faults tidy ## all tests
check-all: check-cross check check-memory check-pypi check-device check-oclgrind check-full check-minilm asan tsan ## and at the sizes of real use, and under sanitizers

check-cross: ## installs what check-aot tries other machines with
	scripts/install-deps cross

check-device: $(BUILD)/hako ## samples, and a product with random Configs, on OpenCL, whose compilers take their time
	HAKO_PYTHON=$(PYTHON) $(BUILD)/hako test samples --target=cpu,opencl
	$(PYTHON) tests/opencl/configs.py $(BUILD)/hako

check-samples: $(BUILD)/hako ## samples on the CPU, with several threads
	HAKO_PYTHON=$(PYTHON) $(BUILD)/hako test samples --target=cpu --threads=4

# TARGET=opencl for a device; compilers for CPUs take hours there.
check-full: $(BUILD)/hako ## samples at the sizes of real use, where memory allows
	HAKO_PYTHON=$(PYTHON) $(BUILD)/hako test samples --full --target=$(TARGET)

# No user's database has a say in tests.
check%: export HAKO_DB = none

# One program for each tests/unit/test_NAME.c (internals) and tests/api/NAME.c (the shared library).
UNIT_TESTS := $(patsubst tests/unit/test_%.c,$(BUILD)/tests/test_%,$(wildcard tests/unit/test_*.c))
API_TESTS  := $(patsubst tests/api/%.c,$(BUILD)/tests/api_%,$(wildcard tests/api/*.c))
CHECK_LIBS := -lcheck -lsubunit -lrt -lm

$(BUILD)/tests/test_%: tests/unit/test_%.c $(BUILD)/libhako.a
	@mkdir -p $(@D)
	$(call show,TEST)
	$(Q)$(CC) $(filter-out -Wpedantic,$(CFLAGS)) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(BUILD)/libhako.a $(LIBS) $(CHECK_LIBS)

$(BUILD)/tests/api_%: tests/api/%.c $(BUILD)/$(SHARED)
	@mkdir -p $(@D)
	$(call show,TEST)
	$(Q)$(CC) $(filter-out -Wpedantic,$(CFLAGS)) -Iinclude -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< -L$(BUILD) -lhako -lm \
	    -Wl,-rpath,$(abspath $(BUILD)) $(CHECK_LIBS) $(LDLIBS)

check-unit: $(UNIT_TESTS) ## tests of single parts
	@failed=0; for test in $^; do CK_VERBOSITY=normal $$test || failed=1; done; exit $$failed

EMBED := $(addprefix $(BUILD)/embed/,hello pool tune opencl)
check-api: $(API_TESTS) $(EMBED) ## tests of the library, and the samples for embedding
	@failed=0; for test in $(API_TESTS); do CK_VERBOSITY=normal $$test || failed=1; done; exit $$failed
	test "$$($(BUILD)/embed/hello)" = "12 24 36"
	$(BUILD)/embed/pool | grep -q "^the host's threads did [0-9]* pieces"
	$(BUILD)/embed/tune 60 3 | grep -q "^stopped after 3 measurements"
	test "$$($(BUILD)/embed/opencl | grep -c 'sums to 2.0000')" = 3

$(BUILD)/embed/opencl $(BUILD)/tests/api_opencl: LDLIBS = -lOpenCL
$(BUILD)/tests/api_opencl: LDFLAGS += -rdynamic
$(BUILD)/embed/%: samples/embed/%.c $(BUILD)/$(SHARED)
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPT) -Wall -Wextra -Iinclude -o $@ $< -L$(BUILD) -lhako -lpthread $(LDLIBS) -Wl,-rpath,$(abspath $(BUILD))

check-memory: $(BUILD)/tests/api_memory ## each allocation of a kernel's life fails once
	HAKO_SWEEP=0 CK_VERBOSITY=normal $<

check-install: $(BUILD)/hako $(BUILD)/deps.check ## what make install puts down, used by programs in C, C++ and with CMake
	CC="$(CC)" BUILD=$(BUILD) tests/install.sh

check-python: $(BUILD)/libhako.so ## the Python module
	HAKO_LIBRARY=$(abspath $<) $(PYTHON) tests/python/test_hako.py

check-pypi: $(BUILD)/libhako.so ## the Python module in a fresh environment, with the newest NumPy, PyTorch and JAX
	tests/python/pypi.sh $(abspath $(BUILD))/venv

# For Python, which cannot load what was built with sanitizers.
LIBRARY ?= $(abspath $(BUILD)/libhako.so)

# Twin files (tests/run.sh says which folder runs what), and the documentation against the program.
check-files: $(BUILD)/hako $(BUILD)/libhako.so ## twin files and the documentation
	HAKO=$(BUILD)/hako tests/run.sh
	HAKO=$(BUILD)/hako PYTHON=$(PYTHON) HAKO_LIBRARY=$(LIBRARY) tests/docs.sh

check-cli: $(BUILD)/hako ## the program: arguments, files, exit codes
	HAKO=$(BUILD)/hako tests/cli/run.sh
	HAKO=$(BUILD)/hako PYTHON=$(PYTHON) tests/cli/test.sh

check-aot: $(BUILD)/hako ## libraries of kernels, called from C and C++; other machines where qemu and their compilers are
	HAKO=$(BUILD)/hako tests/aot/run.sh

check-run: $(BUILD)/hako $(BUILD)/tests/compare $(BUILD)/tests/kernels ## kernels end to end, samples against NumPy, random programs
	HAKO=$(BUILD)/hako tests/run/run.sh
	HAKO=$(BUILD)/hako tests/run/bits.sh
	$(PYTHON) tests/run/rounding.py $(BUILD)/hako
	HAKO_PYTHON=$(PYTHON) $(BUILD)/hako test samples --target=cpu,interp
	$(PYTHON) tests/fuzz/tiles.py $(BUILD)/tests/compare --count 40
	$(PYTHON) tests/fuzz/kernels.py $(BUILD)/tests/kernels --count 40

$(BUILD)/tests/compare: tests/fuzz/compare.c $(BUILD)/libhako.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(BUILD)/libhako.a $(LIBS)

# Random programs in Tile IR, by the interpreter and compiled: make fuzz-tiles COUNT=1000 SEED=1
COUNT ?= 500
fuzz-tiles: $(BUILD)/tests/compare ## random programs through the interpreter and the CPU backend
	$(PYTHON) tests/fuzz/tiles.py $< --count $(COUNT) --seed $(SEED)

$(BUILD)/tests/kernels: tests/fuzz/kernels.c $(BUILD)/libhako.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -Iinclude -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(BUILD)/libhako.a $(LIBS)

# Random kernels in .hk, each with random Configs, what fails reduced into a folder: make fuzz-kernels COUNT=5000 SEED=1
# TARGET=opencl instead of the CPU.
TARGET ?= cpu
fuzz-kernels: $(BUILD)/tests/kernels ## random kernels by the interpreter and compiled
	$(PYTHON) tests/fuzz/kernels.py $< --count $(COUNT) --seed $(SEED) --target $(TARGET) --keep $(BUILD)/fuzz-kernels

$(BUILD)/deps.check: scripts/install-deps
	@mkdir -p $(@D)
	@scripts/install-deps check
	@touch $@

check-oclgrind: $(BUILD)/hako $(BUILD)/deps.check ## all samples under a simulator that sees races and accesses out of bounds
	HAKO=$(BUILD)/hako HAKO_PYTHON=$(PYTHON) tests/opencl/run.sh samples

check-opencl: $(BUILD)/hako $(BUILD)/tests/compare $(BUILD)/deps.check ## emitted OpenCL C: compiled, run and simulated
	HAKO=$(BUILD)/hako tests/opencl/run.sh

bless: $(BUILD)/hako ## rewrite the expectations of twin files; the diff is the review
	HAKO=$(BUILD)/hako tests/run.sh --bless

SANITIZE := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -DHAKO_ARENA_EXACT
tsan: ## tests of the library, samples and random kernels under ThreadSanitizer
	$(MAKE) BUILD=build-tsan OPT="-O1 -fsanitize=thread" COUNT=200 TSAN_OPTIONS=suppressions=$(abspath tests/tsan.supp) \
	    check-api check-samples fuzz-kernels

# check-opencl puts libraries before the program's own, which the sanitizer does not bear.
asan: ## all tests under AddressSanitizer
	FEWER=1 $(MAKE) BUILD=build-asan OPT="$(SANITIZE)" LIBRARY= ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
	    check-unit check-api check-files check-cli check-run

# Mutated texts through the parser under AddressSanitizer: make fuzz SECONDS=60 SEED=1
SECONDS ?= 60
SEED    ?= 1
fuzz: ## mutated texts through the parser
	$(MAKE) BUILD=build-asan OPT="$(SANITIZE)" build-asan/libhako.a
	$(CC) $(CFLAGS) $(SANITIZE) -Ibuild-asan tests/fuzz/fuzz.c build-asan/libhako.a $(LIBS) -o build-asan/fuzz
	build-asan/fuzz $(SECONDS) $(SEED) $(wildcard samples/*.hk tests/parse/*.hk tests/errors/syntax*.hk)
