# Hako: build, test, install. `make help` lists the targets.
CC      ?= gcc
BUILD   ?= build
PREFIX  ?= /usr/local
OPT     ?= -O2
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wswitch-enum -Wno-sign-conversion
DEPS    := $(shell command -v llvm-config-19 >/dev/null 2>&1 && echo yes)
CFLAGS  += -std=c17 -g $(OPT) -fPIC -fvisibility=hidden $(WARN) -I. -I$(BUILD) -D_GNU_SOURCE
CFLAGS  += $(shell llvm-config-19 --cflags 2>/dev/null | tr ' ' '\n' | grep ^-I | sed 's/-I/-isystem /')
LIBS    := $(shell llvm-config-19 --libs 2>/dev/null) -lsleef -lm -lpthread -ldl

SOURCES := $(wildcard ir/base/*.c ir/*.c frontend/*.c passes/*.c passes/*/*.c backends/*.c backends/*/*.c runtime/*.c)
CLI     := $(wildcard cli/*.c)
GENERATED := $(BUILD)/frontend/lexer.c $(BUILD)/frontend/parser.c $(BUILD)/frontend/embedded.c
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(GENERATED:%.c=%.o)
CLI_OBJECTS := $(CLI:%.c=$(BUILD)/%.o)

all: $(BUILD)/hako

$(BUILD)/hako: $(CLI_OBJECTS) $(BUILD)/libhako.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) -ljansson

$(BUILD)/libhako.a: $(OBJECTS)
	rm -f $@ && ar rcs $@ $^

$(BUILD)/frontend/parser.c $(BUILD)/frontend/parser.h &: frontend/parser.y
	@mkdir -p $(@D)
	bison -Werror -o $(BUILD)/frontend/parser.c --header=$(BUILD)/frontend/parser.h $<

$(BUILD)/frontend/lexer.c: frontend/lexer.l $(BUILD)/frontend/parser.h
	@mkdir -p $(@D)
	flex -o $@ $<

EMBEDDED := $(wildcard frontend/*.hk) $(wildcard docs/explain/HK*.md)
$(BUILD)/frontend/embedded.c: frontend/embed.sh $(EMBEDDED)
	@mkdir -p $(@D)
	sh $^ > $@

$(patsubst %.c,$(BUILD)/%.o,$(wildcard frontend/*.c)): | $(BUILD)/frontend/parser.h

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/frontend/%.o: $(BUILD)/frontend/%.c
	$(CC) $(CFLAGS) -Wno-conversion -Wno-switch-enum -MMD -MP -c -o $@ $<

# Twin files (tests/run.sh says which folder runs what), and the documentation against the program.
check-files: $(BUILD)/hako
	HAKO=$(BUILD)/hako tests/run.sh
	HAKO=$(BUILD)/hako tests/docs.sh

bless: $(BUILD)/hako
	HAKO=$(BUILD)/hako tests/run.sh --bless

# Mutated texts through the parser under AddressSanitizer: make fuzz SECONDS=60 SEED=1
SECONDS ?= 60
SEED    ?= 1
SANITIZE := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
fuzz:
	$(MAKE) BUILD=build-asan OPT="$(SANITIZE)" build-asan/libhako.a
	$(CC) $(CFLAGS) $(SANITIZE) -Ibuild-asan tests/fuzz/parse.c build-asan/libhako.a $(LIBS) -o build-asan/fuzz_parse
	build-asan/fuzz_parse $(SECONDS) $(SEED) $(wildcard samples/*.hk tests/parse/*.hk tests/errors/syntax*.hk)

# One program for each tests/unit/test_NAME.c.
UNIT_TESTS := $(patsubst tests/unit/test_%.c,$(BUILD)/tests/test_%,$(wildcard tests/unit/test_*.c))

$(BUILD)/tests/%: tests/unit/%.c $(BUILD)/libhako.a
	@mkdir -p $(@D)
	$(CC) $(filter-out -Wpedantic,$(CFLAGS)) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(BUILD)/libhako.a $(LIBS) \
	    -lcheck -lsubunit -lrt -lm

check-unit: $(UNIT_TESTS)
	@failed=0; for test in $(UNIT_TESTS); do CK_VERBOSITY=minimal $$test || failed=1; done; exit $$failed

clean:
	rm -rf $(BUILD)

-include $(OBJECTS:.o=.d) $(CLI_OBJECTS:.o=.d) $(UNIT_TESTS:=.d)
.PHONY: all check-files check-unit bless fuzz clean
